"""model_error.png: value, policy and legality error over imagined moves."""

from collections.abc import Mapping, Sequence
import os
import pathlib

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import ticker
from matplotlib.backends import backend_agg

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK, MARKERS
from mulearn.evaluate.model_error import Point

# Title, what is drawn, and what the same network says of the true positions.
_PANELS = (
    ("value: mean absolute error", "value_error", "value_error_seen"),
    ("policy: KL from the true position's, nats", "policy_kl", None),
    ("legality: actions judged wrongly", "legal_error", None),
)


def draw_model_error(
    path_png: str | os.PathLike[str], lines: Mapping[str, Sequence[Point]]
) -> None:
  """Draws three panels over k, one colour a kind of line, and an SVG.

  Dashed is the same network at the true positions: what imagination costs is
  the distance from there. The legend tells how many lines begin, and how many
  still go on at the last k.

  Args:
    path_png: the picture; its folder is created.
    lines: what `model_error.model_error` returned.
  """
  path_png = pathlib.Path(path_png)
  figure = mpl_figure.Figure(figsize=(8.4, 3.1), dpi=220, layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  panels = figure.subplots(1, len(_PANELS))
  for axes, (title, name, seen) in zip(panels, _PANELS, strict=True):
    for i, (kind, points) in enumerate(lines.items()):
      style = {"color": COLOURS[i], "label": _label(kind, points)}
      _draw(axes, points, name, marker=MARKERS[i], markersize=4, **style)
      if seen:
        style = {"color": COLOURS[i], "alpha": 0.6}
        _draw(axes, points, seen, linestyle=(0, (3, 2)), **style)
    _finish(axes, title)
  panels[0].plot(
      [], [], color=INK, alpha=0.6, linestyle=(0, (3, 2)), linewidth=1.3,
      label="the network at true positions",
  )  # fmt: skip
  handles, labels = panels[0].get_legend_handles_labels()
  figure.legend(
      handles, labels, loc="outside lower center", ncols=4, frameon=False,
      fontsize=FONT_SIZE - 1, labelcolor=INK,
  )  # fmt: skip
  curves.save(figure, path_png)


def _label(kind: str, points: Sequence[Point]) -> str:
  first, last = points[0], points[-1]
  return f"{kind}: {first['lines']:,} lines, {last['lines']:,} at k={last['k']}"


def _draw(
    axes: mpl_axes.Axes, points: Sequence[Point], name: str, **style
) -> None:
  known = [(p["k"], p[name]) for p in points if p[name] is not None]
  axes.plot(*zip(*known), linewidth=1.3, markeredgecolor="white", **style)


def _finish(axes: mpl_axes.Axes, title: str) -> None:
  axes.set_title(title, fontsize=FONT_SIZE, color=INK, loc="left")
  axes.set_xlabel("imagined moves k", fontsize=FONT_SIZE, color=INK)
  axes.set_ylim(bottom=0.0)
  axes.margins(y=0.1)
  axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
  if title.startswith("legality"):
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
  curves.finish_axes(axes)
