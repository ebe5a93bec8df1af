"""Raw logs read back: the numbers of the pages are those of the games."""

import json
import pathlib

import pytest

from mulearn.evaluate import results

_EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
_TEXT_WORLDS = _EXPERIMENTS / "text_worlds"


@pytest.fixture(scope="module")
def studies():
  return {
      "twc": results.read_study(_EXPERIMENTS / "demo/results"),
      "cookingworld": results.read_study(_TEXT_WORLDS / "results/cookingworld"),
      "mapreader": results.read_study(_TEXT_WORLDS / "results/mapreader"),
  }


def test_the_table_of_the_page_is_that_of_the_raw_logs(studies):
  page = (_TEXT_WORLDS / "README.md").read_text().splitlines()
  rows = results.arms_table(studies).splitlines()
  assert rows[0] == "| arm | twc | cookingworld | mapreader |"
  assert len(rows) == 12
  for row in rows[2:]:
    assert sum(line.startswith(row.split(" | ")[0]) for line in page) == 1
  order = [line for line in page if line.startswith("| `")]
  assert sorted(order) == sorted(rows[2:])


def test_the_summary_is_that_of_the_raw_logs(studies):
  summary = json.loads((_EXPERIMENTS / "demo/results/results.json").read_text())
  study = studies["twc"]
  assert list(study.arms) == list(summary["arms"])
  for name, arm in summary["arms"].items():
    for key in ("success", "return", "games", "success_by_seed"):
      assert study.arms[name][key] == arm[key]
    assert study.arms[name]["ci95"] == pytest.approx(arm["ci95"])
    assert study.lm_tokens[name] == arm["lm_tokens"]


def test_what_learned_has_a_curve_and_what_heard_a_prior_a_trust(studies):
  study = studies["twc"]
  assert set(study.curves) == {
      "muzero", "muzero_lm", "shuffled", "imitation", "imitation_muzero_lm",
  }  # fmt: skip
  assert set(study.trust) == {"muzero_lm", "shuffled", "imitation_muzero_lm"}
  assert set(study.trust["shuffled"]) == {0, 1, 2}
  step, weight = study.trust["muzero_lm"][0][-1]
  assert step == 4800 and weight > 0.9


def _run(folder, arm, seed, rates):
  curve = [
      {"env_steps": 100 * i, "optimal_rate": rate, "policy_rate": rate / 2}
      for i, rate in enumerate(rates)
  ]
  path = folder / arm / f"seed_{seed}" / "results.json"
  path.parent.mkdir(parents=True)
  path.write_text(
      json.dumps(
          {
              "seed": seed, "curve": curve, "final": curve[-1],
              "env_steps": 1200, "seconds": 61.7,
              "worst_of_last_quarter": min(rates[-2:]),
          }
      )
  )  # fmt: skip
  return curve


def test_the_table_of_runs_tells_from_when_nothing_is_lost(tmp_path):
  settled = _run(tmp_path, "muzero", 0, [0.5, 1.0, 0.9, 1.0, 1.0])
  lost = _run(tmp_path, "muzero", 1, [0.5, 1.0, 1.0, 0.99])
  assert results.read_runs(tmp_path) == {"muzero": [settled, lost]}
  head, _, *rows = results.runs_table(tmp_path).splitlines()
  assert head.startswith("| arm | seed | final | worst | policy | from |")
  assert rows == [
      "| `muzero` | 0 | 100.00% | 100.00% | 50.00% | 300 | 1,200 | 62 |",
      "| `muzero` | 1 | 99.00% | 99.00% | 49.50% | never | 1,200 | 62 |",
  ]


def test_a_folder_without_results_is_refused(tmp_path):
  with pytest.raises(ValueError, match="holds no outcomes.json"):
    results.read_study(tmp_path)
  with pytest.raises(ValueError, match="holds no <arm>/seed_<n>/results.json"):
    results.read_runs(tmp_path)
