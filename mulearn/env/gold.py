"""Gold paths: for evaluation and imitation only, never for search.

They come from a class of their own, over an interface of their own, as another
type than a step, so that whoever holds a `TextGame` cannot reach them.
"""

import dataclasses
from typing import Self

from mulearn.env import base, text
from mulearn.env import jvm as jvm_lib

_MEMORY = ("last: ", "before: ")


@dataclasses.dataclass(frozen=True)
class GoldPath:
  """Commands that lead from the reset of one game to its success.

  Attributes:
    spec: the family of games.
    fold: "train", "dev" or "test".
    seed: the game's seed.
    commands: the path; idle commands are left out.
  """

  spec: base.GameSpec
  fold: str
  seed: int
  commands: tuple[str, ...]


class GoldSource:
  """Gives the gold paths of a family of games; a context manager."""

  def __init__(self, spec: base.GameSpec, jvm: jvm_lib.Jvm | None = None):
    """Loads a family of games twice: to ask for paths, and to walk them.

    Args:
      spec: which family.
      jvm: a running JVM to share; a new one, closed with the source, if None.
    """
    self._spec = spec
    self._own_jvm: jvm_lib.Jvm | None = None
    if jvm is None:
      jvm = self._own_jvm = jvm_lib.Jvm()
    self._interface = text.load_interface(spec, jvm)
    # The simulator's path may be long before its idle commands are dropped.
    endless = dataclasses.replace(spec, step_limit=1_000)
    self._game = text.TextWorldGame(endless, jvm)

  def path(self, seed: int, fold: str) -> GoldPath:
    """Returns the gold path of one game.

    Args:
      seed: the game's seed.
      fold: the fold it belongs to.

    Returns:
      The path, cut at success, without commands that change neither the score
      nor what the player knows.

    Raises:
      ValueError: the simulator has no path that succeeds within the limit.
    """
    base.check_seed(seed, fold)
    self._interface.generateNewGameJSON(seed, fold, True)
    step = self._game.reset(seed, fold)
    commands = []
    for command in self._interface.getGoldActionSequence():
      # The simulator's own agent opens what is open; its game ignores that.
      if command not in step.observation.commands:
        continue
      before, step = step, self._game.step(command)
      if _changes(before, step):
        commands.append(command)
      if step.terminated:
        break
    if not step.success or len(commands) > self._spec.step_limit:
      raise ValueError(
          f"{self._spec.name} has no gold path for seed {seed} of {fold} that"
          f" succeeds within {self._spec.step_limit} steps (score"
          f" {step.score:.2f} after {len(commands)}); raise step_limit or leave"
          " the seed out."
      )
    return GoldPath(self._spec, fold, seed, tuple(commands))

  def close(self) -> None:
    """Ends the JVM if it is the source's own."""
    if self._own_jvm is not None:
      self._own_jvm.close()
      self._own_jvm = None

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exc_info) -> None:
    self.close()


def _changes(before: base.TextStep, after: base.TextStep) -> bool:
  """Whether a command did anything that the player can tell."""
  if after.score != before.score or after.terminated:
    return True
  return _knowledge(before) != _knowledge(after)


def _knowledge(step: base.TextStep) -> set[str]:
  """The facts but for the memory of the last commands."""
  facts = step.observation.facts
  return {fact for fact in facts if not fact.startswith(_MEMORY)}
