"""One real search as a picture: what was believed, tried and chosen.

A hand-written SVG, 1200 pixels wide: the observation and the root's
probabilities above, the most visited part of the tree below, left to right.
"""

from collections.abc import Mapping
import os
import pathlib

from mulearn.evaluate import svg, tree_layout, value_scale
from mulearn.search import tree as tree_lib

# Okabe and Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color
LANGUAGE, PRIOR, POLICY = "#E69F00", "#56B4E9", "#0072B2"
CHOSEN = "#D55E00"
INK, GREY, PALE = "#222222", "#666666", "#c4c4c4"
MAX_COMMANDS = 8
MAX_OBSERVATION_LINES = 16
TEXT_WIDTH = 520
PANEL_LEFT = 590
BAR_LEFT = 850
BAR_WIDTH = 270
TOP = 84  # of the observation and of the panel


def draw_tree(
    path_svg: str | os.PathLike[str],
    view: tree_lib.TreeView,
    title: str,
    observation_text: str,
    language_prior: Mapping[str, float] | None = None,
    policy: Mapping[str, float] | None = None,
) -> None:
  """Draws a search tree, and the root's probabilities before and after it.

  Args:
    path_svg: the picture; its folder is created.
    view: the root, from `search.tree.tree_view`.
    title: one line above everything.
    observation_text: what the agent read at the root.
    language_prior: probability of each root command under the language model
      alone; left out of the bars where there was none.
    policy: probability of each root command after search; by default its share
      of the visits.
  """
  if policy is None:
    policy = {
        child.label: child.visits / max(view.visits, 1)
        for child in view.children
    }
  scale = value_scale.ValueScale(view)
  canvas = svg.Canvas()
  _draw_title(canvas, title, view)
  bottom = max(
      _draw_observation(canvas, observation_text),
      _draw_bars(canvas, view, language_prior, policy),
  )
  layout = tree_layout.place(view, top=bottom + 68)
  _draw_legend(canvas, scale, bottom + 30)
  for box in layout.boxes:
    _draw_edge(canvas, box, view.visits)
  for box in layout.boxes:
    _draw_box(canvas, box, scale)
  _draw_footer(canvas, view, layout)
  path_svg = pathlib.Path(path_svg)
  path_svg.parent.mkdir(parents=True, exist_ok=True)
  path_svg.write_text(
      canvas.render(tree_layout.WIDTH, layout.bottom + 44), encoding="utf-8"
  )


def _draw_title(
    canvas: svg.Canvas, title: str, view: tree_lib.TreeView
) -> None:
  left = tree_layout.MARGIN
  canvas.text(left, 34, svg.fit(title, 20, 1160, bold=True), 20, INK, bold=True)
  line = [
      node.label
      for node in tree_layout.reachable(view)
      if node.chosen and node.depth
  ]
  canvas.text(
      left,
      56,
      svg.fit(f"Chosen line: {' → '.join(line) or 'none'}", 12.5, 1160),
      12.5,
      CHOSEN,
  )


def _draw_observation(canvas: svg.Canvas, text: str) -> float:
  """Writes what the agent read; returns the lower end."""
  left = tree_layout.MARGIN
  canvas.text(left, TOP, "What the agent reads", 13, INK, bold=True)
  lines = []
  for paragraph in text.strip().splitlines():
    lines += svg.wrap(paragraph, 12, TEXT_WIDTH)
  if len(lines) > MAX_OBSERVATION_LINES:
    hidden = len(lines) - MAX_OBSERVATION_LINES + 1
    lines = lines[:-hidden] + [f"… ({hidden} more lines)"]
  y = TOP + 4.0
  for line in lines:
    y += 17
    canvas.text(left, y, line, 12, INK)
  return y


def _draw_bars(
    canvas: svg.Canvas,
    view: tree_lib.TreeView,
    language_prior: Mapping[str, float] | None,
    policy: Mapping[str, float],
) -> float:
  """Draws bars of the root's likeliest commands; returns the lower end."""
  series = [
      ("prior at the root", PRIOR, {c.label: c.prior for c in view.children})
  ]
  if language_prior is not None:
    series.insert(0, ("language model", LANGUAGE, language_prior))
  series.append(("after search", POLICY, policy))
  canvas.text(PANEL_LEFT, TOP, "Root commands", 13, INK, bold=True)
  _draw_keys(canvas, series)
  ranked = sorted(
      view.children,
      key=lambda c: -max(table.get(c.label, 0.0) for _, _, table in series),
  )
  # The chosen command is always shown, however unlikely it was.
  ranked.sort(key=lambda c: not c.chosen)
  shown = ranked[:MAX_COMMANDS]
  longest = max(
      (t.get(c.label, 0.0) for c in shown for _, _, t in series), default=1.0
  )
  y = TOP + 14.0
  for child in shown:
    y = _draw_bar_row(canvas, child, series, y, max(longest, 0.01))
  hidden = len(ranked) - len(shown)
  if hidden:
    y += 14
    canvas.text(
        PANEL_LEFT, y, f"{hidden} more commands are not shown", 11, GREY
    )
  return y


