"""Tests of the picture of a search: what it says, and that it can be read."""

import itertools
import xml.etree.ElementTree

import numpy as np
import pytest

from mulearn.evaluate import svg, tree_layout, tree_picture, value_scale
from mulearn.search import tree as tree_lib

LONG = "put the dirty sock on the long wooden table next to the window " * 2


def _node(label, depth, visits, value, children=(), **changes):
  fields = {
      "node": 1,
      "slot": 0,
      "prior": 0.125,
      "reward": 0.0,
      "discount": 0.95,
      "chosen": False,
  }
  return tree_lib.TreeView(
      label=label,
      depth=depth,
      visits=visits,
      value=value,
      children=tuple(children),
      **fields | changes,
  )


def _small():
  win = _node("take key", 2, 2, 1.0, reward=1.0, discount=0.0, chosen=True)
  kept = _node("open <door> & go", 1, 3, 0.75, [win], chosen=True)
  tried = _node("wait", 1, 1, -0.001)
  untried = _node("sing", 1, 0, None, node=-1)
  return _node("", 0, 4, 0.5, [kept, tried, untried], chosen=True)


def _random(rng, depth=0, visits=120):
  """Makes a bushy tree, some of whose commands are very long."""
  if depth == 6 or visits <= 1:
    return ()
  shares = rng.multinomial(visits - 1, rng.dirichlet(np.full(9, 0.6)))
  return sorted(
      (
          _node(
              f"go {'north ' * 3}" if rng.random() < 0.6 else LONG,
              depth + 1,
              int(share),
              float(rng.normal()),
              _random(rng, depth + 1, int(share)),
          )
          for share in shares
          if share
      ),
      key=lambda node: -node.visits,
  )


def _contrast(one, other):
  """Contrast of two sRGB colours as WCAG 2 defines it, 1 to 21."""
  luminances = []
  for colour in (one, other):
    c = np.array(list(colour)) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    luminances.append(linear @ (0.2126, 0.7152, 0.0722))
  return (max(luminances) + 0.05) / (min(luminances) + 0.05)


def _texts(path):
  root = xml.etree.ElementTree.parse(path).getroot()
  return root, [e for e in root.iter() if e.tag.endswith("}text")]


def test_picture_says_what_the_tree_holds(tmp_path):
  path = tmp_path / "pictures" / "tree.svg"
  tree_picture.draw_tree(
      path,
      _small(),
      "One move",
      "You are\nhere \x1b[0m.",
      {"open <door> & go": 0.9},
      {"open <door> & go": 0.6, "wait": 0.3, "sing": 0.1},
  )
  root, elements = _texts(path)
  texts = [element.text for element in elements]
  assert root.get("width") == "1200"
  assert texts[0] == "One move"
  assert "Chosen line: open <door> & go → take key" in texts
  assert "You are" in texts
  # A box and a bar; the untried command has only a bar.
  assert texts.count("open <door> & go") == 2
  assert texts.count("sing") == 1
  assert "prior 0.12 · visits 3 · value +0.75" in texts
  assert "reward +1.00, the game ends" in texts
  assert "prior 0.12 · visits 1 · value +0.00" in texts
  assert {"0.90", "0.60", "0.30", "0.10"} <= set(texts)
  assert texts[-1] == "4 simulations, 4 nodes; 1 root commands never tried."


def test_policy_defaults_to_visits_and_language_may_be_absent(tmp_path):
  tree_picture.draw_tree(tmp_path / "tree.svg", _small(), "t", "o")
  _, elements = _texts(tmp_path / "tree.svg")
  texts = [element.text for element in elements]
  assert "0.75" in texts and "0.25" in texts
  assert "language model" not in texts


def test_widest_edge_is_the_most_visited(tmp_path):
  tree_picture.draw_tree(tmp_path / "tree.svg", _small(), "t", "o")
  root, _ = _texts(tmp_path / "tree.svg")
  curves = [e for e in root.iter() if " C" in e.get("d", "")]
  widths = [float(e.get("stroke-width")) for e in curves]
  assert len(curves) == 3
  assert widths[0] == max(widths)
  assert curves[0].get("stroke") == tree_picture.CHOSEN


