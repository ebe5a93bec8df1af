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
  config.model.dtype = "bfloat16"
  config.model.num_bins = 21
  config.model.max_return = 1.0
  config.search.num_simulations = 8
  config.search.num_eval_simulations = 100
  config.search.max_considered = 7
  config.search.value_scale = 0.2
  config.search.max_depth = 42
  config.self_play.num_plies = 16
  config.self_play.opening_rate = 0.8
  config.self_play.temperature_plies = 42
  config.replay.capacity = 524_288
  config.replay.batch_size = 1024
  config.replay.min_size = 65_536
  config.learn.unroll_steps = 0
  config.learn.td_steps = 8
  config.learn.explored_below = 0.5
  config.learn.discount = 1.0
  config.learn.updates_per_env_step = 1 / 256
  config.learn.learning_rate = 1.5e-3
  config.learn.weight_decay = 1e-4
  config.learn.value_weight = 1.0
  if is_muzero:
    _teach_the_rules(config)
  else:
    config.model.window = 4
    config.search.eval_value_scale = 1.0
    config.search.eval_symmetries = True
    config.self_play.opening_plies = 38
    config.self_play.opening_rate = 0.9
    config.self_play.openings_at_once = True
    config.learn.target_decay = 0.998
  return config


def _teach_the_rules(config: Config) -> None:
  """What a world that has to be learned needs beside.

  What ends a game is what is hard to learn: the page says how much of it is
  found. Batches of 1,024 found more of it in the same time than batches of 256,
  and a consistency loss, which doubles the cost of an update, no more.
  """
  config.num_steps = 12_582_912
  config.self_play.opening_plies = 28
  config.learn.unroll_steps = 3
  config.learn.target_decay = 0.99
  config.learn.learning_rate = 1e-3
  config.replay.reanalysed_per_env_step = 0.5
