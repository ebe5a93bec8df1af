"""A board in a picture: its cells, and the stones as people see them."""

from matplotlib import axes as mpl_axes
from matplotlib import patches
from matplotlib.typing import ColorType

from mulearn.evaluate.curves import COLOURS, GREY
from mulearn.explore.boards import Board

# Of no stone, of the first player's and of the second's.
STONES = ("", COLOURS[0], COLOURS[1])


def prepare(axes: mpl_axes.Axes, board: Board) -> None:
  """Makes room for the cells, and nothing else."""
  axes.set_xlim(-0.05, board.columns + 0.05)
  axes.set_ylim(board.rows + 0.05, -0.05)
  axes.set_aspect("equal")
  axes.set_xticks([])
  axes.set_yticks([])
  axes.spines[:].set_visible(False)


def draw_cell(
    axes: mpl_axes.Axes,
    board: Board,
    cell: int,
    *,
    face: ColorType,
    edge: str = GREY,
    width: float = 0.5,
) -> None:
  """Draws one cell, `width` being that of its frame in points."""
  row, column = divmod(cell, board.columns)
  axes.add_patch(
      patches.Rectangle(
          (column, row), 1, 1, facecolor=face, edgecolor=edge, linewidth=width
      )
  )


def draw_stone(
    axes: mpl_axes.Axes,
    board: Board,
    cell: int,
    stone: int,
    *,
    colour: str,
    size: float,
) -> None:
  """Draws the sign of a stone, if there is one: 1 or 2, whose it is.

  Args:
    axes: where.
    board: on which.
    cell: where on it.
    stone: whose, 0 for none.
    colour: of the sign.
    size: of the sign, in points.
  """
  if stone:
    row, column = divmod(cell, board.columns)
    axes.text(
        column + 0.5, row + 0.52, board.signs[stone - 1], ha="center",
        va="center", color=colour, fontsize=size, fontweight="bold",
    )  # fmt: skip
