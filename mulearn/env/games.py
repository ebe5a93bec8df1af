"""The games on the device, by name: boards, games of one player, Atari."""

from collections.abc import Callable
import functools

from mulearn.env import atari, board, solo
from mulearn.env.base import Environment


def games_on_device() -> dict[str, Callable[[], Environment]]:
  """Boards and games of one player, by name; those of Atari ask the host."""
  return board.GAMES | solo.GAMES | atari.GAMES


@functools.cache  # One object a game, so that compiled programs are shared.
def make_environment(name: str) -> Environment:
  """The game on the device of that name.

  Raises:
    ValueError: if there is none.
    PackageNotFoundError: if what it is made of is not installed.
  """
  games = games_on_device()
  if name not in games:
    raise ValueError(
        f"config.env.name is {name!r}, which is no board game; there are"
        f" {', '.join(games)}."
    )
  return games[name]()


def action_size(environment: Environment) -> int:
  """D of continuous actions `[D]`; 0 where actions can be counted."""
  return getattr(environment, "action_size", 0)
