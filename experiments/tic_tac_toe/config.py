"""Tic-tac-toe against perfect play: AlphaZero and MuZero, the same loop.

`config.py:muzero` searches a learned world, `config.py:alphazero` the rules.
Every so often each of the 4,520 positions at which a move is to be made is
searched, and the move held against the solved game.
"""

from mulearn.config import Config

ARMS = ("muzero", "alphazero")


def get_config(arm: str = "muzero") -> Config:
  """One run; the arm says what kind of model is searched."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  is_muzero = arm == "muzero"
  num_steps = 1_310_720 if is_muzero else 327_680
  eval_every = 81_920 if is_muzero else 40_960
  config = Config(num_steps=num_steps, eval_every=eval_every)
  config.env.name = "tic_tac_toe"
  config.env.step_limit = 9
  config.env.num_lanes = 128
  config.model.kind = "world" if is_muzero else "simulator"
  config.model.width = 256 if is_muzero else 128
  config.model.num_bins = 21
  config.model.max_return = 1.0
  config.search.num_simulations = 16
  config.search.num_eval_simulations = 64
  config.search.max_considered = 9
  config.search.value_scale = 0.2
  config.search.max_depth = 9
  config.self_play.num_plies = 8
  config.self_play.opening_rate = 0.8
  config.self_play.opening_plies = 8
  config.self_play.temperature_plies = 9
  config.replay.capacity = 65_536
  config.replay.batch_size = 256
  config.replay.min_size = 4096
  config.learn.unroll_steps = 4 if is_muzero else 0
  config.learn.td_steps = 9
  config.learn.explored_below = 0.5
  config.learn.discount = 1.0
  config.learn.updates_per_env_step = 1 / 128
  config.learn.learning_rate = 2e-3
  config.learn.weight_decay = 1e-4
  config.learn.value_weight = 1.0
  return config
