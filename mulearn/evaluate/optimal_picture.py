"""How many solved positions are still played wrongly, while runs learn."""

from collections.abc import Mapping, Sequence
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import ticker

from mulearn.evaluate import curves as curves_lib
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK
from mulearn.evaluate.results import Curve

_LEAST = 1e-4  # Below it the axis is linear: a run may reach none at all.
_POLICY_DASHES = (0, (3, 2))


def draw_optimal(
    path_png: str | os.PathLike[str],
    games: Mapping[str, Mapping[str, Sequence[Curve]]],
) -> None:
  """Draws a panel a game, a colour an arm, a line a seed, and an SVG.

  The axis is the share of positions without an optimal move, logarithmic and
  linear below 1 of 10,000, so that none at all has a place. Dashed is the bare
  policy, without search.

  Args:
    path_png: the picture; its folder is created.
    games: for each title the curves of each arm, as `results.read_runs` gives
      them.
  """
  figure, panels = curves_lib.make_panels(
      len(games), 0.8 + 3.2 * len(games), 3.3
  )
  for axes, (title, arms) in zip(panels, games.items(), strict=True):
    for (arm, seeds), colour in zip(arms.items(), COLOURS):
      for i, curve in enumerate(seeds):
        label = f"{arm}, {_counted(seeds)}" if i == 0 else None
        _draw(axes, curve, "policy_rate", colour, dashed=True)
        _draw(axes, curve, "optimal_rate", colour, label=label)
    axes.plot(
        [], [], color=INK, alpha=0.6, linestyle=_POLICY_DASHES, linewidth=1.0,
        label="policy, no search",
    )  # fmt: skip
    _finish(axes, title)
  panels[0].set_ylabel(
      "positions without an optimal move", fontsize=FONT_SIZE, color=INK
  )
  curves_lib.save(figure, pathlib.Path(path_png))


def _counted(seeds: Sequence[Curve]) -> str:
  return f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"


def _draw(
    axes: mpl_axes.Axes,
    curve: Curve,
    name: str,
    colour: str,
    *,
    dashed: bool = False,
    label: str | None = None,
) -> None:
  axes.plot(
      [point["env_steps"] / 1000 for point in curve],
      [1.0 - point[name] for point in curve],
      color=colour,
      linewidth=0.8 if dashed else 1.3,
      alpha=0.5 if dashed else 1.0,
      linestyle=_POLICY_DASHES if dashed else "-",
      label=label,
  )


def _finish(axes: mpl_axes.Axes, title: str) -> None:
  axes.set_title(title, fontsize=FONT_SIZE, color=INK, loc="left")
  axes.set_xlabel("moves played, thousands", fontsize=FONT_SIZE, color=INK)
  axes.set_xlim(left=0)
  axes.set_yscale("symlog", linthresh=_LEAST, linscale=0.5)
  axes.set_ylim(-_LEAST / 3, 1.0)
  axes.set_yticks([0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0])
  axes.yaxis.set_major_formatter(
      ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %")
  )
  axes.yaxis.set_minor_locator(ticker.NullLocator())
  axes.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
  axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
  axes.legend(
      fontsize=FONT_SIZE - 1.5, frameon=False, labelcolor=INK, loc="upper right"
  )
  curves_lib.finish_axes(axes)
