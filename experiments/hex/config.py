"""Hex against perfect play: AlphaZero and MuZero, on boards that are solved.

`config.py:hex_4_alphazero` searches the rules of 4x4 Hex, `:hex_4_muzero` a
learned world; `hex_3_...` are the same on 3x3. Every so often the moves at
solved positions are held against perfect play: all 4,520 of 3x3 at which a move
is to be made, 4,096 of 4x4.
"""

from mulearn.config import Config

GAMES = ("hex_3", "hex_4")
KINDS = ("alphazero", "muzero")
ARMS = tuple(f"{game}_{kind}" for game in GAMES for kind in KINDS)


def get_config(arm: str = "hex_4_alphazero") -> Config:
  """One run; the arm says the board and what kind of model is searched."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  game, kind = arm.rsplit("_", 1)
  size = int(game.removeprefix("hex_"))
  cells = size * size
  is_muzero = kind == "muzero"
  num_points = 8 if size == 3 else 16
  eval_every = 40_960 if size == 3 else 65_536
  config = Config(num_steps=num_points * eval_every, eval_every=eval_every)
  config.env.name = game
  config.env.step_limit = cells
  config.env.num_lanes = 128
  config.model.kind = "world" if is_muzero else "simulator"
  config.model.width = 256 if is_muzero else 128
  config.model.num_bins = 21
  config.model.max_return = 1.0
  config.search.num_simulations = 16
  config.search.num_eval_simulations = 64
  config.search.max_considered = cells
  config.search.value_scale = 0.2
  config.search.max_depth = cells
  config.self_play.num_plies = 8
  config.self_play.opening_rate = 0.8
  config.self_play.opening_plies = cells // 2
  config.self_play.temperature_plies = cells
  config.replay.capacity = 65_536
  config.replay.batch_size = 256
  config.replay.min_size = 4096
  config.learn.unroll_steps = 4 if is_muzero else 0
  config.learn.td_steps = cells
  config.learn.explored_below = 0.5
  config.learn.discount = 1.0
  config.learn.updates_per_env_step = 1 / 128
  config.learn.learning_rate = 2e-3
  config.learn.weight_decay = 1e-4
  config.learn.value_weight = 1.0
  return config
