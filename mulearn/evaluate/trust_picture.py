"""The weight of the language model in the prior, while runs learn."""

from collections.abc import Mapping
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import ticker

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK
from mulearn.evaluate.results import Points


def draw_trust(
    path_png: str | os.PathLike[str],
    studies: Mapping[str, Mapping[str, Mapping[int, Points]]],
) -> None:
  """Draws a panel a study, a colour an arm and a line a seed, and an SVG.

  Args:
    path_png: the picture; its folder is created.
    studies: for each title the trust of each arm and seed, points
      `(env_steps, weight)`, as `results.read_study` gives them.
  """
  figure, panels = curves.make_panels(
      len(studies), 1.2 + 2.2 * len(studies), 2.7
  )
  for axes, (title, arms) in zip(panels, studies.items(), strict=True):
    for (arm, seeds), colour in zip(arms.items(), COLOURS):
      for i, points in enumerate(seeds.values()):
        axes.plot(
            *zip(*points), color=colour, linewidth=1.3,
            label=None if i else arm,
        )  # fmt: skip
    _finish(axes, title)
  panels[0].set_ylabel(
      "trust in the language model", fontsize=FONT_SIZE, color=INK
  )
  handles = {}
  for axes in panels:
    for handle, label in zip(*axes.get_legend_handles_labels()):
      handles.setdefault(label, handle)
  figure.legend(
      handles.values(), handles.keys(), loc="outside lower center",
      ncols=max(len(handles), 1), frameon=False, fontsize=FONT_SIZE - 1,
      labelcolor=INK,
  )  # fmt: skip
  curves.save(figure, pathlib.Path(path_png))


def _finish(axes: mpl_axes.Axes, title: str) -> None:
  axes.set_title(title, fontsize=FONT_SIZE, color=INK, loc="left")
  axes.set_xlabel("commands played", fontsize=FONT_SIZE, color=INK)
  axes.set_xlim(left=0)
  axes.set_ylim(-0.02, 1.02)
  axes.yaxis.set_major_locator(ticker.MultipleLocator(0.25))
  axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
  axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
  curves.finish_axes(axes)
