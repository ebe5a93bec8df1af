"""The benchmark of search runs, small; its searches agree."""

import importlib
import json
import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def test_it_runs_and_both_searches_agree(monkeypatch, tmp_path, capsys):
  monkeypatch.syspath_prepend(ROOT)
  benchmark = importlib.import_module("benchmarks.search")
  out = tmp_path / "out" / "search.json"
  # Self-play is what learning does too, before it learns.
  rows = ["--rows", "search", "learning"]
  benchmark.main(["--small", "--repeats=1", f"--out={out}", *rows])
  rows = {
      row["name"].removeprefix("tic_tac_toe 4 lanes x 4: "): row
      for row in json.loads(out.read_text())["rows"]
  }
  assert rows["equal visit counts"]["value"] == 1.0
  for name in ("search / bare mctx", "learning / pgx"):
    row = rows[name]
    assert row["value"] > 0.0
    assert row["moves_per_second"] > 0.0 < row["other_moves_per_second"]
  assert 0.0 < rows["share of pgx's samples with a value"]["value"] <= 1.0
  assert "moves a second" in capsys.readouterr().out
