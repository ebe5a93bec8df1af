"""Sampled MuZero swings up a pendulum: continuous actions in a learned world.

Hubert et al. 2021, "Learning and planning in complex action spaces",
https://arxiv.org/abs/2104.06303. `config.py:pendulum` draws what search may choose
from a tanh-Gaussian policy, `config.py:pendulum_discretised` from a categorical.
"""

from mulearn.config import Config

ARMS = ("pendulum", "pendulum_discretised")


def get_config(arm: str = "pendulum") -> Config:
  """One run; the arm says the game and what actions are drawn from."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  game, _, proposal = arm.partition("_")
  config = Config()
  config.num_steps, config.eval_every = 98_304, 12_288
  config.env.name, config.env.step_limit = game, 200
  config.env.num_lanes = 16
  config.model.kind = "sampled"
  config.model.proposal = proposal or "tanh_gaussian"
  config.model.num_samples = 16
  config.model.proposal_temperature = 2.0
  config.model.width = 64
  # A step costs up to 16.3, the worst discounted return is fifty times that.
  config.model.max_return = 1000.0
  config.model.num_bins = 101
  config.search.num_simulations = 16
  config.search.num_eval_simulations = 16
  config.search.max_considered = 16
  config.search.rescale_values = True
  config.search.value_scale = 0.1
  config.self_play.num_plies = 8
  config.self_play.opening_rate = 0.0
  config.self_play.temperature_plies = 0
  config.replay.capacity = 65_536
  config.replay.batch_size = 128
  config.replay.min_size = 2048
  config.replay.reanalysed_per_env_step = 4.0
  config.learn.unroll_steps = 5
  config.learn.td_steps = 20
  config.learn.discount = 0.98
  config.learn.updates_per_env_step = 1 / 8
  config.learn.target_decay = 0.99
  config.learn.learning_rate = 2e-3
  config.learn.weight_decay = 1e-4
  return config
