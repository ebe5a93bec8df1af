"""Who learns: the kinds of `config.model.kind`, and what each asks of a run."""

from mulearn.config import Config
from mulearn.env.base import PackageNotFoundError
from mulearn.learn.board_step import BoardLearner

ON_POLICY = ("ppo", "a2c")


def learner_class(kind: str) -> type[BoardLearner]:
  """How agents of this kind learn.

  Raises:
    PackageNotFoundError: a baseline without rlax.
  """
  if kind not in ("ppo", "a2c", "dqn"):
    return BoardLearner
  try:
    from mulearn.learn.a2c import A2cLearner
    from mulearn.learn.dqn import DqnLearner
    from mulearn.learn.ppo import PpoLearner
  except ImportError as error:
    raise PackageNotFoundError(
        f"model.kind is {kind!r}, whose loss is rlax's, which is not installed:"
        " give pip 'mulearn[solo]'."
    ) from error
  return {"ppo": PpoLearner, "a2c": A2cLearner, "dqn": DqnLearner}[kind]


def check(config: Config) -> None:
  """Raises a ValueError where the config is none of a baseline's."""
  kind, learn = config.model.kind, config.learn
  if kind in ("world", "simulator"):
    return
  if learn.unroll_steps:
    raise ValueError(
        f"learn.unroll_steps is {learn.unroll_steps} but model.kind is"
        f" {kind!r}, which imagines nothing: set it to 0."
    )
  if kind == "dqn" and not learn.target_decay:
    raise ValueError(
        "learn.target_decay is 0 but model.kind is 'dqn', whose returns end in"
        " the value of a target network: set it to, say, 0.99."
    )
  if kind in ON_POLICY:
    _check_on_policy(config)


def _check_on_policy(config: Config) -> None:
  kind, moves = config.model.kind, config.env.num_lanes
  moves *= config.self_play.num_plies
  if config.replay.capacity != moves or config.replay.prioritised:
    raise ValueError(
        f"replay.capacity is {config.replay.capacity} and replay.prioritised"
        f" {config.replay.prioritised}, but model.kind is {kind!r}, which"
        " learns from the last round alone: set them to env.num_lanes x"
        f" self_play.num_plies, {moves}, and False."
    )
  if config.learn.td_steps >= config.self_play.num_plies:
    raise ValueError(
        f"learn.td_steps is {config.learn.td_steps}, but a round has"
        f" {config.self_play.num_plies} moves a lane: {kind} needs fewer (1)."
    )
