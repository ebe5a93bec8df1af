"""The symmetries of boards, as permutations: one position, seen in many ways.

A symmetry is data: where each cell and each action of the turned board comes
from. Row 0 is always the identity.
"""

from typing import NamedTuple

import numpy as np

from mulearn.env.hex import SIZES


class Symmetries(NamedTuple):
  """`G` ways to turn a board of `H x W` cells and `A` actions.

  Attributes:
    cells: the cell of the board that each cell of the turned one shows,
      `[G, H * W]`.
    actions: the same for actions, `[G, A]`.
  """

  cells: np.ndarray
  actions: np.ndarray


def identity(height: int, width: int, num_actions: int) -> Symmetries:
  """A game without symmetries."""
  return Symmetries(
      np.arange(height * width)[None], np.arange(num_actions)[None]
  )


def square(side: int) -> Symmetries:
  """The eight turns and mirrors of a square whose actions are its cells."""
  cells = np.arange(side * side).reshape(side, side)
  turned = [np.rot90(b, k) for b in (cells, cells.T) for k in range(4)]
  cells = np.stack([t.ravel() for t in turned])
  return Symmetries(cells, cells)


def pushes(side: int) -> Symmetries:
  """Those of a square, where actions push left, up, right and down."""
  cells = square(side).cells
  steps = np.array([-1, -side, 1, side])  # From a cell to its neighbours.
  inner = side + 1
  shown = cells[:, inner + steps] - cells[:, [inner]]
  return Symmetries(cells, np.argmax(shown[..., None] == steps, axis=-1))


def columns(height: int, width: int) -> Symmetries:
  """The board and its mirror image, for a game whose actions are columns."""
  cells = np.arange(height * width).reshape(height, width)
  cells = np.stack([cells.ravel(), cells[:, ::-1].ravel()])
  actions = np.stack([np.arange(width), np.arange(width)[::-1]])
  return Symmetries(cells, actions)


def rhombus(side: int) -> Symmetries:
  """The half turn of a board of Hex, whoever is to move."""
  cells = np.arange(side * side)
  cells = np.stack([cells, cells[::-1]])
  return Symmetries(cells, cells)


def othello() -> Symmetries:
  """The half turn and two mirrors that keep the opening; the pass stays."""
  cells = np.arange(64).reshape(8, 8)
  turned = [cells, cells.T, np.rot90(cells, 2), np.rot90(cells, 2).T]
  cells = np.stack([t.ravel() for t in turned])
  return _with_pass(Symmetries(cells, cells))


def go(side: int) -> Symmetries:
  """The eight turns and mirrors of a square; the pass stays."""
  return _with_pass(square(side))


def _with_pass(turns: Symmetries) -> Symmetries:
  """The same with one more action, which no symmetry moves."""
  actions = np.pad(
      turns.actions, ((0, 0), (0, 1)), constant_values=turns.actions.shape[1]
  )
  return Symmetries(turns.cells, actions)


# By the names of `board.GAMES` and `solo.GAMES`.
SYMMETRIES = {
    "tic_tac_toe": square(3),
    "connect_four": columns(6, 7),
    "othello": othello(),
    "go_9x9": go(9),
    "gardner_chess": identity(5, 5, 1225),  # Queen and king stand apart.
    "2048": pushes(4),
    **{f"hex_{size}": rhombus(size) for size in SIZES},
}
