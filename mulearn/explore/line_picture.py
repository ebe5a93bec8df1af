"""A line of moves on the real board, above the same line as imagined."""

from collections.abc import Sequence
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import colormaps, ticker
from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK
from mulearn.explore import board_axes
from mulearn.explore.boards import Board
from mulearn.explore.imagined_line import Glimpse

_WRONG = COLOURS[1]
_PALE = "#b0b0b0"


def draw_line(
    path_png: str | os.PathLike[str], board: Board, line: Sequence[Glimpse]
) -> None:
  """Draws a column a position, and an SVG beside the PNG.

  Above: the board. Middle: the probability with which a stone may be put on a
  cell, as imagined, over pale stones that are really there; a cell that is
  judged wrongly has a frame. Below: value for the first player.

  Args:
    path_png: the picture; its folder is created.
    board: how the stones lie.
    line: what `imagined_line.imagine_line` returned.
  """
  count = len(line)
  figure = mpl_figure.Figure(
      figsize=(0.9 + 0.95 * count, 3.9), dpi=220, layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  grid = figure.add_gridspec(3, count, height_ratios=(1.0, 1.0, 1.1))
  for k, glimpse in enumerate(line):
    real, imagined = (figure.add_subplot(grid[row, k]) for row in (0, 1))
    _draw_real(real, board, glimpse)
    _draw_imagined(imagined, board, glimpse)
    if k == 0:
      real.set_ylabel("the game", fontsize=FONT_SIZE, color=INK)
      imagined.set_ylabel("imagined", fontsize=FONT_SIZE, color=INK)
  _draw_values(figure.add_subplot(grid[2, :]), board, line)
  curves.save(figure, pathlib.Path(path_png))


def _draw_real(axes: mpl_axes.Axes, board: Board, glimpse: Glimpse) -> None:
  board_axes.prepare(axes, board)
  axes.set_title(glimpse.move or "start", fontsize=FONT_SIZE, color=INK, pad=3)
  for cell, stone in enumerate(glimpse.stones):
    is_last = cell == glimpse.last
    board_axes.draw_cell(
        axes, board, cell, face="#ececec" if is_last else "white"
    )
    board_axes.draw_stone(
        axes,
        board,
        cell,
        stone,
        colour=board_axes.STONES[stone],
        size=27 / board.rows,
    )
  axes.set_xlabel(
      "over" if glimpse.is_over else "", fontsize=FONT_SIZE - 1, color=INK
  )


def _draw_imagined(axes: mpl_axes.Axes, board: Board, glimpse: Glimpse) -> None:
  board_axes.prepare(axes, board)
  shade = colormaps["Blues"]
  for cell, probability in enumerate(glimpse.imagined_open):
    board_axes.draw_cell(axes, board, cell, face=shade(0.65 * probability))
    board_axes.draw_stone(
        axes,
        board,
        cell,
        glimpse.stones[cell],
        colour=_PALE,
        size=27 / board.rows,
    )
  for cell, probability in enumerate(glimpse.imagined_open):
    # Nothing may be played once the game is over, and nobody asks.
    wrong = (probability > 0.5) != glimpse.is_open[cell]
    if wrong and not glimpse.is_over:
      board_axes.draw_cell(
          axes, board, cell, face="none", edge=_WRONG, width=1.8
      )
  text = f"over: {100 * glimpse.imagined_over:.0f} %" if glimpse.move else ""
  is_wrong = (glimpse.imagined_over > 0.5) != glimpse.is_over
  axes.set_xlabel(
      text, fontsize=FONT_SIZE - 1, color=_WRONG if is_wrong else INK
  )


def _draw_values(
    axes: mpl_axes.Axes, board: Board, line: Sequence[Glimpse]
) -> None:
  steps = range(len(line))
  true = [g.value for g in line if g.value is not None]
  if true:  # All of them, or none where nobody has solved the game.
    axes.plot(
        steps, true, color=INK, linewidth=2.6, alpha=0.3, label="true"
    )  # fmt: skip
  axes.plot(
      steps, [g.seen_value for g in line], color=COLOURS[2], marker="^",
      markersize=4, linewidth=1.2, linestyle=(0, (3, 2)),
      label="network, seeing the board",
  )  # fmt: skip
  axes.plot(
      steps, [g.imagined_value for g in line], color=COLOURS[0], marker="o",
      markersize=4, linewidth=1.4, label="network, imagining",
  )  # fmt: skip
  axes.set_xlim(-0.5, len(line) - 0.5)
  axes.set_ylim(-1.12, 1.12)
  axes.set_xticks(steps)
  axes.yaxis.set_major_locator(ticker.MultipleLocator(1.0))
  axes.set_xlabel("moves imagined", fontsize=FONT_SIZE, color=INK)
  axes.set_ylabel(
      f"value for {board.players[0]}", fontsize=FONT_SIZE, color=INK
  )
  axes.legend(
      fontsize=FONT_SIZE - 1, frameon=False, labelcolor=INK, ncols=3,
      loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2,
  )  # fmt: skip
  curves.finish_axes(axes)
