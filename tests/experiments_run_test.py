"""Experiments that are a `run.py` give their figures, from fewer draws."""

import importlib.util
import json
import pathlib

import pytest

_EXPERIMENTS = pathlib.Path(__file__).parent.parent / "experiments"


def _load(name: str):
  path = _EXPERIMENTS / name / "run.py"
  spec = importlib.util.spec_from_file_location(f"run_{name}", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _run(module, out: pathlib.Path, *arguments: str):
  """Runs one as its page says, and returns its results."""
  module.main([*arguments, f"--out={out}"])
  assert list(out.glob("*.png")) and list(out.glob("*.svg"))
  return json.loads((out / "results.json").read_text())


def test_gumbel_improvement(tmp_path):
  module = _load("gumbel_improvement")
  module.SIMULATIONS = (2, 16)
  results = _run(module, tmp_path, "--draws=10000", "--batches=1")
  assert results["example"]["action"] == pytest.approx(0.4857, abs=0.02)
  assert results["example"]["least_lead"] == 0.0
  for row in results["improvement"]:
    printed = module.PRINTED[row["num_simulations"]]
    for name, figure in zip(("action", "weights"), printed):
      assert row[name]["first_batch"] == pytest.approx(figure, abs=0.01)
      assert row[name]["min"] >= 0.0


def test_regularized_policy(tmp_path):
  module = _load("regularized_policy")
  module.NUM_ACTIONS = (16,)
  results = _run(module, tmp_path, "--problems=512", "--visits=32")
  for row in results["rows"]:
    asked = module.ASKED[row["num_actions"]]
    assert row["violations"] == 0 and row["checked"] == 512 * 32
    assert row["lost"][module.FEW - 1] == pytest.approx(asked, rel=0.1)
    searched, followed = row["value_at_16_searched"], row["value_at_16"]
    for name in ("visits", "policy"):  # Search chooses as the rule does.
      assert searched[name] == pytest.approx(followed[name], abs=2e-3)


def test_stochastic(tmp_path):
  module = _load("stochastic")
  module.TURNS, module.SIMULATIONS = (2,), (200,)
  by_odds, mistaken, patient = _run(module, tmp_path)["rows"]
  assert mistaken["arm"] == "chance taken for a player"
  assert by_odds["worst"][0] < 0.06 and by_odds["mean"][0] < 0.02
  assert mistaken["worst"][0] > 0.15
  assert patient["mean"][0] < 0.04


def test_sampled(tmp_path):
  module = _load("sampled")
  module.SAMPLES, module.SEEDS = (4,), range(1)
  module.same_trees = dict  # `tests/model/sampled_test.py` holds it.
  (row,) = _run(module, tmp_path, "--steps=20")["rows"]
  assert row["expected"][0][-1] > row["expected"][0][0] + 0.05
