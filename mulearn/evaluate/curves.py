"""Learning curves: success over environment steps, arms against baselines."""

from collections.abc import Mapping, Sequence
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import ticker
from matplotlib.backends import backend_agg
import numpy as np
from scipy import stats

# Okabe and Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color
# without black (baselines), yellow and sky blue (too light for thin lines).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v")
INK = "#303030"
GREY = "#707070"
FONT_SIZE = 8.5
# Labels stand this far apart at least, as a fraction of the success axis.
LABEL_GAP = 0.062

Curve = Sequence[tuple[int, float]]


def draw_curves(
    path_png: str | os.PathLike[str],
    curves: Mapping[str, Mapping[int, Curve]],
    baselines: Mapping[str, tuple[float, float, float]],
) -> None:
  """Draws the mean curve of each arm, and an SVG beside the PNG.

  The shade is Student's 95 % interval of the mean over training seeds at each
  point, cut to [0, 1]; an arm of one seed has none. Thin lines are the seeds.
  Seeds that were evaluated at different steps are interpolated to the steps
  that all of them had reached.

  Args:
    path_png: the picture; its folder is created.
    curves: for each arm and training seed, points `(env_steps, success)`.
    baselines: for each baseline, success and the ends of its 95 % interval.

  Raises:
    ValueError: if an arm has no points in common to its seeds.
  """
  path_png = pathlib.Path(path_png)
  if path_png.suffix != ".png":
    raise ValueError(
        f"Got path {str(path_png)!r}, expected one that ends in .png; the SVG"
        " is written beside it."
    )
  figure = mpl_figure.Figure(figsize=(5.2, 3.2), dpi=220, layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  labels = []
  for name, (success, lo, hi) in baselines.items():
    axes.axhspan(lo, hi, color=GREY, alpha=0.1, linewidth=0)
    axes.axhline(success, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    labels.append((success, name, GREY))
  last_step = 0
  for i, (arm, seeds) in enumerate(curves.items()):
    steps, success = align(arm, seeds)
    colour = COLOURS[i % len(COLOURS)]
    _draw_arm(axes, steps, success, colour, MARKERS[i % len(MARKERS)])
    labels.append((float(success[:, -1].mean()), arm, colour))
    last_step = max(last_step, steps[-1])
  _finish(axes, last_step)
  _draw_labels(axes, labels)
  save(figure, path_png)


def align(
    arm: str, seeds: Mapping[int, Curve]
) -> tuple[np.ndarray, np.ndarray]:
  """Brings the seeds of an arm to the same steps.

  Args:
    arm: name of the arm, for the error.
    seeds: for each seed, points `(env_steps, success)` in any order.

  Returns:
    Steps `[T]` and success `[S, T]`.

  Raises:
    ValueError: if the seeds have no common range of steps.
  """
  points = [
      np.array(sorted(curve), np.float64).reshape(-1, 2)
      for curve in seeds.values()
  ]
  if not points or not all(map(len, points)):
    raise ValueError(
        f"Arm {arm!r} has a seed without points, expected (env_steps, success)"
        " pairs for each; leave the arm out or evaluate it at least once."
    )
  steps = np.unique(np.concatenate([p[:, 0] for p in points]))
  first = max(p[0, 0] for p in points)
  last = min(p[-1, 0] for p in points)
  steps = steps[(steps >= first) & (steps <= last)]
  if not steps.size:
    raise ValueError(
        f"The seeds of arm {arm!r} have no environment steps in common;"
        " evaluate them on the same schedule."
    )
  return steps, np.stack([np.interp(steps, p[:, 0], p[:, 1]) for p in points])


def seed_interval(success: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Student's 95 % interval of the mean over seeds, cut to [0, 1].

  Args:
    success: `[S, T]`, with `S > 1`.

  Returns:
    Lower and upper ends, `[T]` each.
  """
  num_seeds = success.shape[0]
  mean = success.mean(axis=0)
  error = success.std(axis=0, ddof=1) / np.sqrt(num_seeds)
  half = stats.t.ppf(0.975, num_seeds - 1) * error
  return np.clip(mean - half, 0.0, 1.0), np.clip(mean + half, 0.0, 1.0)


def _draw_arm(
    axes: mpl_axes.Axes,
    steps: np.ndarray,
    success: np.ndarray,
    colour: str,
    marker: str,
) -> None:
  if len(success) > 1:
    lo, hi = seed_interval(success)
    axes.fill_between(steps, lo, hi, color=colour, alpha=0.16, linewidth=0)
    axes.plot(steps, success.T, color=colour, linewidth=0.5, alpha=0.45)
  axes.plot(
      steps,
      success.mean(axis=0),
      color=colour,
      linewidth=1.7,
      marker=marker,
      markersize=4,
      markeredgecolor="white",
      markeredgewidth=0.5,
  )


def _finish(axes: mpl_axes.Axes, last_step: float) -> None:
  axes.set_xlim(0, max(last_step, 1) * 1.01)
  axes.set_ylim(-0.02, 1.02)
  axes.set_xlabel("environment steps", fontsize=FONT_SIZE, color=INK)
  axes.set_ylabel(
      "success on dev games (dashed: test)", fontsize=FONT_SIZE, color=INK
  )
  axes.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
  axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
  axes.yaxis.set_major_locator(ticker.MultipleLocator(0.2))
  finish_axes(axes)


def make_panels(
    count: int, width: float, height: float, *, alike: bool = True
) -> tuple[mpl_figure.Figure, Sequence[mpl_axes.Axes]]:
  """A figure of panels side by side.

  Args:
    count: of panels.
    width: of the figure, inches.
    height: inches.
    alike: whether they share their vertical axis.

  Returns:
    The figure and its panels.
  """
  figure = mpl_figure.Figure(
      figsize=(width, height), dpi=220, layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  return figure, figure.subplots(1, count, sharey=alike, squeeze=False)[0]


def finish_axes(axes: mpl_axes.Axes) -> None:
  """What all our axes share: small ticks, a light grid, two spines."""
  axes.tick_params(labelsize=FONT_SIZE - 0.5, colors=INK, length=2.5)
  axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
  axes.set_axisbelow(True)
  for side, spine in axes.spines.items():
    spine.set_visible(side in ("left", "bottom"))
    spine.set_color(INK)
    spine.set_linewidth(0.7)


def save(figure: mpl_figure.Figure, path_png: pathlib.Path) -> None:
  """Writes the picture, and an SVG beside it; the folder is created."""
  path_png.parent.mkdir(parents=True, exist_ok=True)
  for path in (path_png, path_png.with_suffix(".svg")):
    figure.savefig(path, facecolor="white", bbox_inches="tight")


def _draw_labels(
    axes: mpl_axes.Axes, labels: list[tuple[float, str, str]]
) -> None:
  """Names each line at its right end, moved apart where they would overlap."""
  labels = sorted(labels)
  heights = spread([height for height, _, _ in labels], LABEL_GAP)
  across = axes.get_yaxis_transform()
  for (height, text, colour), y in zip(labels, heights):
    axes.plot(
        [1.005, 1.035],
        [height, y],
        transform=across,
        color=colour,
        linewidth=0.6,
        clip_on=False,
    )
    axes.text(
        1.045,
        y,
        f"{text}  {height:.2f}",
        transform=across,
        color=colour,
        fontsize=FONT_SIZE,
        va="center",
        fontweight="bold" if colour != GREY else "normal",
    )


def spread(heights: Sequence[float], gap: float) -> list[float]:
  """Moves sorted heights as little as needed to be `gap` apart.

  Least squares under that order: after subtracting `i * gap`, neighbours that
  are out of order are pooled to their mean (isotonic regression).

  Args:
    heights: positions, ascending.
    gap: least distance of neighbours.

  Returns:
    New positions, ascending.
  """
  blocks = []
  for i, height in enumerate(heights):
    blocks.append((height - i * gap, 1))
    while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
      (low, n), (high, m) = blocks[-2:]
      blocks[-2:] = [((low * n + high * m) / (n + m), n + m)]
  levels = [level for level, count in blocks for _ in range(count)]
  return [level + i * gap for i, level in enumerate(levels)]
