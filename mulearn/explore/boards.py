"""How people see and name what happens on a board.

The environments show a board to the player to move; people want one board on
the table, with the first player's stones and the second's, and names such as
"b3" for moves. Columns are letters from the left, rows numbers from the top; a
move of connect four is the number of its column.
"""

import dataclasses
import string

import numpy as np

# Names of the players, the first to move first, and their signs in a terminal.
_PLAYERS = {
    "tic_tac_toe": (("X", "O"), "XO"),
    "connect_four": (("yellow", "red"), "XO"),
    "othello": (("black", "white"), "XO"),
    "go_9x9": (("black", "white"), "XO"),
    "hex": (("red", "blue"), "XO"),
}
_SHAPES = {
    "tic_tac_toe": (3, 3),
    "connect_four": (6, 7),
    "othello": (8, 8),
    "go_9x9": (9, 9),
}


@dataclasses.dataclass(frozen=True)
class Board:
  """The board of a game, as it lies on the table.

  Attributes:
    kind: the game; "hex" for Hex of any size.
    rows: of cells.
    columns: of cells.
    players: what the first and the second player are called.
    signs: of their stones in a terminal.
  """

  kind: str
  rows: int
  columns: int
  players: tuple[str, str]
  signs: str

  @classmethod
  def of(cls, game: str) -> "Board":
    """The board of a game of `env.board.GAMES`.

    Raises:
      ValueError: nobody has said how that game is drawn.
    """
    kind, _, size = game.partition("_")
    if kind == "hex" and size.isdecimal():
      return cls("hex", int(size), int(size), *_PLAYERS["hex"])
    if game not in _SHAPES:
      raise ValueError(
          f"No picture of the board of {game!r} is known; there are"
          f" {', '.join(_SHAPES)} and hex. Add it to mulearn/explore/boards.py."
      )
    return cls(game, *_SHAPES[game], *_PLAYERS[game])

  def stones(self, planes: np.ndarray, mover: int) -> np.ndarray:
    """Whose stone lies on each cell.

    Args:
      planes: the observation, bool `[H, W, C]`: first the stones of the player
        to move, then those of the other.
      mover: who that is, 0 for the first player and 1 for the second.

    Returns:
      int8 `[rows * columns]`: 0 for an empty cell, 1 for a stone of the first
      player, 2 for one of the second.
    """
    planes = np.asarray(planes, bool)
    if self.kind == "hex" and mover == 1:  # They see it turned.
      planes = planes.transpose(1, 0, 2)
    first, second = planes[..., mover], planes[..., 1 - mover]
    return (first + 2 * second).astype(np.int8).ravel()

  def cell(self, stones: np.ndarray, mover: int, action: int) -> int:
    """The cell that gets a stone, or -1 for a move that puts none.

    Args:
      stones: as `stones` gives them, `[rows * columns]`.
      mover: 0 or 1.
      action: of the environment.

    Returns:
      Its number, row by row.
    """
    if self.kind == "connect_four":
      free = np.flatnonzero(stones[action :: self.columns] == 0)
      return int(free[-1]) * self.columns + action if free.size else -1
    if self.kind == "hex" and mover == 1:
      row, column = divmod(action, self.columns)
      return column * self.columns + row
    return action if action < self.rows * self.columns else -1

  def name(self, mover: int, action: int) -> str:
    """What a move is called."""
    if self.kind == "connect_four":
      return str(action + 1)
    if action >= self.rows * self.columns:
      return "pass"
    cell = self.cell(np.zeros(self.rows * self.columns, np.int8), mover, action)
    row, column = divmod(cell, self.columns)
    return f"{string.ascii_lowercase[column]}{row + 1}"

  def action(self, mover: int, name: str) -> int | None:
    """The move of a name, or None where there is no such move."""
    moves = self.columns if self.kind == "connect_four" else self.num_actions
    for action in range(moves):
      if self.name(mover, action) == name.strip().lower():
        return action
    return None

  @property
  def num_actions(self) -> int:
    """A, as the environment counts them."""
    if self.kind == "connect_four":
      return self.columns
    passes = self.kind in ("othello", "go_9x9")
    return self.rows * self.columns + passes
