"""Who learns: the kinds of `config.model.kind`, and what each asks of a run."""

from mulearn.config import Config
from mulearn.env.base import PackageNotFoundError
from mulearn.env.symmetry import SYMMETRIES
from mulearn.learn.board_step import BoardLearner
from mulearn.learn.chance_losses import ChanceLearner

WORLDS = ("world", "stochastic", "sampled")
ON_POLICY = ("ppo", "a2c", "trpo")


def learner_class(kind: str) -> type[BoardLearner]:
  """How agents of this kind learn.

  Raises:
    PackageNotFoundError: a baseline without rlax.
  """
  if kind not in (*ON_POLICY, "dqn"):
    return ChanceLearner if kind == "stochastic" else BoardLearner
  try:
    from mulearn.learn.a2c import A2cLearner
    from mulearn.learn.dqn import DqnLearner
    from mulearn.learn.ppo import PpoLearner
    from mulearn.learn.trpo import TrpoLearner
  except ImportError as error:
    raise PackageNotFoundError(
        f"model.kind is {kind!r}, whose loss is rlax's, which is not installed:"
        " give pip 'mulearn[solo]'."
    ) from error
  return {
      "ppo": PpoLearner,
      "a2c": A2cLearner,
      "trpo": TrpoLearner,
      "dqn": DqnLearner,
  }[kind]


def check(config: Config) -> None:
  """Raises a ValueError where a run cannot be as its config says."""
  _check_learned_world(config)
  _check_games_of_others(config)
  _check_correction(config)
  _check_openings(config)
  _check_symmetries(config)
  _check_windows(config)
  _check_play(config)
  kind, learn = config.model.kind, config.learn
  if kind in (*WORLDS, "simulator"):
    return
  if learn.explored_below or learn.explored_nats:
    raise ValueError(
        f"learn.explored_below is {learn.explored_below:g} and"
        f" learn.explored_nats {learn.explored_nats:g}, but model.kind is"
        f" {kind!r}, which searches nothing that could advise: set both to 0."
    )
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


def _check_play(config: Config) -> None:
  """Raises a ValueError where no move can be drawn."""
  if config.self_play.temperature <= 0.0:
    raise ValueError(
        f"self_play.temperature is {config.self_play.temperature:g}, which moves"
        " cannot be drawn at: set it above 0, or self_play.temperature_plies to"
        " 0 for the moves that search found best."
    )


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
  if config.learn.num_microbatches != 1:
    raise ValueError(
        f"learn.num_microbatches is {config.learn.num_microbatches}, but"
        f" model.kind is {kind!r}, which learns from a round in"
        " learn.num_minibatches: set it to 1."
    )
  if kind == "trpo" and config.learn.weight_decay:
    raise ValueError(
        f"learn.weight_decay is {config.learn.weight_decay:g}, but model.kind is"
        " 'trpo', whose policy would decay out of its trust region: set it to"
        " 0."
    )


def _check_learned_world(config: Config) -> None:
  """Raises a ValueError where what needs a learned world has none."""
  prefix, channels = config.model.prefix_moves, config.model.channels
  if config.model.kind == "stochastic" and (prefix or channels):
    raise ValueError(
        f"model.prefix_moves is {prefix} and model.channels {channels}, but"
        " model.kind is 'stochastic', whose networks have neither a memory nor"
        " maps: set both to 0."
    )
  if config.model.kind in WORLDS:
    return
  for name, value, why in (
      (
          "replay.reanalysed_per_env_step",
          config.replay.reanalysed_per_env_step,
          "search by the rules begins at the environment's state, and replay"
          " holds no more than the view of it",
      ),
      (
          "learn.consistency_weight",
          config.learn.consistency_weight,
          "it compares imagined positions with real ones, and the rules"
          " imagine nothing",
      ),
      (
          "model.channels",
          config.model.channels,
          "it makes maps of a learned world's latents, and the rules have none",
      ),
      (
          "model.prefix_moves",
          config.model.prefix_moves,
          "it sums the rewards of imagined moves, and the rules imagine"
          " nothing",
      ),
  ):
    if value:
      raise ValueError(
          f"{name} is {value:g} but model.kind is {config.model.kind!r}: {why}."
          " Set it to 0, or model.kind to 'world'."
      )


