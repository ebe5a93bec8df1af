"""Tests of results.json and of the table that a person reads."""

import io
import json
import os

import numpy as np
import pytest
import rich.console

from mulearn import config as config_lib
from mulearn.evaluate import report, statistics


def _arm(success, lo, hi, **extra):
  return {
      "success": success,
      "ci95": [lo, hi],
      "return": success / 3,
      "episodes": 300,
      "env_steps": 12000,
      "lm_tokens": 1234567,
  } | extra


@pytest.fixture(name="arms")
def _arms():
  return {
      "random": _arm(0.03, 0.01, 0.09),
      "lm": _arm(0.12, 0.07, 0.2),
      "muzero": _arm(0.15, 0.08, 0.24),
      "muzero_lm": _arm(0.4, 0.3, 0.5, success_by_seed={"0": 0.4}),
      "gold": _arm(1.0, 0.96, 1.0),
  }


def _write(path, arms, trust=((0, 0.5), (100, 0.75))):
  return report.write_results(
      path, config_lib.Config(), (0, 1), 61.25, arms, trust
  )


def _printed(results, width, terminal=False):
  stream = io.StringIO()
  report.print_table(
      results,
      rich.console.Console(file=stream, width=width, force_terminal=terminal),
  )
  return stream.getvalue()


def test_file_follows_the_schema(tmp_path, arms):
  path = tmp_path / "run" / "results.json"
  returned = _write(path, arms)
  loaded = json.loads(path.read_text())
  assert loaded == returned
  assert list(loaded) == ["config", "seeds", "seconds", "arms", "trust"]
  assert loaded["config"]["search"]["policy"] == "gumbel"
  assert loaded["seeds"] == [0, 1]
  assert loaded["seconds"] == 61.25
  assert loaded["trust"] == [[0, 0.5], [100, 0.75]]
  assert loaded["arms"]["muzero_lm"]["success_by_seed"] == {"0": 0.4}
  for arm in loaded["arms"].values():
    assert set(report.ARM_KEYS) <= set(arm)


def test_floats_read_back_to_the_same_bits(tmp_path, arms):
  path = tmp_path / "results.json"
  single = np.float32(0.1)
  arms["lm"]["success"] = 1 / 3
  arms["lm"]["ci95"] = np.array([0.1, 0.7], np.float32)
  _write(path, arms, [(np.int64(3), single)])
  loaded = json.loads(path.read_text())
  assert loaded["arms"]["lm"]["success"] == 1 / 3
  assert np.float32(loaded["arms"]["lm"]["ci95"][0]) == single
  assert loaded["trust"] == [[3, float(single)]]


def test_summaries_of_statistics_fit(tmp_path):
  episodes = [
      statistics.EpisodeResult("lm", 0, game, game % 3 == 0, 0.5, 4)
      for game in range(9)
  ]
  summary = statistics.summarise(episodes)
  summary["lm"] |= {"env_steps": 36, "lm_tokens": 0}
  results = _write(tmp_path / "results.json", summary)
  assert results["arms"]["lm"]["episodes"] == 9


def test_missing_key_is_named(tmp_path, arms):
  del arms["lm"]["lm_tokens"]
  with pytest.raises(ValueError, match="'lm' lacks .'lm_tokens'."):
    _write(tmp_path / "results.json", arms)


@pytest.mark.parametrize("bad", [float("nan"), object()])
def test_bad_value_is_located_and_the_old_file_stays(tmp_path, arms, bad):
  path = tmp_path / "results.json"
  _write(path, arms)
  before = path.read_text()
  arms["muzero"]["return"] = bad
  with pytest.raises(ValueError, match="arms.muzero.return"):
    _write(path, arms)
  assert path.read_text() == before


def test_full_disk_leaves_the_old_file_and_no_scraps(
    tmp_path, arms, monkeypatch
):
  path = tmp_path / "results.json"
  _write(path, arms)
  before = path.read_text()

  def fail(descriptor):
    del descriptor
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(os, "fsync", fail)
  with pytest.raises(OSError, match="No space"):
    _write(path, arms | {"muzero": _arm(0.9, 0.8, 1.0)})
  assert path.read_text() == before
  assert os.listdir(tmp_path) == ["results.json"]


def test_sentences_say_what_beats_what_and_what_does_not(arms):
  assert report.verdicts(arms) == [
      "muzero_lm beats muzero, lm and random.",
      "muzero does NOT beat lm and random (the intervals overlap).",
      "lm does NOT beat random (the intervals overlap).",
  ]


def test_every_pair_is_named_once(arms):
  arms["muzero_lm"]["ci95"] = [0.1, 0.5]
  assert report.verdicts(arms)[0] == (
      "muzero_lm beats random. "
      "It does NOT beat muzero and lm (the intervals overlap)."
  )
  assert report.verdicts({"lm": arms["lm"]}) == []


def test_table_reads_well_when_piped(tmp_path, arms):
  results = _write(tmp_path / "results.json", arms)
  lines = _printed(results, width=80).splitlines()
  assert "\x1b" not in "".join(lines)
  row = next(line for line in lines if line.startswith("muzero_lm  "))
  assert row.split() == [
      "muzero_lm",
      "0.400",
      "[0.300,",
      "0.500]",
      "0.133",
      "300",
      "12,000",
      "1,234,567",
  ]
  assert "muzero_lm beats muzero, lm and random." in lines
  assert "2 training seeds an arm, 1.0 minutes." in lines


def test_longest_arm_fits_a_terminal_of_80_columns(tmp_path, arms):
  arms = {"imitation_muzero_lm": arms["muzero_lm"]} | arms
  results = _write(tmp_path / "results.json", arms)
  lines = _printed(results, width=80, terminal=True).splitlines()
  rows = [line for line in lines if "imitation_muzero_lm " in line]
  assert "1,234,567" in rows[0]
