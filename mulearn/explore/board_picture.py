"""Decisions on a board: where search would play, and what it changed.

Above each board stands who is to move; its cells are as dark as search would
play there. Below, each move before and after search.
"""

from collections.abc import Sequence
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import colormaps, ticker
from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg
import numpy as np

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK
from mulearn.explore import board_axes
from mulearn.explore.boards import Board
from mulearn.explore.record import BoardSight, Node, Step

_MOST_MOVES = 9  # of the bars
_WORTH_SAYING = 0.05  # A smaller share is not written into its cell.
_BEFORE, _AFTER = "#b0b0b0", COLOURS[0]


def draw_decisions(
    path_png: str | os.PathLike[str], board: Board, steps: Sequence[Step]
) -> None:
  """Draws a column a decision, and an SVG beside the PNG.

  Args:
    path_png: the picture; its folder is created.
    board: how the stones lie.
    steps: searches on it, as `board_episode.Thinker.think` records them.

  Raises:
    ValueError: there is no decision, or one that was not made on a board.
  """
  if not steps:
    raise ValueError("There is no decision to draw; pass one Step or more.")
  figure = mpl_figure.Figure(
      figsize=(0.5 + 2.1 * len(steps), 3.6), dpi=220, layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  # Bars of several decisions share their scale, so that they can be compared.
  panels = figure.subplots(
      2, len(steps), squeeze=False, height_ratios=(1.7, 1.0), sharey="row"
  )
  for step, (upper, lower) in zip(steps, panels.T):
    moves = [node for node in step.nodes if node.parent == 0]
    _draw_board(upper, board, step, moves)
    _draw_bars(lower, moves)
  panels[1, 0].set_ylabel("probability", fontsize=FONT_SIZE, color=INK)
  figure.legend(
      *panels[1, 0].get_legend_handles_labels(), fontsize=FONT_SIZE - 1,
      frameon=False, labelcolor=INK, ncols=2, loc="outside lower center",
  )  # fmt: skip
  curves.save(figure, pathlib.Path(path_png))


def _draw_board(
    axes: mpl_axes.Axes, board: Board, step: Step, moves: Sequence[Node]
) -> None:
  if not isinstance(step.sight, BoardSight):
    raise ValueError(
        "A decision was made on a text, expected one on a board; draw a text's"
        " search with evaluate.tree_picture."
    )
  board_axes.prepare(axes, board)
  sign, player = board.signs[step.mover], board.players[step.mover]
  who = player if player == sign else f"{player} ({sign})"
  axes.set_title(
      f"{who} to move\nvalue {step.judged:+.2f}, after search"
      f" {step.value:+.2f}",
      fontsize=FONT_SIZE, color=INK, pad=3,
  )  # fmt: skip
  share = {node.cell: node.policy or 0.0 for node in moves if node.cell >= 0}
  shade = colormaps["Blues"]
  for cell, stone in enumerate(step.sight.stones):
    face = shade(0.65 * share[cell]) if cell in share else "white"
    board_axes.draw_cell(axes, board, cell, face=face)
    board_axes.draw_stone(
        axes,
        board,
        cell,
        stone,
        colour=board_axes.STONES[stone],
        size=60 / board.rows,
    )
  for cell, probability in share.items():
    if probability >= _WORTH_SAYING:
      row, column = divmod(cell, board.columns)
      axes.text(
          column + 0.5, row + 0.52, f"{100 * probability:.0f}", ha="center",
          va="center", color=INK, fontsize=min(FONT_SIZE, 40 / board.rows),
      )  # fmt: skip
  for node in moves:
    if node.chosen and node.cell >= 0:
      board_axes.draw_cell(
          axes, board, node.cell, face="none", edge=COLOURS[1], width=1.8
      )


def _draw_bars(axes: mpl_axes.Axes, moves: Sequence[Node]) -> None:
  best = sorted(moves, key=lambda n: -max(n.prior, n.policy or 0.0))
  shown = best[:_MOST_MOVES]
  shown.sort(key=lambda n: (len(n.label), n.label))
  places = np.arange(len(shown))
  axes.bar(
      places - 0.2, [n.prior for n in shown], 0.4, color=_BEFORE,
      label="before search",
  )  # fmt: skip
  axes.bar(
      places + 0.2, [n.policy or 0.0 for n in shown], 0.4, color=_AFTER,
      label="after search",
  )  # fmt: skip
  axes.set_xticks(places, [n.label for n in shown])
  axes.set_ylim(0.0, 1.02)
  axes.yaxis.set_major_locator(ticker.MultipleLocator(0.5))
  curves.finish_axes(axes)
