"""Tests of learning curves: the numbers drawn and the pictures written."""

import matplotlib
import numpy as np
from PIL import Image
import pytest

from mulearn.evaluate import curves


def _curves():
  return {
      "muzero": {s: [(0, 0.0), (500, 0.1 + s / 20)] for s in range(3)},
      "muzero_lm": {0: [(0, 0.1), (250, 0.3), (500, 0.6)]},
  }


def test_writes_a_picture_and_its_svg_without_touching_defaults(tmp_path):
  before = dict(matplotlib.rcParams)
  path = tmp_path / "plots" / "curves.png"
  curves.draw_curves(path, _curves(), {"lm": (0.1, 0.05, 0.2)})
  assert dict(matplotlib.rcParams) == before
  image = Image.open(path).convert("RGB")
  assert image.width >= 1000
  seen = {colour for _, colour in image.getcolors(maxcolors=2**24)}
  for colour in curves.COLOURS[:2]:
    assert tuple(bytes.fromhex(colour[1:])) in seen
  assert path.with_suffix(".svg").read_text().rstrip().endswith("</svg>")


def test_more_arms_than_colours_still_draw(tmp_path):
  arms = {f"arm{i}": {0: [(0, i / 10)]} for i in range(7)}
  curves.draw_curves(tmp_path / "curves.png", arms, {})
  assert (tmp_path / "curves.png").stat().st_size > 0


def test_wrong_ending_is_refused(tmp_path):
  with pytest.raises(ValueError, match="ends in .png"):
    curves.draw_curves(tmp_path / "curves.pdf", _curves(), {})


def test_seeds_meet_at_the_steps_that_all_reached():
  steps, success = curves.align(
      "muzero", {0: [(200, 1.0), (0, 0.0)], 1: [(0, 0.5), (100, 0.5)]}
  )
  np.testing.assert_array_equal(steps, [0, 100])
  np.testing.assert_allclose(success, [[0.0, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    "seeds", [{}, {0: []}, {0: [(0, 0.1)], 1: [(10, 0.1)]}]
)
def test_curves_that_cannot_be_averaged_name_the_arm(seeds):
  with pytest.raises(ValueError, match="'muzero'"):
    curves.align("muzero", seeds)


def test_interval_over_seeds_is_students():
  lo, hi = curves.seed_interval(np.array([[0.4, 0.0], [0.5, 0.0], [0.6, 0.3]]))
  # t(0.975, 2) = 4.303 and the standard error is 0.1 / sqrt(3).
  np.testing.assert_allclose([lo[0], hi[0]], [0.2516, 0.7484], atol=1e-3)
  assert lo[1] == 0.0


def test_labels_move_apart_only_as_far_as_needed():
  assert curves.spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
  assert curves.spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
  spread = curves.spread([0.0, 0.01, 0.02, 0.9], 0.06)
  assert np.diff(spread).min() >= 0.06 - 1e-9
  assert spread[-1] == pytest.approx(0.9)
