"""Success of every arm of one or more studies, with intervals and seeds."""

from collections.abc import Mapping
import os
import pathlib
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import ticker

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, GREY, INK

Arms = Mapping[str, Mapping[str, Any]]


def draw_arms(
    path_png: str | os.PathLike[str], studies: Mapping[str, Arms]
) -> None:
  """Draws a panel a study and a row an arm, the same arms in all panels.

  A dot is the mean over seeds and held-out games, its line the 95 % interval,
  small rings are the training seeds. Arms that learned are blue, baselines grey.

  Args:
    path_png: the picture; its folder is created, an SVG is written beside it.
    studies: for each title summaries with `success`, `ci95` and
      `success_by_seed`, as `statistics.summarise` makes them.

  Raises:
    ValueError: there is no study, or two have different arms.
  """
  orders = {title: list(arms) for title, arms in studies.items()}
  if not orders or len({frozenset(names) for names in orders.values()}) > 1:
    raise ValueError(
        f"The studies have the arms {orders}; all of at least one study have to"
        " be the same. Draw studies with other arms as pictures of their own."
    )
  names = next(iter(orders.values()))
  figure, panels = curves.make_panels(
      len(studies), 2.0 + 2.15 * len(studies), 0.75 + 0.22 * len(names)
  )
  for axes, (title, arms) in zip(panels, studies.items(), strict=True):
    for y, name in enumerate(names):
      _draw_arm(axes, y, arms[name])
    _finish(axes, title)
  panels[0].set_yticks(range(len(names)), names)
  panels[0].invert_yaxis()
  curves.save(figure, pathlib.Path(path_png))


def _draw_arm(axes: mpl_axes.Axes, y: int, arm: Mapping[str, Any]) -> None:
  seeds = list(arm["success_by_seed"].values())
  colour = COLOURS[0] if len(seeds) > 1 else GREY
  axes.plot(arm["ci95"], [y, y], color=colour, linewidth=1.6)
  axes.plot([arm["success"]], [y], "o", color=colour, markersize=4.5)
  if len(seeds) > 1:
    axes.plot(
        seeds, [y] * len(seeds), "o", markersize=3, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=0.5, alpha=0.7,
    )  # fmt: skip


def _finish(axes: mpl_axes.Axes, title: str) -> None:
  axes.set_title(title, fontsize=FONT_SIZE, color=INK, loc="left")
  axes.set_xlim(-0.03, 1.03)
  axes.set_xlabel("success", fontsize=FONT_SIZE, color=INK)
  axes.xaxis.set_major_locator(ticker.MultipleLocator(0.25))
  axes.xaxis.set_major_formatter(
      ticker.FuncFormatter(lambda share, _: f"{share:g}")
  )
  curves.finish_axes(axes)
  axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
  axes.grid(axis="y", visible=False)
