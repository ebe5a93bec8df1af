"""TextWorldExpress games behind the `TextGame` contract.

The simulator (Jansen and Cote, 2022, https://arxiv.org/abs/2208.01174) gives a
description of the room, the inventory, a normalised score and the admissible
commands in random order. The game here sorts the commands, takes differences of
the score as rewards, counts the steps, and words what the player knows.
"""

from typing import Any

import orjson

from mulearn.env import base
from mulearn.env import journal as journal_lib
from mulearn.env import jvm as jvm_lib

GAMES = ("twc", "cookingworld", "mapreader", "coin")


class TextWorldGame:
  """One game of TextWorldExpress; see `base.TextGame`."""

  def __init__(self, spec: base.GameSpec, jvm: jvm_lib.Jvm | None = None):
    """Loads a family of games.

    Args:
      spec: which family.
      jvm: a running JVM to share; a new one, closed with the game, if None.

    Raises:
      JavaNotFoundError: there is no Java runtime.
      ValueError: the simulator does not know the game or refuses its settings.
    """
    self._spec = spec
    self._own_jvm: jvm_lib.Jvm | None = None
    if jvm is None:
      jvm = self._own_jvm = jvm_lib.Jvm()
    self._interface = load_interface(spec, jvm)
    self._journal = journal_lib.Journal("")
    self._num_steps = 0
    self._last: base.TextStep | None = None

  def reset(self, seed: int, fold: str) -> base.TextStep:
    """Starts the game with this seed of this fold."""
    base.check_seed(seed, fold)
    # False: no gold path is computed, so none can be asked of this game.
    answer = self._interface.generateNewGameJSON(seed, fold, False)
    self._journal = journal_lib.Journal(self._interface.getTaskDescription())
    self._num_steps = 0
    self._best = 0.0
    self._last = None
    return self._read(orjson.loads(answer))

  def step(self, command: str) -> base.TextStep:
    """Gives one command.

    Args:
      command: one of the last observation's `commands`.

    Returns:
      What the game answers.

    Raises:
      RuntimeError: the game was never reset, or is over.
      ValueError: the command is not admissible; the game is unchanged.
    """
    check_command(self._last, command)
    fields = orjson.loads(self._interface.stepJSON(command))
    self._num_steps += 1
    self._journal.record(command, fields["observation"])
    return self._read(fields)

  def close(self) -> None:
    """Ends the JVM if it is the game's own."""
    if self._own_jvm is not None:
      self._own_jvm.close()
      self._own_jvm = None

  def _read(self, fields: dict[str, Any]) -> base.TextStep:
    """Turns the simulator's answer into a step."""
    success = fields["tasksuccess"]
    terminated = success or fields["taskfailure"]
    # A game that has been failed may be scored below nothing.
    score = max(0.0, fields["score"])
    reward, self._best = max(0.0, score - self._best), max(self._best, score)
    self._last = base.TextStep(
        observation=self._journal.observe(
            fields["look"], fields["inventory"], fields["validActions"]
        ),
        reward=reward,
        terminated=terminated,
        truncated=not terminated and self._num_steps >= self._spec.step_limit,
        score=score,
        success=success,
    )
    return self._last


def load_interface(spec: base.GameSpec, jvm: jvm_lib.Jvm) -> Any:
  """Makes a simulator interface for a family of games.

  Args:
    spec: which family.
    jvm: the JVM to hold it.

  Returns:
    The Java object.

  Raises:
    ValueError: the simulator does not know the game or refuses its settings.
  """
  if spec.name not in GAMES:
    raise ValueError(
        f"Unknown text game {spec.name!r}; expected one of {', '.join(GAMES)}."
    )
  if spec.step_limit < 1:
    raise ValueError(f"step_limit must be at least 1, got {spec.step_limit}.")
  interface = jvm.interface()
  params = ",".join(f"{name}={value}" for name, value in spec.params)
  complaint = interface.load(spec.name, params)
  if complaint:
    raise ValueError(f"{spec.name} refuses {params!r}: {complaint}")
  return interface


def check_command(last: base.TextStep | None, command: str) -> None:
  """Checks that a command may be given after a step.

  Args:
    last: the game's last answer; None if it was never reset.
    command: the command to give.

  Raises:
    RuntimeError: the game was never reset, or is over.
    ValueError: the command is not admissible.
  """
  if last is None:
    raise RuntimeError("The game has not begun; call reset first.")
  if last.terminated or last.truncated:
    raise RuntimeError(f"The game is over; reset it before {command!r}.")
  if command not in last.observation.commands:
    raise ValueError(
        f"{command!r} is not admissible here; the admissible commands are"
        f" {', '.join(last.observation.commands)}."
    )
