"""Connect four against an exact solver: AlphaZero and MuZero, the same loop.

`config.py:alphazero` searches the rules, `config.py:muzero` a learned world.
Every so often 6,000 positions that a solver has labelled are searched with 100
simulations, and a move that worsens the value of the game is a mistake.
"""

from mulearn.config import Config

ARMS = ("alphazero", "muzero")


def get_config(arm: str = "alphazero") -> Config:
  """One run; the arm says what kind of model is searched."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  is_muzero = arm == "muzero"
  config = Config(num_steps=13_631_488, eval_every=1_048_576)
  config.checkpoint_every_seconds = 300.0  # One is 100 MB of replay.
  config.env.name = "connect_four"
  config.env.step_limit = 42
  config.env.num_lanes = 512
  config.model.kind = "world" if is_muzero else "simulator"
  config.model.width = 256 if is_muzero else 512
  config.model.window = 4
  config.model.dtype = "bfloat16"
  config.model.num_bins = 21
  config.model.max_return = 1.0
  config.search.num_simulations = 8
  config.search.num_eval_simulations = 100
  config.search.max_considered = 7
  config.search.value_scale = 0.2
  config.search.eval_value_scale = 1.0
  config.search.eval_symmetries = True
  config.search.max_depth = 42
  config.self_play.num_plies = 16
  config.self_play.opening_plies = 38
  config.self_play.opening_rate = 0.99
  config.self_play.openings_at_once = True
  config.self_play.temperature_plies = 42
  config.replay.capacity = 524_288
  config.replay.batch_size = 512
  config.replay.min_size = 65_536
  config.learn.unroll_steps = 0
  config.learn.td_steps = 16
  config.learn.explored_nats = 1.05
  config.learn.discount = 1.0
  config.learn.updates_per_env_step = 1 / 128
  config.learn.num_microbatches = 4
  config.learn.target_decay = 0.998
  config.learn.learning_rate = 1.5e-3
  config.learn.weight_decay = 1e-4
  config.learn.value_weight = 1.0
  if is_muzero:
    _teach_the_rules(config)
  return config


def _teach_the_rules(config: Config) -> None:
  """What a world that has to be learned needs beside.

  Latents stay a board, so that what a move does and what ends a game is learned
  once for all places; the consistency loss is cheap there.
  """
  config.num_steps = 11_534_336
  config.model.channels = 4
  config.model.window_features = 64
  config.replay.batch_size = 128
  config.replay.reanalysed_per_env_step = 0.5
  config.learn.unroll_steps = 3
  config.learn.consistency_weight = 2.0
  config.learn.updates_per_env_step = 1 / 64
  config.learn.num_microbatches = 1
  config.learn.learning_rate = 1e-3
