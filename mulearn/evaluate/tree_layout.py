"""Where the boxes of a tree picture go: left to right, none over another."""

from collections.abc import Iterator
import dataclasses

from mulearn.evaluate import svg
from mulearn.search import tree as tree_lib

WIDTH = 1200
MARGIN = 20
MAX_DEPTH = 4
MAX_NODES = 25
ROOT_WIDTH = 112
MAX_BOX_WIDTH = 300
GAP_ACROSS = 38
NOTE_WIDTH = 14  # right of the last boxes, for the number hidden below
GAP_DOWN = 9
PADDING = 8
LINE = 15  # pixels from baseline to baseline
LABEL_SIZE = 12
DETAIL_SIZE = 10.5


@dataclasses.dataclass
class Box:
  """A node on the page, in pixels from the upper left.

  Attributes:
    view: the node.
    parent: the box it hangs from, None for the root.
    lines: what is written inside, as `(text, font size, bold)`.
    num_hidden: visited children left off the page; 0 where the game ended.
    x: left end.
    y: upper end.
    width: of the box.
    children: the boxes that hang from it.
  """

  view: tree_lib.TreeView
  parent: "Box | None"
  lines: list[tuple[str, float, bool]]
  num_hidden: int
  x: float
  width: float
  y: float = 0.0
  children: list["Box"] = dataclasses.field(default_factory=list)

  @property
  def height(self) -> float:
    """From the upper edge to the lower, in pixels."""
    return LINE * len(self.lines) + 2 * PADDING - 4

  @property
  def middle(self) -> float:
    """Where edges end, from the top of the picture, in pixels."""
    return self.y + self.height / 2

  def walk(self) -> Iterator["Box"]:
    """Yields this box and all that hang from it."""
    yield self
    for child in self.children:
      yield from child.walk()


@dataclasses.dataclass(frozen=True)
class Layout:
  """All boxes of a picture.

  Attributes:
    boxes: parents before their children.
    bottom: lower end of the lowest box.
  """

  boxes: list[Box]
  bottom: float


def place(view: tree_lib.TreeView, top: float) -> Layout:
  """Places the part of a tree that is worth showing.

  Args:
    view: the root.
    top: upper end of the drawing, in pixels.

  Returns:
    The boxes of at most `MAX_NODES` nodes, no deeper than `MAX_DEPTH`.
  """
  shown = _most_visited(view)
  depth = max(node.depth for node in view.walk() if id(node) in shown)
  space = WIDTH - 2 * MARGIN - ROOT_WIDTH - NOTE_WIDTH
  box_width = min(space / max(depth, 1) - GAP_ACROSS, MAX_BOX_WIDTH)
  root = _make(view, None, shown, box_width)
  bottom = _stack(root, top)
  return Layout(list(root.walk()), bottom)


def signed(value: float) -> str:
  """Prints a value with its sign, and nothing as +0.00."""
  # Adding a positive zero turns a rounded -0.0 into 0.0.
  return f"{round(value, 2) + 0.0:+.2f}"


def reachable(view: tree_lib.TreeView) -> Iterator[tree_lib.TreeView]:
  """Yields the visited nodes down to `MAX_DEPTH`, parents first.

  Search may go on below a predicted end, where nothing counts any more: what is
  there is left out.

  Args:
    view: the node to start from.
  """
  yield view
  if view.depth < MAX_DEPTH and not ends(view):
    for child in view.children:
      if child.visits:
        yield from reachable(child)


def ends(view: tree_lib.TreeView) -> bool:
  """Whether the move to this node is predicted to end the game."""
  # A learned model says so by degrees: its discount is seldom exactly 0.
  return abs(view.discount) < 0.25


def _most_visited(view: tree_lib.TreeView) -> set[int]:
  """Returns ids of the nodes shown: a parent whenever its child is."""
  nodes = list(reachable(view))
  # No child has more visits than its parent, and the sort is stable with
  # parents first, so that cutting the list never leaves an orphan.
  nodes.sort(key=lambda node: (not node.chosen, -node.visits))
  return {id(node) for node in nodes[:MAX_NODES]}


def _make(
    view: tree_lib.TreeView,
    parent: Box | None,
    shown: set[int],
    box_width: float,
) -> Box:
  visited = [c for c in view.children if c.visits and not ends(view)]
  kept = [child for child in visited if id(child) in shown]
  width = ROOT_WIDTH if parent is None else box_width
  box = Box(
      view=view,
      parent=parent,
      lines=_lines(view, width - 2 * PADDING, len(visited) - len(kept)),
      num_hidden=len(visited) - len(kept),
      x=MARGIN if parent is None else parent.x + parent.width + GAP_ACROSS,
      width=width,
  )
  box.children = [_make(child, box, shown, box_width) for child in kept]
  return box


def _lines(
    view: tree_lib.TreeView, limit: float, num_hidden: int
) -> list[tuple[str, float, bool]]:
  if not view.depth:
    lines = [
        ("now", LABEL_SIZE, True),
        (f"visits {view.visits}", DETAIL_SIZE, False),
        (f"value {signed(view.value)}", DETAIL_SIZE, False),
    ]
    # Beside the root, where all edges meet, a note would cover some of them.
    if num_hidden:
      lines.append((f"+{num_hidden} commands", DETAIL_SIZE, False))
    return lines
  label = svg.wrap(view.label, LABEL_SIZE, limit, 3, bold=True)
  details = [
      f"prior {view.prior:.2f} · visits {view.visits} · "
      f"value {signed(view.value)}"
  ]
  outcomes = []
  if abs(view.reward) >= 0.05:
    outcomes.append(f"reward {signed(view.reward)}")
  if ends(view):
    outcomes.append("the game ends")
  if outcomes:
    details.append(", ".join(outcomes))
  return [(text, LABEL_SIZE, True) for text in label] + [
      (svg.fit(text, DETAIL_SIZE, limit), DETAIL_SIZE, False)
      for text in details
  ]


def _stack(box: Box, top: float) -> float:
  """Places a box and what hangs from it below `top`; returns the lower end."""
  bottom = top
  for child in box.children:
    bottom = _stack(child, bottom) + GAP_DOWN
  below = bottom - GAP_DOWN - top if box.children else 0.0
  # Whichever is the taller, the box or its children, the other is centred.
  shift = max(box.height - below, 0.0) / 2
  for child in box.children:
    for descendant in child.walk():
      descendant.y += shift
  box.y = top + max(below - box.height, 0.0) / 2
  return top + max(below, box.height)
