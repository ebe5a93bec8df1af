"""mistakes.png: how often perfect play is left, by set, while a run learns."""

from collections.abc import Mapping, Sequence
import json
import os
import pathlib
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import ticker
from matplotlib.backends import backend_agg

from mulearn.evaluate import curves as curves_lib
from mulearn.evaluate import position_sets
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, GREY, INK

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
_LEAST = 1e-3  # One of a thousand positions; below it the axis is linear.
_POLICY_DASHES = (0, (3, 2))

Curve = Sequence[Mapping[str, float]]


def read_curves(folder: pathlib.Path) -> dict[str, list[Curve]]:
  """The curves of each arm's seeds, from `<arm>/seed_<n>/results.json`.

  Args:
    folder: of the results of an experiment.

  Returns:
    For each arm, one curve a seed: points with `env_steps` and, for each set,
    `mistake/<set>` and `policy_mistake/<set>`.

  Raises:
    ValueError: there are none, or they are of another game.
  """
  curves: dict[str, list[Curve]] = {}
  for path in sorted(folder.glob("*/seed_*/results.json")):
    results: dict[str, Any] = json.loads(path.read_text())
    missing = [
        name
        for name in position_sets.NAMES
        if f"mistake/{name}" not in results["final"]
    ]
    if missing:
      raise ValueError(
          f"{path} tells nothing of the set {missing[0]!r}; mistakes by set are"
          " known of connect four alone."
      )
    curves.setdefault(path.parent.parent.name, []).append(results["curve"])
  if not curves:
    raise ValueError(
        f"{folder} holds no <arm>/seed_<n>/results.json; give the folder with"
        " the results of an experiment, such as"
        " experiments/connect_four/results."
    )
  return curves


def draw_mistakes(
    path_png: str | os.PathLike[str], curves: Mapping[str, Sequence[Curve]]
) -> None:
  """Draws a panel a set, a colour an arm, a line a seed, and an SVG.

  Dashed is the bare policy, without search; grey is what is published of
  AlphaZero.jl. Mistakes are on a logarithmic axis, linear below 1 of 1,000.

  Args:
    path_png: the picture; its folder is created.
    curves: what `read_curves` returned.
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