@pytest.mark.parametrize("seed", range(4))
def test_nothing_overlaps_and_nothing_leaves_the_page(tmp_path, seed):
  rng = np.random.default_rng(seed)
  view = _node("", 0, 120, 0.1, _random(rng), chosen=True)
  observation = "\n".join([LONG * 3] * 9)
  prior = {"go north north north ": 0.5}
  tree_picture.draw_tree(
      tmp_path / "tree.svg", view, LONG * 3, observation, prior
  )
  root, elements = _texts(tmp_path / "tree.svg")
  height = float(root.get("height"))
  extents = []
  for element in elements:
    size = float(element.get("font-size"))
    length = svg.width(element.text, size, element.get("font-weight") == "bold")
    x, y = float(element.get("x")), float(element.get("y"))
    if element.get("text-anchor") == "end":
      x -= length
    extents.append((x, x + length, y - 0.72 * size, y))
    assert 0 <= x and x + length <= 1200 and y <= height, element.text
  for a, b in itertools.combinations(extents, 2):
    apart = a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    assert apart, (a, b)


@pytest.mark.parametrize("seed", range(4))
def test_boxes_hold_their_text_and_stand_apart(seed):
  rng = np.random.default_rng(seed)
  view = _node("", 0, 120, 0.1, _random(rng), chosen=True)
  boxes = tree_layout.place(view, top=50.0).boxes
  assert len(boxes) == tree_layout.MAX_NODES
  assert max(box.view.depth for box in boxes) <= tree_layout.MAX_DEPTH
  for box in boxes:
    assert box.y >= 50.0
    for text, size, bold in box.lines:
      assert svg.width(text, size, bold) <= box.width - 2 * tree_layout.PADDING
  for a, b in itertools.combinations(boxes, 2):
    if a.x == b.x:
      low, high = sorted([a, b], key=lambda box: box.y)
      assert high.y >= low.y + low.height + tree_layout.GAP_DOWN - 1e-6


def test_number_of_nodes_left_out_is_told(tmp_path):
  view = _node("", 0, 120, 0.1, _random(np.random.default_rng(0)), chosen=True)
  visited = sum(1 for _ in view.walk())
  tree_picture.draw_tree(tmp_path / "tree.svg", view, "t", "o")
  _, elements = _texts(tmp_path / "tree.svg")
  hidden = visited - tree_layout.MAX_NODES
  assert hidden > 0
  assert f"{hidden} of them not shown" in elements[-1].text


def test_nothing_is_drawn_past_a_predicted_end():
  after = _node("wake up", 2, 8, 0.0, chosen=True)
  end = _node("win", 1, 9, 1.0, [after], discount=0.0, chosen=True)
  boxes = tree_layout.place(_node("", 0, 9, 1.0, [end]), top=0.0).boxes
  assert [box.view.label for box in boxes] == ["", "win"]
  assert boxes[1].num_hidden == 0


def test_chosen_line_is_shown_however_few_its_visits():
  rivals = [_node(f"go {i}", 1, 9, 0.0) for i in range(40)]
  kept = _node("think", 1, 1, 0.0, chosen=True)
  view = _node("", 0, 361, 0.0, [*rivals, kept], chosen=True)
  boxes = tree_layout.place(view, top=0.0).boxes
  assert "think" in [box.view.label for box in boxes]
  assert boxes[0].num_hidden == 41 - (tree_layout.MAX_NODES - 1)


def test_colours_follow_values_and_text_stands_out():
  scale = value_scale.ValueScale(_small())
  assert (scale.lo, scale.hi) == (-0.001, 1.0)
  colours = [bytes.fromhex(scale.fill(v)[1:]) for v in np.linspace(0, 1, 9)]
  lightness = [0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2] for c in colours]
  assert lightness == sorted(lightness)
  for value, colour in zip(np.linspace(0, 1, 9), colours):
    ink = bytes.fromhex(scale.ink(value)[1:])
    assert _contrast(colour, ink) >= 4.5
  flat = value_scale.ValueScale(_node("", 0, 1, 0.5))
  assert flat.fill(0.5) == flat.at(0.5)


def test_text_is_cut_and_wrapped_to_measure():
  assert svg.wrap("one  two", 12, 500) == ["one two"]
  assert svg.wrap("", 12, 500) == [""]
  lines = svg.wrap(LONG, 12, 150, max_lines=3)
  assert len(lines) == 3 and lines[-1].endswith("…")
  assert all(svg.width(line, 12) <= 150 for line in lines)
  assert svg.width("mm", 12) > svg.width("ii", 12)
  assert svg.width("word", 12, bold=True) > svg.width("word", 12)
