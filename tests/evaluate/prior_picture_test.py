"""The pictures of the language prior: what they show and what they keep."""

from mulearn.evaluate import prior_picture
from mulearn.prior.calibrate import Row
from mulearn.prior.language import Scoring


def test_a_choice_keeps_the_right_command_among_many(tmp_path):
  commands = [f"go {i}" for i in range(14)]
  rising = [i / 91 for i in range(14)]
  policies = {"language model": rising, "after search": rising[::-1]}
  path = tmp_path / "choice.png"
  prior_picture.draw_choice(path, commands, policies, "go 7")
  svg = path.with_suffix(".svg").read_text()
  shown = [i for i in range(14) if f"<!-- go {i} -->" in svg]
  assert shown == [0, 1, 2, 3, 4, 10, 11, 12, 13]  # Likely in one of the two.
  assert "<!-- go 7 ★ -->" in svg
  assert "<!-- 4 less likely commands are not shown -->" in svg
  for name in policies:
    assert f"<!-- {name} -->" in svg


def test_help_names_the_four_corners(tmp_path):
  path = tmp_path / "help.png"
  prior_picture.draw_help(path, [0.1, 0.9], {"search": [0.9, 0.2]})
  svg = path.with_suffix(".svg").read_text()
  for words in ("mended by search", "spoilt by search", "both right", "search"):
    assert f"<!-- {words} -->" in svg


def test_calibration_lists_methods_from_the_best(tmp_path):
  rows = [
      Row(Scoring(prompt, method, 1.0), nats, 0.5, 1.0)
      for prompt, method, nats in (
          ("plain", "sum", 2.0), ("errand", "sum", 2.5),
          ("plain", "mean", 2.2), ("errand", "mean", 1.0),
      )
  ]  # fmt: skip
  path = tmp_path / "calibration.png"
  prior_picture.draw_calibration(path, rows, 1.9)
  svg = path.with_suffix(".svg").read_text()
  assert svg.index("<!-- mean -->") < svg.index("<!-- sum -->")
  for words in ("plain", "errand", "uniform"):
    assert f"<!-- {words} -->" in svg
