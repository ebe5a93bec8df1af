"""A real compilation for a real slice, without a TPU, of the smallest run."""

import copy
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

from jax.experimental import topologies
import pytest

from mulearn.lm import size
from mulearn.parallel import ahead, chips, pictures, placement, programs, report
from mulearn.parallel import compile as compile_lib
from mulearn.parallel.mesh import make_mesh

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(board_config):
  """Two moves and two simulations of each of four lanes, two updates."""
  config = board_config("simulator")
  config.search.num_simulations = 2
  config.self_play.num_plies = 2
  config.learn.updates_per_env_step = 0.25
  return config


@pytest.fixture(scope="module")
def result(config):
  return ahead.compile_for(config, "v5e:2x2")


def test_it_says_what_a_pod_would_need(result):
  assert result["chips"] == 4 and result["hosts"] == 1
  assert result["mesh"] == {"data": 4, "fsdp": 1, "model": 1}
  assert result["fits"]
  assert json.loads(json.dumps(result)) == result
  for program in result["programs"].values():
    hbm = program["hbm_bytes"]
    parts = ("arguments", "results", "temporaries", "program", "waiting")
    assert 0 < hbm["total"] == sum(hbm[part] for part in parts) < hbm["chip"]
    assert program["bytes"] > 0
    assert program["seconds"] >= max(program["ceilings"].values())
  moves = 2 * 4 / result["programs"]["learn"]["seconds"]
  assert result["env_steps_per_day"] == pytest.approx(86_400 * moves)
  hours = 64 / moves / 3600
  assert result["chip_hours"] == pytest.approx(4 * hours)


def test_chips_meet_for_gradients_and_metrics_alone(result, config):
  """Never in search; once an update, and once for each kind of metrics."""
  act, learn = (result["programs"][name] for name in ("act", "learn"))
  assert act["search_collectives"] == learn["search_collectives"] == 0
  assert set(act["collectives"]) == set(learn["collectives"]) == {"all-reduce"}
  assert act["collectives"]["all-reduce"] == {"count": 1, "bytes": 3 * 4}
  numbers = sum(
      row.bytes_a_chip
      for row in _rows(config)
      if row.part == "state" and row.path.startswith("params")
  )
  assert learn["collectives"]["all-reduce"]["count"] == 2 + 2
  sent = learn["collectives"]["all-reduce"]["bytes"]
  assert 2 * numbers <= sent < 2 * numbers + 100


def _rows(config):
  mesh = make_mesh(chips.describe("v5e:2x2").devices)
  return placement.placement(programs.programs(config, mesh).arrays)


def test_every_array_has_its_place(config):
  rows = {row.path: row for row in _rows(config)}
  kernel = rows["params.read.kernel"]
  assert (kernel.shape, kernel.split) == ((18, 16), "whole")
  assert kernel.bytes_a_chip == 18 * 16 * 4
  ring = rows["experience.policy"]
  assert (ring.shape, ring.split) == ((4, 16, 9), "data")
  assert ring.bytes_a_chip == 16 * 9 * 4
  assert rows["ply"].split == "data" and rows["ply"].bytes_a_chip == 4
  table = placement.table(list(rows.values())).splitlines()
  assert len({len(line) for line in table}) == 1 and "| all " in table[-1]


def test_layers_that_are_alike_share_a_row():
  row = placement.Row("lm", "blocks.0.q", 1, (8, 8), "bfloat16", "model", 32)
  other = row._replace(path="blocks.11.q")
  [merged] = placement.merge([row, other])
  assert (merged.path, merged.count) == ("blocks.*.q", 2)
  assert merged.bytes_a_chip == 64


def test_a_text_game_has_scoring_too(tiny_config, monkeypatch):
  """Lowered, not compiled; the language model is split by its rules."""
  small = dataclasses.replace(size.KNOWN["SmolLM2 135M"], num_layers=2)
  monkeypatch.setitem(size.KNOWN, "SmolLM2 135M", small)
  config = copy.deepcopy(tiny_config)
  config.env.num_lanes = config.replay.batch_size = 8
  config.prior.num_devices = 2
  mesh = make_mesh(chips.describe("v5e:2x4").devices)
  found = programs.programs(config, mesh, 2)
  assert list(found.lower) == ["act", "learn", "prior"]
  assert found.runs == {"act": 1, "learn": 1, "prior": 1}
  rows = placement.merge(placement.placement(found.arrays))
  splits = {row.path: row.split for row in rows if row.part == "language model"}
  assert splits["blocks.*.attention.q"] == "-, model"
  assert splits["blocks.*.attention.o"] == "model"
  for lower in found.lower.values():
    assert "module" in lower().as_text()[:100]


