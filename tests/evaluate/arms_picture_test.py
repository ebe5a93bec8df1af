"""The picture of all arms: what it draws, and what it refuses."""

import pytest

from mulearn.evaluate import arms_picture


def _arm(success, seeds):
  return {
      "success": success,
      "ci95": [success - 0.1, success + 0.1],
      "success_by_seed": {str(i): s for i, s in enumerate(seeds)},
  }


def test_it_names_studies_and_arms(tmp_path):
  arms = {"random": _arm(0.2, [0.2]), "muzero": _arm(0.6, [0.5, 0.7])}
  arms_picture.draw_arms(tmp_path / "arms.png", {"twc": arms, "coin": arms})
  assert (tmp_path / "arms.png").read_bytes()[1:4] == b"PNG"
  svg = (tmp_path / "arms.svg").read_text()
  for words in ("twc", "coin", "random", "muzero"):
    assert f"<!-- {words} -->" in svg


def test_studies_with_other_arms_are_refused(tmp_path):
  studies = {"twc": {"a": _arm(0.5, [0.5])}, "coin": {"b": _arm(0.5, [0.5])}}
  for wrong in (studies, {}):
    with pytest.raises(ValueError, match="have to\n? ?be the same"):
      arms_picture.draw_arms(tmp_path / "arms.png", wrong)