def _draw_keys(
    canvas: svg.Canvas, series: list[tuple[str, str, Mapping[str, float]]]
) -> None:
  x = tree_layout.WIDTH - tree_layout.MARGIN
  for name, colour, _ in reversed(series):
    x -= svg.width(name, 11)
    canvas.text(x, TOP, name, 11, INK)
    x -= 14
    canvas.rect(x, TOP - 9, 10, 10, fill=colour)
    x -= 16


def _draw_bar_row(
    canvas: svg.Canvas,
    child: tree_lib.TreeView,
    series: list[tuple[str, str, Mapping[str, float]]],
    y: float,
    longest: float,
) -> float:
  """Draws one command at `y` and below; returns the lower end."""
  height = 9.5 * len(series)
  lines = svg.wrap(
      child.label, 11.5, BAR_LEFT - PANEL_LEFT - 14, 2, child.chosen
  )
  for i, line in enumerate(lines):
    canvas.text(
        BAR_LEFT - 10,
        y + height / 2 + 4 + 13 * (i - (len(lines) - 1) / 2),
        line,
        11.5,
        CHOSEN if child.chosen else INK,
        bold=child.chosen,
        anchor="end",
    )
  for i, (_, colour, table) in enumerate(series):
    probability = table.get(child.label, 0.0)
    length = max(BAR_WIDTH * probability / longest, 1.0)
    canvas.rect(BAR_LEFT, y + 9.5 * i, length, 8, fill=colour)
    canvas.text(
        BAR_LEFT + length + 5,
        y + 9.5 * i + 7.5,
        f"{probability:.2f}",
        9.5,
        INK,
    )
  return y + height + 8


def _draw_legend(
    canvas: svg.Canvas, scale: value_scale.ValueScale, y: float
) -> None:
  left = tree_layout.MARGIN
  right = tree_layout.WIDTH - left
  canvas.line(left, y - 14, right, y - 14, "#dddddd")
  canvas.text(left, y + 12, "What search tried", 13, INK, bold=True)
  canvas.text(
      left + 190, y + 12, f"value {tree_layout.signed(scale.lo)}", 11, INK
  )
  for i in range(60):
    canvas.rect(left + 265 + 2 * i, y + 2, 2.5, 12, fill=scale.at(i / 59))
  canvas.text(left + 392, y + 12, tree_layout.signed(scale.hi), 11, INK)
  canvas.line(left + 470, y + 8, left + 510, y + 8, CHOSEN, 4)
  canvas.text(left + 518, y + 12, "chosen line", 11, INK)
  canvas.line(left + 620, y + 8, left + 645, y + 8, PALE, 1.5)
  canvas.line(left + 645, y + 8, left + 670, y + 8, PALE, 8)
  canvas.text(left + 678, y + 12, "few to many visits", 11, INK)
  canvas.text(
      left + 838, y + 12, "value: the reward and what follows it", 11, INK
  )


def _draw_edge(
    canvas: svg.Canvas, box: tree_layout.Box, total_visits: int
) -> None:
  if box.parent is None:
    return
  start, end = box.parent.x + box.parent.width, box.x
  middle = (start + end) / 2
  y_start, y_end = box.parent.middle, box.middle
  canvas.path(
      f"M{start:.1f},{y_start:.1f} C{middle:.1f},{y_start:.1f} "
      f"{middle:.1f},{y_end:.1f} {end:.1f},{y_end:.1f}",
      CHOSEN if box.view.chosen else PALE,
      1.2 + 9.0 * box.view.visits / max(total_visits, 1),
  )


def _draw_box(
    canvas: svg.Canvas, box: tree_layout.Box, scale: value_scale.ValueScale
) -> None:
  chosen = box.view.chosen
  canvas.rect(
      box.x,
      box.y,
      box.width,
      box.height,
      fill=scale.fill(box.view.value),
      stroke=CHOSEN if chosen else "none",
      stroke_width=3 if chosen else 0,
      radius=5,
  )
  ink = scale.ink(box.view.value)
  y = box.y + tree_layout.PADDING - 3
  for text, size, bold in box.lines:
    y += tree_layout.LINE
    canvas.text(box.x + tree_layout.PADDING, y, text, size, ink, bold)
  if box.num_hidden and box.parent is not None:
    note, left = f"+{box.num_hidden}", box.x + box.width + 5
    canvas.rect(
        left - 1, box.middle - 7, svg.width(note, 10.5) + 2, 14, fill="#ffffff"
    )
    canvas.text(left, box.middle + 4, note, 10.5, GREY)


def _draw_footer(
    canvas: svg.Canvas, view: tree_lib.TreeView, layout: tree_layout.Layout
) -> None:
  visited = sum(1 for node in view.walk() if node.visits or not node.depth)
  untried = sum(1 for child in view.children if not child.visits)
  hidden = visited - len(layout.boxes)
  parts = [f"{view.visits} simulations, {visited} nodes"]
  if hidden:
    parts.append(
        f"{hidden} of them not shown (less visited, deeper than "
        f"{tree_layout.MAX_DEPTH} moves, or past an end; +n marks where)"
    )
  if untried:
    parts.append(f"{untried} root commands never tried")
  canvas.text(
      tree_layout.MARGIN, layout.bottom + 26, "; ".join(parts) + ".", 11.5, GREY
  )
