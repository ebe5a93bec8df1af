"""How often perfect play is left at connect four, by set of positions.

`mistakes.png` follows runs while they learn; the heatmap holds their ends, the
bare policy's and what is published beside each other.
"""

from collections.abc import Mapping, Sequence
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import colors, ticker
from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg
import numpy as np

from mulearn.evaluate import curves as curves_lib
from mulearn.evaluate import position_sets, results
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, GREY, INK
from mulearn.evaluate.results import Curve

# AlphaZero.jl, 600 simulations, 5 blocks of 128 filters, read off its figure:
# https://jonathan-laurent.github.io/AlphaZero.jl/stable/tutorial/connect_four/
PUBLISHED = {
    "end-easy": 0.0,
    "middle-easy": 0.0,
    "middle-medium": 0.028,
    "begin-easy": 0.0,
    "begin-medium": 0.02,
    "begin-hard": 0.075,
}
# Minimax of five plies, from the same page.
PUBLISHED_MINIMAX = {
    "end-easy": 0.017,
    "middle-easy": 0.007,
    "middle-medium": 0.092,
    "begin-easy": 0.014,
    "begin-medium": 0.073,
    "begin-hard": 0.235,
}
_LEAST = 1e-3  # One of a thousand positions; below it the axis is linear.
_POLICY_DASHES = (0, (3, 2))


def read_curves(folder: pathlib.Path) -> dict[str, list[Curve]]:
  """The curves of runs of connect four; see `results.read_runs`.

  Args:
    folder: of the results of an experiment.

  Returns:
    For each arm, one curve a seed: points with `env_steps` and, for each set,
    `mistake/<set>` and `policy_mistake/<set>`.

  Raises:
    ValueError: there are none, or they are of another game.
  """
  curves = results.read_runs(folder)
  for arm, seeds in curves.items():
    for name in position_sets.NAMES:
      if any(f"mistake/{name}" not in curve[-1] for curve in seeds):
        raise ValueError(
            f"{folder / arm} tells nothing of the set {name!r}; mistakes by set"
            " are known of connect four alone."
        )
  return curves


def choose(
    curves: Mapping[str, Sequence[Curve]], arms: Sequence[str] = ()
) -> dict[str, Sequence[Curve]]:
  """The curves of some arms, in their order; of all, where none is named.

  Args:
    curves: what `read_curves` returned.
    arms: their names.

  Raises:
    ValueError: there is no such arm, or there are more than colours.
  """
  if set(arms) - set(curves) or len(arms or curves) > len(COLOURS):
    raise ValueError(
        f"The arms are {', '.join(curves)}, and {', '.join(arms) or 'all'} were"
        f" asked for. Name up to {len(COLOURS)} of them (--arms): a picture of"
        " curves has no more colours."
    )
  return {arm: curves[arm] for arm in arms or curves}


