"""The picture of mistakes: what it reads, what it draws, what it refuses."""

import json
import pathlib

import pytest

from mulearn.evaluate import __main__ as main
from mulearn.evaluate import mistake_picture, position_sets


def _write(folder, arm, seed, curve):
  path = folder / arm / f"seed_{seed}" / "results.json"
  path.parent.mkdir(parents=True)
  path.write_text(json.dumps({"final": curve[-1], "curve": curve}))


def _curve(*mistakes):
  return [
      {"env_steps": 1000.0 * i}
      | {f"mistake/{name}": m for name in position_sets.NAMES}
      | {f"policy_mistake/{name}": 2 * m for name in position_sets.NAMES}
      for i, m in enumerate(mistakes)
  ]


def test_curves_are_read_by_arm_and_seed(tmp_path):
  curves = {0: _curve(0.4, 0.1), 1: _curve(0.3, 0.0)}
  for seed, curve in curves.items():
    _write(tmp_path, "alphazero", seed, curve)
  _write(tmp_path, "muzero", 0, curves[0])
  found = mistake_picture.read_curves(tmp_path)
  assert found == {"alphazero": list(curves.values()), "muzero": [curves[0]]}


def test_the_command_draws_all_sets_and_arms(tmp_path, capsys):
  _write(tmp_path, "alphazero", 0, _curve(0.4, 0.0))
  _write(tmp_path, "muzero", 0, _curve(0.4, 0.2))
  assert main.main(["mistakes", f"--results={tmp_path}"]) == 0
  assert str(tmp_path / "mistakes.png") in capsys.readouterr().out
  for name in ("mistakes.png", "heatmap.png"):
    assert (tmp_path / name).read_bytes()[1:4] == b"PNG"
  svg = (tmp_path / "mistakes.svg").read_text()
  for words in (*position_sets.NAMES, "alphazero", "muzero"):
    assert f"<!-- {words} -->" in svg


def test_no_arm_is_left_out_in_silence(tmp_path, capsys):
  for i in range(6):
    _write(tmp_path, f"arm_{i}", 0, _curve(0.4, 0.0))
  command = ["mistakes", f"--results={tmp_path}"]
  assert main.main(command) == 1
  assert (
      "arm_5, and all were asked for. Name up to 5" in capsys.readouterr().err
  )
  assert main.main([*command, "--arms", "arm_5", "arm_x"]) == 1
  assert "arm_5, arm_x were asked" in capsys.readouterr().err
  assert main.main([*command, "--arms", "arm_5", "arm_0"]) == 0
  svg = (tmp_path / "mistakes.svg").read_text()
  assert svg.index("<!-- arm_5 -->") < svg.index("<!-- arm_0 -->")
  assert "<!-- arm_1 -->" not in svg


def test_what_has_no_mistakes_by_set_is_refused(tmp_path, capsys):
  assert main.main(["mistakes", f"--results={tmp_path}"]) == 1
  assert "holds no <arm>/seed_<n>/results.json" in capsys.readouterr().err
  _write(tmp_path, "alphazero", 0, [{"env_steps": 0.0, "optimal_rate": 1.0}])
  with pytest.raises(ValueError, match="nothing of the set 'end-easy'"):
    mistake_picture.read_curves(pathlib.Path(tmp_path))


def test_published_figures_are_of_our_sets():
  for rates in (mistake_picture.PUBLISHED, mistake_picture.PUBLISHED_MINIMAX):
    assert set(rates) == set(position_sets.NAMES)


def test_the_heatmap_holds_the_ends_of_all_seeds(tmp_path):
  rows = mistake_picture.final_mistakes(
      {"alphazero": [_curve(0.4, 0.25), _curve(0.4, 0.125)]}
  )
  assert rows["alphazero"]["begin-hard"] == 0.1875
  assert rows["alphazero, no search"]["end-easy"] == 0.375
  assert rows["minimax, 5 plies"] == mistake_picture.PUBLISHED_MINIMAX
  mistake_picture.draw_heatmap(tmp_path / "heatmap.png", rows)
  svg = (tmp_path / "heatmap.svg").read_text()
  for words in ("18.8 %", "37.5 %", "23.5 %", "AlphaZero.jl, 600 sim."):
    assert f"<!-- {words} -->" in svg
