"""Learning from games that others have played, and planning what they did not.

MuZero Unplugged (Schrittwieser et al. 2021, https://arxiv.org/abs/2104.06294),
Table 4, in noisy Catch: `config.py:reanalyse` and its siblings learn from one
data set with one network, and differ in what they are taught of its moves.
"""

from mulearn.config import Config

ARMS = ("bc_0", "bc_1", "bc_5", "crr", "reanalyse")
DATA = "runs/unplugged/data"  # See `make_data.py`.


def get_config(arm: str = "reanalyse") -> Config:
  """One run; the arm says what it is taught."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  config = Config()
  # A step is a move's worth of work: nothing is played.
  config.num_steps, config.eval_every = 131_072, 32_768
  config.env.name = "catch"
  config.env.step_limit = 5
  config.env.num_lanes = 16
  config.self_play.num_plies = 64
  config.model.width = 64
  config.model.num_bins = 31
  config.model.max_return = 0.4
  config.search.num_simulations = 8
  config.search.num_eval_simulations = 16
  config.search.max_considered = 3
  config.search.value_scale = 3.0  # Games earn .4 at most.
  config.replay.data = DATA
  config.replay.capacity = 65_536
  config.replay.min_size = 1024
  config.replay.batch_size = 128
  config.learn.unroll_steps = 5
  # A value is that of the position itself: what came of it is another's doing.
  config.learn.td_steps = 0
  config.learn.discount = 1.0
  config.learn.target_decay = 0.98
  config.learn.updates_per_env_step = 1 / 32
  config.learn.learning_rate = 3e-3
  config.learn.weight_decay = 1e-4
  if arm == "bc_0":  # The model is learned beside, and shapes no latent.
    config.learn.unroll_steps = 1
    config.learn.unroll_gradient = 0.0
  elif arm == "bc_1":
    config.learn.unroll_steps = 1
  elif arm == "crr":
    config.learn.teacher = "critic"
    config.replay.reanalysed_per_env_step = 16.0
  elif arm == "reanalyse":
    config.replay.reanalysed_per_env_step = 16.0
  return config
