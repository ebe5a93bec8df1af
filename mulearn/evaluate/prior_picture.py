"""What language suggests and what search makes of it, as three pictures.

One decision with the probabilities of its commands under several policies; many
decisions at once, each by the probability of the command that solves the game;
and how the language model is best asked.
"""

from collections.abc import Mapping, Sequence
import os
import pathlib

from matplotlib import figure as mpl_figure
from matplotlib import ticker
from matplotlib.backends import backend_agg
import numpy as np

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, GREY, INK, MARKERS
from mulearn.prior.calibrate import Row

_MAX_COMMANDS = 10


def draw_choice(
    path_png: str | os.PathLike[str],
    commands: Sequence[str],
    policies: Mapping[str, Sequence[float]],
    gold: str | None = None,
) -> None:
  """Draws the commands of one decision, a bar for each policy, and an SVG.

  The likeliest ten commands of all policies are shown, and `gold` in any case,
  in bold with a star.

  Args:
    path_png: the picture; its folder is created.
    commands: the A admissible commands.
    policies: probabilities of the commands by name, `[A]` each.
    gold: the command that the game's own solution gives here.
  """
  table = np.array([np.asarray(p, np.float64) for p in policies.values()])
  order = np.argsort(-table.max(axis=0), kind="stable").tolist()
  shown = order[:_MAX_COMMANDS]
  if gold is not None and commands.index(gold) not in shown:
    shown[-1] = commands.index(gold)
  thickness = 0.8 / len(policies)
  figure = mpl_figure.Figure(
      figsize=(5.2, 0.8 + len(shown) * (0.1 + 0.11 * len(policies))),
      dpi=220,
      layout="constrained",
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for i, (name, row) in enumerate(zip(policies, table)):
    heights = np.arange(len(shown)) + thickness * (i - (len(policies) - 1) / 2)
    axes.barh(
        heights, row[shown], height=thickness * 0.92,
        color=COLOURS[i % len(COLOURS)], label=name,
    )  # fmt: skip
  names = [commands[i] + (" ★" if commands[i] == gold else "") for i in shown]
  axes.set_yticks(range(len(shown)), names)
  for label, i in zip(axes.get_yticklabels(), shown):
    label.set_fontweight("bold" if commands[i] == gold else "normal")
  axes.invert_yaxis()
  axes.set_xlim(0.0, 1.0)
  axes.set_xlabel("probability", fontsize=FONT_SIZE, color=INK)
  curves.finish_axes(axes)
  axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
  axes.grid(axis="y", visible=False)
  if len(policies) > 1:
    figure.legend(
        loc="outside lower center", ncols=2, frameon=False,
        fontsize=FONT_SIZE - 1, labelcolor=INK,
    )  # fmt: skip
  hidden = len(commands) - len(shown)
  if hidden:
    axes.set_title(
        f"{hidden} less likely commands are not shown", fontsize=FONT_SIZE - 1,
        color=GREY, loc="right",
    )  # fmt: skip
  curves.save(figure, pathlib.Path(path_png))


def draw_help(
    path_png: str | os.PathLike[str],
    suggested: Sequence[float],
    found: Mapping[str, Sequence[float]],
) -> None:
  """Draws decisions by the probability of the command that solves the game.

  Across: under the language model alone. Up: after search, a colour and marker
  each way to search. Above the diagonal search improved on the suggestion; a
  command is the favourite for certain where it has more than a half.

  Args:
    path_png: the picture; its folder is created, an SVG is written beside it.
    suggested: of each of N decisions, `[N]`.
    found: by name the same after search, `[N]` each.
  """
  figure = mpl_figure.Figure(figsize=(3.9, 3.9), dpi=220, layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
  for half in (axes.axhline, axes.axvline):
    half(0.5, color=GREY, linewidth=0.6, linestyle=(0, (3, 3)))
  for (name, values), colour, marker in zip(found.items(), COLOURS, MARKERS):
    axes.plot(
        suggested, values, marker, color=colour, markersize=4.5, alpha=0.75,
        markeredgecolor="white", markeredgewidth=0.4, label=name,
    )  # fmt: skip
  for x, y, words in (
      (0.25, 1.03, "mended by search"), (0.75, 1.03, "both right"),
      (0.25, -0.055, "both wrong"), (0.75, -0.055, "spoilt by search"),
  ):  # fmt: skip
    axes.text(
        x, y, words, ha="center", va="center", fontsize=FONT_SIZE - 1,
        color=GREY,
    )  # fmt: skip
  axes.set_xlim(-0.02, 1.02)
  axes.set_ylim(-0.09, 1.07)
  axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
  axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
  axes.set_xlabel(
      "right command: language model alone", fontsize=FONT_SIZE, color=INK
  )
  axes.set_ylabel("right command: after search", fontsize=FONT_SIZE, color=INK)
  curves.finish_axes(axes)
  axes.grid(visible=False)
  figure.legend(
      loc="outside lower center", ncols=len(found), frameon=False,
      fontsize=FONT_SIZE - 1, labelcolor=INK,
  )  # fmt: skip
  curves.save(figure, pathlib.Path(path_png))


def draw_calibration(
    path_png: str | os.PathLike[str],
    rows: Sequence[Row],
    uniform_nats: float,
) -> None:
  """Draws how likely demonstrated commands are, by method and prompt.

  A dot is one prompt with one method at its best temperature; the dashed line
  is a uniform prior, right of which an answer is worse than none.

  Args:
    path_png: the picture; its folder is created, an SVG is written beside it.
    rows: of `calibrate.calibrate`.
    uniform_nats: of `calibrate.uniform_nats`.
  """
  best: dict[str, float] = {}
  for row in rows:
    method = row.scoring.method
    best[method] = min(best.get(method, np.inf), row.nats)
  methods = sorted(best, key=best.get)
  prompts = sorted({row.scoring.prompt for row in rows})
  figure = mpl_figure.Figure(
      figsize=(5.2, 1.2 + 0.26 * len(methods)), dpi=220, layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  axes.axvline(uniform_nats, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
  axes.text(
      uniform_nats, -0.75, "uniform", fontsize=FONT_SIZE - 1, color=GREY,
      ha="center", va="bottom",
  )  # fmt: skip
  markers = (*MARKERS, "P")
  colours = (*COLOURS, GREY)
  for i, prompt in enumerate(prompts):
    mine = [row for row in rows if row.scoring.prompt == prompt]
    axes.plot(
        [row.nats for row in mine],
        [methods.index(row.scoring.method) for row in mine],
        markers[i % len(markers)], color=colours[i % len(colours)],
        markersize=5.5, alpha=0.85, markeredgecolor="white",
        markeredgewidth=0.4, label=prompt,
    )  # fmt: skip
  axes.set_yticks(range(len(methods)), methods)
  axes.set_ylim(len(methods) - 0.5, -0.7)
  axes.set_xlim(left=0.0)
  axes.set_xlabel(
      "nats of a demonstrated command (left is better)", fontsize=FONT_SIZE,
      color=INK,
  )  # fmt: skip
  axes.xaxis.set_major_locator(ticker.MultipleLocator(0.5))
  curves.finish_axes(axes)
  axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
  figure.legend(
      loc="outside lower center", ncols=min(len(prompts), 3), frameon=False,
      fontsize=FONT_SIZE - 1, labelcolor=INK,
      title="prompt", title_fontsize=FONT_SIZE - 1,
  )  # fmt: skip
  curves.save(figure, pathlib.Path(path_png))
