"""The contracts of `env`: host-side text games and device-resident games.

Text games are Python objects that live in worker processes; a device-resident
environment is a bundle of pure functions, made for `jax.vmap` and `jax.jit`.
Nothing here imports JAX, since the workers of `env.pool` must not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
  import jax

# The seeds of each fold, disjoint, so that no game is both learnt and tested.
FOLD_SEEDS = {
    "train": range(1_000),
    "dev": range(10_000, 11_000),
    "test": range(20_000, 21_000),
}

# One train game in so many is not cloned by the policy head.
_HELD_OUT_EVERY = 5

# What rebuilds a text game: its seed, its fold, the commands given so far.
History = tuple[int, str, tuple[str, ...]]


class JavaNotFoundError(OSError):
  """No usable Java runtime; the message names the remedy."""


class PackageNotFoundError(ImportError):
  """A package of an extra is not installed; the message names the remedy."""


class WorkerFailedError(RuntimeError):
  """A worker process died, or hung, again and again within one request.

  Attributes:
    answers: what the other lanes of the same request returned; an error is the
      caller's.
  """

  def __init__(self, message: str, answers: dict[int, TextStep | Exception]):
    super().__init__(message)
    self.answers = answers


@dataclasses.dataclass(frozen=True)
class GameSpec:
  """A family of text games; a seed and a fold pick one of them.

  Attributes:
    name: "twc", "cookingworld", "mapreader" or "coin".
    params: generator settings, such as `(("numLocations", 1),)`.
    step_limit: number of commands after which a game is truncated.
  """

  name: str
  params: tuple[tuple[str, int], ...]
  step_limit: int


@dataclasses.dataclass(frozen=True)
class TextObservation:
  """What the player of a text game knows.

  Attributes:
    task: the task's description, one line.
    facts: short clauses for an encoder: what is here, what is carried, notes,
      and memory (the last two commands, rooms seen before).
    prompt: compact text for a language model: task, place, what is seen, what
      is carried, notes. It holds no memory of commands, so that states recur.
    commands: the admissible commands, sorted and unique.
    history: the commands given so far in this game, the newest last.
    tried: those of them that were given at this very sight (`tried_before`).
  """

  task: str
  facts: tuple[str, ...]
  prompt: str
  commands: tuple[str, ...]
  history: tuple[str, ...] = ()
  tried: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class TextStep:
  """What a text game answers to a command (or to a reset).

  Attributes:
    observation: the state after the command.
    reward: how far the score rose above its best so far, 0 after a reset. A
      mistake that can be undone costs time and nothing else: paid as a loss,
      it would teach an agent that never puts anything down.
    terminated: the game itself ended, in success or in failure.
    truncated: the step limit was reached before the game ended.
    score: the normalised score, in [0, 1].
    success: the task is done.
  """

  observation: TextObservation
  reward: float
  terminated: bool
  truncated: bool
  score: float
  success: bool


def tried_before(
    past: Iterable[tuple[Hashable, str]], sight: Hashable
) -> tuple[str, ...]:
  """Commands of (sight, command) pairs that were given at this sight.

  What looks the same answers the same, mostly: a player who knows what was
  tried here does not walk in circles.
  """
  given = (command for seen, command in past if seen == sight)
  return tuple(dict.fromkeys(given))


def is_held_out(seed: int) -> bool:
  """Whether the policy head may not learn from this train game.

  The trust in the language prior is fitted on these games: on the others the
  head has learned by heart what the language model would have said.
  """
  return seed % _HELD_OUT_EVERY == 0


class TextGame(Protocol):
  """One text game, on the host."""

  def reset(self, seed: int, fold: str) -> TextStep:
    """Starts the game with this seed of this fold."""

  def step(self, command: str) -> TextStep:
    """Gives one admissible command; ValueError for any other."""

  def close(self) -> None:
    """Frees what the game holds."""


class Environment(Protocol):
  """A device-resident environment: pure functions of single states.

  States are pytrees; the caller maps over a batch with `jax.vmap`. A finished
  state is absorbing: `step` leaves it as it is, with reward 0. Nothing resets
  by itself.
  """

  @property
  def num_players(self) -> int:
    """1, or 2 for a zero-sum game of alternating moves."""

  @property
  def num_actions(self) -> int:
    """A, the number of actions."""

  @property
  def observation_shape(self) -> tuple[int, ...]:
    """Shape of one observation."""

  def init(self, rng_key: jax.Array) -> Any:
    """Draws an initial state; consumes the key."""

  def step(self, state: Any, action: jax.Array) -> Any:
    """Plays `action`, an int32 `[]`, for the current player."""

  def observation(self, state: Any) -> jax.Array:
    """The current player's view, `observation_shape`.

    Bool where it is 0 or 1, uint8 where it is a picture's brightness, else
    float32. A replay stores it in the type it has.
    """

  def invalid(self, state: Any) -> jax.Array:
    """Bool `[A]`, True = may not be chosen (mctx's sense)."""

  def reward(self, state: Any) -> jax.Array:
    """Float32 `[]`: what the last step gave to the player who made it."""

  def terminated(self, state: Any) -> jax.Array:
    """Bool `[]`: the game is over."""

  def current_player(self, state: Any) -> jax.Array:
    """Int32 `[]`: whose turn it is."""


class ChanceEnvironment(Protocol):
  """A game for one in which chance answers every action.

  Pure functions of single states, as in `Environment`. A state and what it is
  after an action, before chance has spoken, have the same structure.
  """

  @property
  def num_actions(self) -> int:
    """A, the number of actions."""

  @property
  def num_outcomes(self) -> int:
    """C, the number of outcomes of chance."""

  def init(self, rng_key: jax.Array) -> Any:
    """Draws an initial state; consumes the key."""

  def after(self, state: Any, action: jax.Array) -> Any:
    """The afterstate of `action`, an int32 `[]`."""

  def outcome_logits(self, after: Any) -> jax.Array:
    """Log-odds of the outcomes at an afterstate, -inf for none, `[C]`."""

  def settle(self, after: Any, outcome: jax.Array) -> Any:
    """The state that `outcome`, an int32 `[]`, makes of an afterstate."""

  def invalid(self, state: Any) -> jax.Array:
    """Bool `[A]`, True = may not be chosen."""

  def guess(self, state: Any) -> jax.Array:
    """Float32 `[]`: what a state is worth at a glance, 0 if nothing is known."""

  def reward(self, state: Any) -> jax.Array:
    """Float32 `[]`: what came with the last outcome."""

  def terminated(self, state: Any) -> jax.Array:
    """Bool `[]`: the game is over."""


def check_seed(seed: int, fold: str) -> None:
  """Checks that the seed belongs to the fold.

  Args:
    seed: seed of a text game.
    fold: "train", "dev" or "test".

  Raises:
    ValueError: the fold is unknown or the seed belongs to another one.
  """
  if fold not in FOLD_SEEDS:
    raise ValueError(
        f"Unknown fold {fold!r}; expected one of {', '.join(FOLD_SEEDS)}."
    )
  seeds = FOLD_SEEDS[fold]
  if seed not in seeds:
    raise ValueError(
        f"Seed {seed} does not belong to the fold {fold!r}, whose seeds are"
        f" {seeds.start} to {seeds.stop - 1}."
    )
