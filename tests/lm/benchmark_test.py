"""The benchmark runs, small; its counts are right."""

import importlib
import json
import pathlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
  monkeypatch.syspath_prepend(ROOT)
  return importlib.import_module("benchmarks.lm")


@pytest.fixture
def workload(benchmark):
  return benchmark.workload


def test_it_runs_without_the_others(benchmark, tiny_gguf, tmp_path, capsys):
  out = tmp_path / "out" / "lm.json"
  model = str(tiny_gguf())
  benchmark.main(["--small", f"--model={model}", f"--out={out}", "--repeats=2"])
  rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
  assert rows["prefill 2x16, float32 / torch float32"]["value"] is None
  assert "not installed" in capsys.readouterr().out
  assert rows["load from the cache, s"]["value"] > 0
  tau = rows["Kendall tau of bfloat16 on 4 choices"]
  assert 0 < tau["value"] <= 1


def test_kendall_tau_by_hand(workload):
  assert workload.kendall_tau([[1, 2, 3]], [[10, 20, 30]]) == 1
  # One pair of three is the other way round.
  np.testing.assert_allclose(
      workload.kendall_tau([[1, 2, 3]], [[1, 3, 2]]), 1 / 3
  )


def test_flops_by_hand(workload, tiny):
  # q, k, v, o: 32 x (32 + 16 + 16 + 32); three of 32 x 64; three layers.
  matrices = 3 * (32 * 96 + 3 * 32 * 64)
  # Scores and sums over half of 16 tokens, with 32 numbers each.
  attention = 3 * 2 * 32 * 8
  wanted = 2 * (2 * 16 * (matrices + attention) + 2 * 261 * 32)
  assert workload.prefill_flops(tiny.config, 2, 16) == wanted
