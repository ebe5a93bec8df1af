"""Learning from very few simulations: Gumbel search against PUCT.

Danihelka et al. 2022, "Policy improvement by planning with Gumbel",
https://openreview.net/forum?id=bERaNdoegnO: on 9x9 Go MuZero fails to learn from
16 simulations or fewer, Gumbel MuZero learns from 2. Here in small, on 5x5 Hex,
which has 25 moves: `config.py:gumbel_2`, `:gumbel_4`, `:gumbel_16` and `:puct_4`
learn by self-play from as many simulations a move, all from equally many moves;
`config.py:gumbel_2_long` and so on are the second protocol.
"""

from mulearn.config import Config

_SEARCHES = ("gumbel_2", "gumbel_4", "gumbel_16", "puct_4")
ARMS = (*_SEARCHES, *(f"{search}_long" for search in _SEARCHES))
CELLS = 25


def get_config(arm: str = "gumbel_2") -> Config:
  """One run; the arm says the search and its simulations while acting."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  policy, num_simulations = arm.removesuffix("_long").split("_")
  config = Config(num_steps=8 * 32_768, eval_every=32_768, keep_agents=True)
  config.env.name = "hex_5"
  config.env.step_limit = CELLS
  config.env.num_lanes = 128
  config.model.kind = "simulator"
  config.model.width = 128
  config.model.num_bins = 21
  config.model.max_return = 1.0
  config.search.policy = policy
  config.search.num_simulations = int(num_simulations)
  config.search.num_eval_simulations = 64
  config.search.max_considered = CELLS
  config.search.value_scale = 0.2
  config.search.max_depth = CELLS
  config.self_play.num_plies = 8
  config.self_play.opening_rate = 0.8
  config.self_play.opening_plies = CELLS // 2
  config.self_play.temperature_plies = CELLS
  config.replay.capacity = 65_536
  config.replay.batch_size = 256
  config.replay.min_size = 4096
  config.learn.unroll_steps = 0
  config.learn.td_steps = CELLS
  config.learn.explored_below = 0.5
  config.learn.discount = 1.0
  config.learn.updates_per_env_step = 1 / 128
  config.learn.learning_rate = 2e-3
  config.learn.weight_decay = 1e-4
  config.learn.value_weight = 1.0
  if arm.endswith("_long"):
    config.num_steps = 2_097_152
    config.eval_every = 262_144
    config.eval_growth = 2.0
    config.env.num_lanes = 512
    config.model.dtype = "bfloat16"
    config.self_play.temperature_plies = 0
    config.replay.capacity = 262_144
  return config
