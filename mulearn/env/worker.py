"""The child process of `env.pool`: one JVM with its lanes and spare games.

Started as `python -m mulearn.env.worker FD`, where FD is an inherited socket.
The first message says which games to hold; then each request is answered by one
message. When the parent is gone, however it went, the socket ends, and so do
the worker and its JVM. JAX is not imported here.
"""

from collections.abc import Callable, Sequence
import contextlib
import dataclasses
from multiprocessing import connection
import signal
import sys
from typing import Any

from mulearn.env import base, text
from mulearn.env import jvm as jvm_lib

# An answer is a step, or the error that the request made.
Answer = base.TextStep | Exception


@dataclasses.dataclass(frozen=True)
class Setup:
  """The first message to a worker.

  Attributes:
    spec: the family of games.
    lanes: names of the lanes to hold.
    num_spares: number of spare games for branching.
    histories: lanes to restore before the worker reports that it is ready.
  """

  spec: base.GameSpec
  lanes: tuple[int, ...]
  num_spares: int
  histories: dict[int, base.History]


class Games:
  """The games of one worker."""

  def __init__(self, setup: Setup, jvm: jvm_lib.Jvm):
    self._lanes = {
        lane: text.TextWorldGame(setup.spec, jvm) for lane in setup.lanes
    }
    self._spares = [
        _Spare(text.TextWorldGame(setup.spec, jvm))
        for _ in range(setup.num_spares)
    ]
    for lane, history in setup.histories.items():
      replay(self._lanes[lane], history)

  def answer(self, kind: str, requests: dict[int, Any]) -> dict[int, Answer]:
    """Answers one request.

    Args:
      kind: "reset", "step", "restore" or "branch".
      requests: for each lane `(seed, fold)`, a command, or a history; for each
        branch `(slot, history)`.

    Returns:
      An answer for each key.
    """
    lanes, spares = self._lanes, self._spares
    actions: dict[str, Callable[[int, Any], base.TextStep]] = {
        "reset": lambda lane, start: lanes[lane].reset(*start),
        "step": lambda lane, command: lanes[lane].step(command),
        "restore": lambda lane, history: replay(lanes[lane], history),
        "branch": lambda _, branch: spares[branch[0]].visit(branch[1]),
    }
    return {
        key: _attempt(actions[kind], key, request)
        for key, request in requests.items()
    }


class _Spare:
  """A game that goes to histories, from where it stands if it can."""

  def __init__(self, game: text.TextWorldGame):
    self._game = game
    self._history: base.History | None = None
    self._last: base.TextStep | None = None

  def visit(self, history: base.History) -> base.TextStep:
    """Goes to a history; a continuation costs its new commands only."""
    rest = continuation(self._history, history)
    last = self._last
    if rest is None or last is None:
      last = self._game.reset(*history[:2])
      rest = history[2]
    # Nothing is known of where the game stands if a command fails.
    self._history = None
    for command in rest:
      last = self._game.step(command)
    self._history, self._last = history, last
    return last


def continuation(
    start: base.History | None, history: base.History
) -> tuple[str, ...] | None:
  """Returns the commands that lead from one history to another.

  Args:
    start: where a game stands; None if that is unknown.
    history: where it should go.

  Returns:
    The remaining commands, or None if `history` does not continue `start`.
  """
  if start is None or start[:2] != history[:2]:
    return None
  length = len(start[2])
  if history[2][:length] != start[2]:
    return None
  return history[2][length:]


def replay(game: text.TextWorldGame, history: base.History) -> base.TextStep:
  """Resets a game and gives the commands of a history.

  Args:
    game: the game.
    history: its seed, its fold, and the commands.

  Returns:
    The last step.
  """
  seed, fold, commands = history
  step = game.reset(seed, fold)
  for command in commands:
    step = game.step(command)
  return step


def serve(channel: connection.Connection) -> None:
  """Holds games and answers requests until the channel ends.

  Args:
    channel: where the setup and the requests come from.
  """
  setup = channel.recv()
  with contextlib.ExitStack() as stack:
    try:
      jvm = stack.enter_context(jvm_lib.Jvm())
      games = Games(setup, jvm)
    except (ValueError, RuntimeError, OSError) as error:
      channel.send(("refused", error))
      return
    channel.send(("ready", jvm.pid))
    while True:
      kind, requests = channel.recv()
      channel.send(("answers", games.answer(kind, requests)))


def _attempt(
    action: Callable[[int, Any], base.TextStep], key: int, request: Any
) -> Answer:
  """Turns the caller's mistakes into answers; a broken JVM ends the worker."""
  try:
    return action(key, request)
  except (ValueError, RuntimeError) as error:
    return error


def main(argv: Sequence[str]) -> None:
  """Serves on the socket whose file descriptor is given."""
  # Ctrl-C goes to the whole group; the parent decides what becomes of us.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  with contextlib.suppress(EOFError, ConnectionError):
    serve(connection.Connection(int(argv[1])))


if __name__ == "__main__":
  main(sys.argv)
