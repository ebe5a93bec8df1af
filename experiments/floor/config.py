"""The floor: what well-known baselines and MuZero earn on the same loop.

`config.py:cartpole_ppo` and its siblings share environment, networks, replay,
optimiser and examinations; the arm says who learns.
"""

from mulearn.config import Config

ARMS = (
    "cartpole_ppo",
    "cartpole_dqn",
    "cartpole_a2c",
    "cartpole_trpo",
    "cartpole_muzero",
    "breakout_ppo",
)


def get_config(arm: str = "cartpole_ppo") -> Config:
  """One run; the arm says the game and who learns it."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  game, kind = arm.split("_")
  config = Config()
  config.env.name = game
  config.env.step_limit = 500 if game == "cartpole" else 1000
  config.model.kind = "world" if kind == "muzero" else kind
  config.self_play.opening_rate = 0.0
  config.self_play.temperature_plies = 0
  config.learn.unroll_steps = 0
  config.learn.td_steps = 1
  config.learn.weight_decay = 0.0
  change = {
      "ppo": _ppo, "a2c": _a2c, "trpo": _trpo, "dqn": _dqn, "muzero": _muzero,
  }[kind]  # fmt: skip
  change(config)
  if game == "breakout":
    _breakout(config)
  return config


def _ppo(config: Config) -> None:
  config.num_steps, config.eval_every = 491_520, 61_440
  config.env.num_lanes = 16
  config.model.width = 64
  config.model.max_return = 100.0
  config.self_play.num_plies = 64
  _on_policy(config)
  config.learn.discount = 0.99
  config.learn.trace_decay = 0.95
  config.learn.num_minibatches = 4
  config.learn.updates_per_env_step = 16 / 1024  # Four epochs.
  config.learn.learning_rate = 1e-3
  config.learn.max_grad_norm = 0.5
  config.learn.entropy_weight = 0.01


def _a2c(config: Config) -> None:
  _ppo(config)
  config.env.num_lanes = 32
  config.self_play.num_plies = 8
  _on_policy(config)
  config.learn.num_minibatches = 1
  config.learn.updates_per_env_step = 1 / 256
  config.learn.learning_rate = 1e-3
  # Advantages are as large as returns, and not scaled: beside them a categorical
  # value with .5 has little say in the layers and in the clip that both share.
  config.learn.value_weight = 10.0


def _trpo(config: Config) -> None:
  _ppo(config)
  # A step is as long whether its advantages say much or little: in rounds of
  # 1,024 moves what it had learned was lost for a time.
  config.self_play.num_plies = 256
  _on_policy(config)
  config.learn.kl_limit = 0.01
  config.learn.fisher_damping = 0.1
  config.learn.num_minibatches = 16  # The value's, in four epochs.
  config.learn.updates_per_env_step = 64 / 4096
  config.learn.entropy_weight = 0.0


def _on_policy(config: Config) -> None:
  """Remembers one round, and learns from the first on."""
  moves = config.env.num_lanes * config.self_play.num_plies
  config.replay.capacity = config.replay.min_size = moves


def _dqn(config: Config) -> None:
  config.num_steps, config.eval_every = 491_520, 61_440
  config.env.num_lanes = 32
  config.model.width = 64
  config.self_play.num_plies = 8
  config.replay.capacity = 65_536
  config.replay.batch_size = 128
  config.replay.min_size = 8192
  config.learn.td_steps = 3
  config.learn.discount = 0.99
  config.learn.target_decay = 0.99
  config.learn.updates_per_env_step = 1 / 16
  config.learn.learning_rate = 1e-3


def _muzero(config: Config) -> None:
  config.num_steps, config.eval_every = 49_152, 12_288
  config.env.num_lanes = 16
  config.model.width = 64
  config.model.max_return = 100.0
  config.search.num_simulations = 8
  config.search.num_eval_simulations = 8
  config.search.max_considered = 2
  # Of two moves, one has the better value, be it by a hair: stretched to 0 and
  # 1, the noise of the value alone would decide.
  config.search.rescale_values = False
  config.search.value_scale = 0.04
  config.self_play.num_plies = 8
  config.replay.capacity = 49_152
  config.replay.batch_size = 128
  config.replay.min_size = 2048
  config.learn.unroll_steps = 5
  config.learn.td_steps = 40
  config.learn.discount = 0.99
  config.learn.updates_per_env_step = 1 / 4
  config.learn.target_decay = 0.99
  config.learn.learning_rate = 2e-3
  config.learn.weight_decay = 1e-4


def _breakout(config: Config) -> None:
  config.num_steps, config.eval_every = 4_915_200, 614_400
  config.env.num_lanes = 128
  # With 64 and values up to 100, of which bins are 4 wide, it stayed below 20.
  config.model.width = 128
  config.model.max_return = 20.0
  config.self_play.num_plies = 64
  _on_policy(config)
  config.learn.num_minibatches = 8
  config.learn.updates_per_env_step = 16 / 8192  # Two epochs.
  config.learn.learning_rate = 5e-4
