"""2048 and a game of dice, with and without chance in the learned world.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1: `config.py:2048_stochastic`
imagines afterstates and what chance answers, `config.py:2048_muzero` one future
for each action. All else is the same.
"""

from mulearn.config import Config

ARMS = ("2048_stochastic", "2048_muzero", "dice_stochastic", "dice_muzero")


def get_config(arm: str = "2048_stochastic") -> Config:
  """One run; the arm says the game and the kind of world."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  game, kind = arm.split("_")
  config = Config()
  config.env.name = game
  config.model.kind = "world" if kind == "muzero" else kind
  config.env.num_lanes = 32
  config.self_play.num_plies = 8
  config.self_play.temperature_plies = 0
  config.replay.capacity = 65_536
  config.replay.min_size = 4096
  config.learn.unroll_steps = 3
  config.learn.target_decay = 0.99
  config.learn.weight_decay = 1e-4
  (_2048 if game == "2048" else _dice)(config)
  return config


def _2048(config: Config) -> None:
  config.num_steps, config.eval_every = 32_768, 8192
  config.env.num_lanes = 64
  config.env.step_limit = 2000
  config.model.width = 64
  config.model.max_return = 5000.0
  config.model.num_bins = 101
  config.search.num_simulations = 16
  config.search.num_eval_simulations = 32
  config.search.max_considered = 4
  config.search.max_depth = 8  # Four pushes, where chance has its turns.
  config.search.rescale_values = True
  config.search.value_scale = 0.05
  config.self_play.opening_rate = 0.0
  config.replay.min_size = 2048
  config.learn.td_steps = 10
  config.learn.discount = 0.99
  config.learn.updates_per_env_step = 1 / 4
  # Without it codes name the action, which the afterstate tells anyway.
  config.learn.consistency_weight = 2.0


def _dice(config: Config) -> None:
  config.num_steps, config.eval_every = 65_536, 16_384
  config.env.step_limit = 3
  config.model.width = 64
  config.model.num_codes = 8
  config.search.num_simulations = 16
  config.search.num_eval_simulations = 64
  config.search.max_considered = 3
  config.search.max_depth = 6
  config.search.value_scale = 0.3
  # Every position is met: what is learned of it does not depend on the play.
  config.self_play.opening_rate = 0.5
  config.self_play.opening_plies = 3
  config.learn.td_steps = 1
  config.learn.discount = 1.0
  config.learn.updates_per_env_step = 1 / 16
