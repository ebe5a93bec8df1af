"""The picture of the trust: each arm once in the legend, whatever has it."""

from mulearn.evaluate import trust_picture


def test_an_arm_has_one_name_and_a_study_may_have_none(tmp_path):
  seeds = {0: [(0, 0.5), (10, 0.9)], 1: [(0, 0.5), (10, 0.8)]}
  studies = {
      "twc": {"muzero_lm": seeds, "shuffled": seeds},
      "coin": {"muzero_lm": seeds},
      "mapreader": {},
  }
  trust_picture.draw_trust(tmp_path / "trust.png", studies)
  svg = (tmp_path / "trust.svg").read_text()
  for words in (*studies, "muzero_lm", "shuffled"):
    assert svg.count(f"<!-- {words} -->") == 1
