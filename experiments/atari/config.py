"""EfficientZero on Atari: 100,000 steps of a game, learned from pixels.

Ye et al. 2021, "Mastering Atari games with limited data",
https://arxiv.org/abs/2111.00210; `config.py:pong` and its siblings differ in the
game alone. It needs a TPU; see README.md for what has been run without one.
"""

from mulearn.config import Config
from mulearn.env.atari import ROMS, SKIP


def get_config(rom: str = "pong") -> Config:
  """One run; the argument is a game of the Atari 100k benchmark."""
  if rom not in ROMS:
    raise ValueError(f"No arm {rom!r} here; there are {', '.join(ROMS)}.")
  config = Config()
  config.num_steps, config.eval_every = 102_400, 25_600
  config.env.name = f"atari_{rom}"
  config.env.step_limit = 108_000 // SKIP  # Half an hour of play.
  config.env.num_lanes = 64
  config.env.num_eval_lanes = 32
  config.self_play.num_plies = 1
  config.self_play.opening_rate = 0.0
  config.self_play.temperature_plies = 0
  config.model.channels = 64
  config.model.width = 256
  config.model.prefix_moves = 5
  # One bin is as wide as in the paper, whose points are unbounded here, too.
  config.model.num_bins = 601
  config.model.max_return = 58_700.0
  config.search.num_simulations = 16
  config.search.num_eval_simulations = 16
  config.search.max_considered = 8
  config.search.rescale_values = True  # What a point is worth, nobody knows.
  config.replay.capacity = 102_400  # Nothing is forgotten.
  config.replay.min_size = 2048
  config.replay.batch_size = 256
  config.replay.prioritised = False  # So that chips can share it.
  config.replay.reanalysed_per_env_step = 99.0  # 99 % of all targets.
  config.learn.unroll_steps = 5
  config.learn.td_steps = 5
  config.learn.correction_steps = 30_000  # Three tenths of all updates.
  config.learn.consistency_weight = 2.0
  config.learn.value_weight = 0.25
  config.learn.discount = 0.997**SKIP
  config.learn.updates_per_env_step = 1.0
  config.learn.target_decay = 0.98
  config.learn.learning_rate = 5e-4
  config.learn.warmup_steps = 1000
  config.learn.weight_decay = 1e-4
  return config
