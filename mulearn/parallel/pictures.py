"""Pictures of a pod: what lies on a chip, and what a program waits for."""

from collections.abc import Mapping, Sequence
import os
import pathlib
from typing import Any

from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg
import numpy as np

from mulearn.evaluate import curves
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK, MARKERS
from mulearn.parallel import report
from mulearn.parallel.chips import CHIPS
from mulearn.parallel.placement import Row

_BOUNDS = ("compute", "memory", "latency", "network")


def draw_roofline(
    path_png: str | os.PathLike[str], results: Sequence[Mapping[str, Any]]
) -> None:
  """Draws the roof of each chip and every program below it, and an SVG.

  Args:
    path_png: the picture; its folder is created.
    results: of `ahead.compile_for`; those that do not fit are left out.
  """
  results = [result for result in results if result["fits"]]
  figure = mpl_figure.Figure(figsize=(8.4, 3.9), dpi=220, layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  roof, bars = figure.subplots(1, 2, width_ratios=(1.15, 1))
  _draw_roofs(roof, results)
  _draw_ceilings(bars, results)
  curves.save(figure, pathlib.Path(path_png))


def _draw_roofs(axes, results: Sequence[Mapping[str, Any]]) -> None:
  """FLOPs a second over FLOPs a byte, both axes logarithmic."""
  intensity = np.logspace(-1, 4, 200)
  kinds = list(dict.fromkeys(_kind(result) for result in results))
  for colour, kind in zip(COLOURS, kinds):
    chip = CHIPS[kind]
    roof = np.minimum(intensity * chip.hbm_bandwidth, chip.flops)
    axes.plot(intensity, roof, color=colour, linewidth=1.3, label=kind)
  for result in results:
    colour = COLOURS[kinds.index(_kind(result))]
    for marker, program in zip(MARKERS, result["programs"].values()):
      axes.plot(
          program["flops"] / program["bytes"],
          program["flops"] / program["seconds"],
          marker, color=colour, markersize=6, markeredgecolor="white",
      )  # fmt: skip
  names = dict.fromkeys(name for r in results for name in r["programs"])
  for marker, name in zip(MARKERS, names):
    axes.plot([], [], marker, color=INK, markersize=5, label=name)
  axes.set_xscale("log")
  axes.set_yscale("log")
  axes.set_title("each program below its chip's roof", **_title())
  axes.set_xlabel("FLOPs a byte of HBM", fontsize=FONT_SIZE, color=INK)
  axes.set_ylabel("FLOPs a second, a chip", fontsize=FONT_SIZE, color=INK)
  axes.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK)
  curves.finish_axes(axes)


def _draw_ceilings(axes, results: Sequence[Mapping[str, Any]]) -> None:
  """What each program would take if it waited for one thing alone."""
  labels = []
  for result in results:
    for name, program in result["programs"].items():
      y = len(labels)
      labels.append(f"{result['topology']} {name}")
      for colour, marker, bound in zip(COLOURS, MARKERS, _BOUNDS):
        seconds = program["ceilings"][bound]
        if seconds > 0.0:
          axes.plot(seconds, y, marker, color=colour, markersize=6,
                    markeredgecolor="white")  # fmt: skip
  for colour, marker, bound in zip(COLOURS, MARKERS, _BOUNDS):
    axes.plot([], [], marker, color=colour, markersize=5, label=bound)
  axes.set_xscale("log")
  axes.set_yticks(range(len(labels)), labels)
  axes.set_ylim(len(labels) - 0.5, -0.5)
  axes.set_title("what it waits for: seconds of each", **_title())
  axes.legend(
      frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK, ncols=4,
      loc="upper center", bbox_to_anchor=(0.4, -0.12), columnspacing=0.8,
      handletextpad=0.1,
  )  # fmt: skip
  curves.finish_axes(axes)


def draw_placement(
    path_png: str | os.PathLike[str], rows: Sequence[Row]
) -> None:
  """Draws what lies on one chip, a bar for each part, and an SVG.

  Args:
    path_png: the picture; its folder is created.
    rows: of `placement.placement`.
  """
  figure = mpl_figure.Figure(figsize=(8.4, 2.2), dpi=220, layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.subplots()
  splits = list(dict.fromkeys(row.split for row in rows))
  parts = list(dict.fromkeys(row.part for row in rows))
  start = np.zeros(len(parts))
  for colour, split in zip(COLOURS, splits):
    widths = np.array([
        sum(r.bytes_a_chip for r in rows if (r.part, r.split) == (p, split))
        for p in parts
    ])  # fmt: skip
    axes.barh(
        parts, widths / 1e6, left=start, color=colour, height=0.62,
        label="on every chip" if split == "whole" else f"split by {split}",
    )  # fmt: skip
    start += widths / 1e6
  for y, total in enumerate(start):
    axes.annotate(
        f" {report.amount(total * 1e6, 'B')}", (total, y), va="center",
        fontsize=FONT_SIZE, color=INK,
    )  # fmt: skip
  axes.invert_yaxis()
  axes.margins(x=0.12)
  axes.set_title("what lies on one chip, MB", **_title())
  axes.legend(frameon=False, fontsize=FONT_SIZE - 1, labelcolor=INK)
  curves.finish_axes(axes)
  curves.save(figure, pathlib.Path(path_png))


def _kind(result: Mapping[str, Any]) -> str:
  return result["topology"].partition(":")[0]


def _title() -> dict[str, Any]:
  return {"fontsize": FONT_SIZE, "color": INK, "loc": "left"}