def test_tables_and_pictures(result, config, tmp_path):
  text = report.table(result)
  assert "v5e:2x2: 4 chips, 1 hosts" in text and "chip-hours" in text
  assert "4 all-reduce" in text
  lines = report.summary([result, result | {"fits": False}]).splitlines()
  assert "latency" in lines[2] and " 4 " in lines[2]
  assert "does not fit" in lines[3]
  pictures.draw_roofline(tmp_path / "roofline.png", [result])
  pictures.draw_placement(tmp_path / "placement.png", _rows(config))
  assert "latency" in (tmp_path / "roofline.svg").read_text()
  assert "split by data" in (tmp_path / "placement.svg").read_text()


def test_the_command_prints_and_draws(result, monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(ahead, "compile_for", lambda *_, **__: result)
  path = tmp_path / "new" / "roofline.png"
  words = [f"--config={_ROOT / 'experiments/connect_four/config.py'}"]
  compile_lib.main(["", *words, "--topology=v5e:2x2", f"--picture={path}"])
  assert "v5e:2x2: 4 chips" in capsys.readouterr().out
  assert path.read_bytes().startswith(b"\x89PNG")
  compile_lib.main(["", *words, "--sweep", "--json"])
  found = json.loads(capsys.readouterr().out)
  assert [r["topology"] for r in found] == ["v5e:2x2"] * len(chips.TOPOLOGIES)


def test_what_does_not_fit_is_told_with_a_way_out(config, monkeypatch):
  chip = chips.CHIPS["v5e"]._replace(hbm_bytes=1e4)
  monkeypatch.setitem(chips.CHIPS, "v5e", chip)
  where = chips.describe("v5e:2x2")
  hbm = {"arguments": 9e4, "waiting": 0, "temporaries": 1e4}
  found = {"act": {"fits": True}, "learn": {"fits": False, "hbm_bytes": hbm}}
  advice = ahead._advice(found, where)
  assert "too few for learn" in advice and "replay.capacity" in advice
  hbm["temporaries"] = 1e5
  assert "env.num_lanes" in ahead._advice(found, where)


@pytest.mark.parametrize(
    "name, match",
    [
        ("h100:8", "must be one of v5e"),
        ("v5e", "the shape of the slice"),
        ("v5e:3x3", "libtpu does not know"),
    ],
)
def test_a_slice_that_does_not_exist(name, match):
  with pytest.raises(chips.TopologyError, match=match):
    chips.describe(name)


@pytest.mark.parametrize(
    "field, value, match",
    [
        ("num_lanes", 6, "env.num_lanes is 6, which 4 devices .* such as 8"),
        ("capacity", 66, "replay.capacity is 66"),
        ("prioritised", True, "one tree for all lanes"),
    ],
)
def test_what_chips_cannot_share(config, field, value, match, monkeypatch):
  part = config.env if field == "num_lanes" else config.replay
  monkeypatch.setattr(part, field, value)
  mesh = make_mesh(chips.describe("v5e:2x2").devices)
  with pytest.raises(ValueError, match=match):
    programs.programs(config, mesh)


def test_the_command_refuses_in_one_line():
  done = subprocess.run(
      [
          sys.executable, "-m", "mulearn.parallel.compile", "--topology=v5e:4x4",
          "--config=experiments/text_worlds/config.py:twc",
          "--config.env.num_lanes=24",
      ],
      capture_output=True, text=True, cwd=_ROOT, timeout=300,
      env=os.environ | {"PYTHONPATH": str(_ROOT)},
  )  # fmt: skip
  assert done.returncode == 1 and not done.stdout
  assert "env.num_lanes is 24" in done.stderr
  assert "such as 32" in done.stderr and "Traceback" not in done.stderr


def test_slices_are_side_by_side_on_the_data_axis():
  """So that what splits a layer never leaves its slice."""
  chips.describe("v5e:2x2")  # Tells libtpu that there is no TPU to ask.
  devices = topologies.get_topology_desc(
      "v5e:2x2", platform="tpu", num_slices=2
  ).devices
  mesh = make_mesh(devices, model=2)
  assert dict(mesh.shape) == {"data": 4, "fsdp": 1, "model": 2}
  slices = [{d.slice_index for d in row.ravel()} for row in mesh.devices]
  assert slices == [{0}, {0}, {1}, {1}]
  with pytest.raises(ValueError, match="data=1 cannot be split over 2 slices"):
    make_mesh(devices, data=1, model=8)