def _check_correction(config: Config) -> None:
  """Raises a ValueError where no move that is learned from has an age."""
  steps, kind = config.learn.correction_steps, config.model.kind
  if steps and (config.replay.data or kind not in (*WORLDS, "simulator")):
    raise ValueError(
        f"learn.correction_steps is {steps}, but model.kind is {kind!r} and"
        f" replay.data {config.replay.data!r}: it shortens the returns of moves"
        " that an agent with a search played itself, as they age. Set it to 0."
    )


def _check_openings(config: Config) -> None:
  """Raises a ValueError where the moves of an opening cannot be tried."""
  if config.self_play.openings_at_once and config.model.kind == "sampled":
    raise ValueError(
        "self_play.openings_at_once is True, but model.kind is 'sampled': which"
        " moves end a game is found by trying all of them, and there is no list"
        " of them. Set it to False."
    )


def _check_symmetries(config: Config) -> None:
  """Raises a ValueError where no symmetries can be judged."""
  model, game = config.model, config.env.name
  if config.search.eval_symmetries and (
      model.kind not in ("simulator", "world")
      or (model.channels and not model.window)
      or model.prefix_moves
      or game not in SYMMETRIES
  ):
    raise ValueError(
        f"search.eval_symmetries is True, but model.kind is {model.kind!r},"
        f" model.channels {model.channels}, model.window {model.window},"
        f" model.prefix_moves {model.prefix_moves} and env.name {game!r}: it is"
        " for kinds 'simulator' and 'world' (with channels: through windows),"
        " without a value prefix, and the games"
        f" {', '.join(SYMMETRIES)}. Set it to False."
    )


def _check_windows(config: Config) -> None:
  """Raises a ValueError where networks have no windows to look through."""
  kind = config.model.kind
  if config.model.window and kind not in ("simulator", "world"):
    raise ValueError(
        f"model.window is {config.model.window}, but model.kind is {kind!r}:"
        " only kinds 'simulator' and 'world' look through windows. Set it to 0."
    )


def _check_games_of_others(config: Config) -> None:
  kind, learn = config.model.kind, config.learn
  if learn.teacher not in ("search", "critic"):
    raise ValueError(
        f"learn.teacher is {learn.teacher!r}; it must be search or critic."
    )
  data, channels = config.replay.data, config.model.channels
  reanalysed = config.replay.reanalysed_per_env_step
  below, nats = learn.explored_below, learn.explored_nats
  if kind == "sampled" and (below or nats) and reanalysed:
    raise ValueError(
        f"learn.explored_below is {below:g}, learn.explored_nats {nats:g} and"
        f" replay.reanalysed_per_env_step {reanalysed:g}, but model.kind is"
        " 'sampled': a new search draws other actions, beside which every move"
        " looks explored. Set the first two to 0, or the last."
    )
  if kind == "sampled" and (data or channels or learn.teacher == "critic"):
    raise ValueError(
        f"replay.data is {data!r}, learn.teacher {learn.teacher!r} and"
        f" model.channels {channels}, but model.kind is 'sampled', which learns"
        " from its own games by search and sees numbers: set them to '',"
        " 'search' and 0."
    )
  if config.replay.data and kind in ON_POLICY:
    raise ValueError(
        f"replay.data is {config.replay.data!r} but model.kind is {kind!r},"
        " which learns from its own games alone: set model.kind to 'world', or"
        " replay.data to ''."
    )
  if learn.teacher == "critic" and not reanalysed:
    raise ValueError(
        "learn.teacher is 'critic', but replay.reanalysed_per_env_step is 0:"
        " only moves that are looked at again are taught by it. Set it above"
        " 0, or learn.teacher to 'search'."
    )