def draw_mistakes(
    path_png: str | os.PathLike[str], curves: Mapping[str, Sequence[Curve]]
) -> None:
  """Draws a panel a set, a colour an arm, a line a seed, and an SVG.

  Dashed is the bare policy, without search; grey is what is published of
  AlphaZero.jl. Mistakes are on a logarithmic axis, linear below 1 of 1,000.

  Args:
    path_png: the picture; its folder is created.
    curves: what `choose` returned.
  """
  path_png = pathlib.Path(path_png)
  figure = mpl_figure.Figure(figsize=(8.4, 4.6), dpi=220, layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  panels = figure.subplots(2, 3, sharex=True, sharey=True)
  for axes, name in zip(panels.flat, position_sets.NAMES, strict=True):
    for (arm, seeds), colour in zip(curves.items(), COLOURS):
      for i, curve in enumerate(seeds):
        moves = [point["env_steps"] / 1e6 for point in curve]
        style = {"color": colour, "linewidth": 1.2}
        axes.plot(
            moves, [p[f"policy_mistake/{name}"] for p in curve], alpha=0.5,
            linestyle=_POLICY_DASHES, **style,
        )  # fmt: skip
        axes.plot(
            moves, [p[f"mistake/{name}"] for p in curve],
            label=None if i else arm, **style,
        )  # fmt: skip
    axes.axhline(PUBLISHED[name], color=GREY, linewidth=1.0)
    _finish(axes, name)
  panels[0, 0].plot(
      [], [], color=INK, alpha=0.5, linestyle=_POLICY_DASHES,
      label="policy, no search",
  )  # fmt: skip
  panels[0, 0].plot([], [], color=GREY, label="AlphaZero.jl, 600 simulations")
  for axes in panels[1]:
    axes.set_xlabel("moves played, millions", fontsize=FONT_SIZE, color=INK)
  handles, labels = panels[0, 0].get_legend_handles_labels()
  figure.legend(
      handles, labels, loc="outside lower center", ncols=4, frameon=False,
      fontsize=FONT_SIZE - 1, labelcolor=INK,
  )  # fmt: skip
  curves_lib.save(figure, path_png)


def final_mistakes(
    curves: Mapping[str, Sequence[Curve]],
) -> dict[str, dict[str, float]]:
  """The rows of the heatmap: what runs ended with, and what is published.

  Args:
    curves: what `read_curves` returned.

  Returns:
    For each player the share of mistakes in each set, mean over the seeds.
  """
  rows = {}
  for arm, seeds in curves.items():
    ends = [curve[-1] for curve in seeds]
    for words, key in (("", "mistake/"), (", no search", "policy_mistake/")):
      rows[f"{arm}{words}"] = {
          name: sum(end[key + name] for end in ends) / len(ends)
          for name in position_sets.NAMES
      }
  return rows | {
      "AlphaZero.jl, 600 sim.": dict(PUBLISHED),
      "minimax, 5 plies": dict(PUBLISHED_MINIMAX),
  }


def draw_heatmap(
    path_png: str | os.PathLike[str], rows: Mapping[str, Mapping[str, float]]
) -> None:
  """Draws the share of mistakes, a row a player and a column a set.

  The shade is logarithmic from 1 of 1,000 positions to half of them, and every
  cell says its percentage, so nothing rests on colour.

  Args:
    path_png: the picture; its folder is created, an SVG is written beside it.
    rows: for each player the share in each set, as `final_mistakes` gives them.
  """
  height = 0.9 + 0.3 * len(rows)
  figure = mpl_figure.Figure(
      figsize=(5.2, height), dpi=220, layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  names = position_sets.NAMES
  shares = np.array([[row[name] for name in names] for row in rows.values()])
  scale = colors.LogNorm(vmin=_LEAST, vmax=0.5, clip=True)
  axes.imshow(
      np.maximum(shares, _LEAST), cmap="Blues", norm=scale, aspect="auto"
  )
  for (y, x), share in np.ndenumerate(shares):
    is_dark = scale(max(share, _LEAST)) > 0.6
    axes.text(
        x, y, f"{100 * share:.1f} %", ha="center", va="center",
        fontsize=FONT_SIZE, color="white" if is_dark else INK,
    )  # fmt: skip
  axes.set_xticks(
      range(len(names)), [name.replace("-", "\n") for name in names]
  )
  axes.set_yticks(range(len(rows)), list(rows))
  axes.tick_params(labelsize=FONT_SIZE, colors=INK, length=0, labeltop=True)
  axes.tick_params(axis="x", labelbottom=False)
  axes.set_xlabel(
      "moves that worsen the value of the game", fontsize=FONT_SIZE, color=INK
  )
  axes.spines[:].set_visible(False)
  curves_lib.save(figure, pathlib.Path(path_png))


def _finish(axes: mpl_axes.Axes, name: str) -> None:
  axes.set_title(name, fontsize=FONT_SIZE, color=INK, loc="left")
  axes.set_yscale("symlog", linthresh=_LEAST, linscale=0.5)
  axes.set_ylim(bottom=-_LEAST / 4, top=1.0)
  axes.set_yticks([0.0, 0.001, 0.01, 0.1, 1.0])
  axes.yaxis.set_major_formatter(
      ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %")
  )
  axes.yaxis.set_minor_locator(ticker.NullLocator())
  curves_lib.finish_axes(axes)
