"""What episodes of a game of one player earn, while runs learn."""

from collections.abc import Mapping, Sequence
import json
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import ticker
import numpy as np
from scipy import stats

from mulearn.evaluate import curves as curves_lib
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, GREY, INK
from mulearn.evaluate.results import Curve


def draw_returns(
    path_png: str | os.PathLike[str],
    games: Mapping[str, Mapping[str, Sequence[Curve]]],
    figures: Mapping[str, float],
) -> None:
  """Draws a panel a game, a colour an arm, a line a seed, and an SVG.

  Thick is the mean of the seeds. Dashed is the figure that was asked for.

  Args:
    path_png: the picture; its folder is created.
    games: for each title the curves of each arm, as `results.read_runs` gives
      them.
    figures: for each title the return to be reached.
  """
  figure, panels = curves_lib.make_panels(
      len(games), 0.8 + 3.2 * len(games), 3.0, alike=False
  )
  for axes, (title, arms) in zip(panels, games.items(), strict=True):
    for (arm, seeds), colour in zip(arms.items(), COLOURS):
      _draw_arm(axes, arm, seeds, colour)
    axes.axhline(
        figures[title], color=GREY, linewidth=0.9, linestyle=(0, (4, 3))
    )
    _finish(axes, title)
  panels[0].set_ylabel("mean return", fontsize=FONT_SIZE, color=INK)
  curves_lib.save(figure, pathlib.Path(path_png))


def returns_table(folder: pathlib.Path) -> str:
  """What each arm earned at the end, in Markdown.

  Args:
    folder: of the results, with `<arm>/seed_<n>/results.json`.

  Returns:
    A row an arm: the mean over its seeds of the mean return at the end, with
    Student's 95 % interval; each seed's; the worst point of the last quarter of
    any seed; steps; and seconds a run.
  """
  names = ["arm", "return", "seeds", "worst", "steps", "seconds"]
  rows = [names, ["---"] * len(names)]
  arms: dict[str, list[dict]] = {}
  for path in sorted(folder.glob("*/seed_*/results.json")):
    run = json.loads(path.read_text())
    arms.setdefault(path.parent.parent.name, []).append(run)
  for arm, runs in arms.items():
    final = [run["final"]["mean_return"] for run in runs]
    seconds = [run["seconds"] for run in runs]
    rows.append(
        [
            f"`{arm}`",
            _with_interval(final),
            ", ".join(f"{value:.1f}" for value in final),
            f"{min(run['worst_of_last_quarter'] for run in runs):.1f}",
            f"{runs[0]['env_steps']:,}",
            f"{min(seconds):.0f} to {max(seconds):.0f}",
        ]
    )
  return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _with_interval(values: Sequence[float]) -> str:
  """The mean, and half of Student's 95 % interval where there are seeds."""
  mean = np.mean(values)
  if len(values) == 1:
    return f"{mean:.1f}"
  error = np.std(values, ddof=1) / np.sqrt(len(values))
  half = stats.t.ppf(0.975, len(values) - 1) * error
  return f"{mean:.1f} +- {half:.1f}"


def _draw_arm(
    axes: mpl_axes.Axes, arm: str, seeds: Sequence[Curve], colour: str
) -> None:
  for curve in seeds:
    steps, returns = _points(curve)
    axes.plot(steps, returns, color=colour, linewidth=0.6, alpha=0.5)
  steps = _points(seeds[0])[0]
  mean = np.mean([_points(curve)[1] for curve in seeds], axis=0)
  axes.plot(
      steps, mean, color=colour, linewidth=1.6, marker="o", markersize=2.5,
      label=f"{arm}, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}",
  )  # fmt: skip


def _points(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
  steps = [point["env_steps"] / 1000 for point in curve]
  return np.array(steps), np.array([point["mean_return"] for point in curve])


def _finish(axes: mpl_axes.Axes, title: str) -> None:
  axes.set_title(title, fontsize=FONT_SIZE, color=INK, loc="left")
  axes.set_xlabel("steps, thousands", fontsize=FONT_SIZE, color=INK)
  axes.set_xlim(left=0)
  if axes.dataLim.ymin >= 0:
    axes.set_ylim(bottom=0)
  axes.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
  axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
  axes.legend(
      fontsize=FONT_SIZE - 1.5, frameon=False, labelcolor=INK, loc="lower right"
  )
  curves_lib.finish_axes(axes)
