"""Metrics: numbers survive exactly, and a resumed file has no echo."""

import json
import math
import os

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from mulearn import metrics


def test_floats_come_back_bit_for_bit(tmp_path):
  path = tmp_path / "new" / "metrics.jsonl"
  values = {
      "third": 1 / 3,
      "tiny": 5e-324,
      "float32": np.float32(0.1),
      "jax": jnp.float32(2.0) / 3,
      "count": 12,
      "flag": True,
  }
  writer = metrics.JsonLinesWriter(path)
  writer.write(np.int64(3), values)
  [line] = path.read_text().splitlines()  # Flushed before it is closed.
  writer.close()
  record = json.loads(line)
  assert list(record) == ["step", *values]
  assert record["step"] == 3 and record["count"] == 12 and record["flag"] == 1
  for name in ("third", "tiny", "float32", "jax"):
    assert record[name] == float(values[name])
  assert repr(1 / 3) in line


def test_what_is_not_a_number_is_a_string_and_reads_back(tmp_path):
  path = tmp_path / "metrics.jsonl"
  metrics.JsonLinesWriter(path).write(
      1, {"a": math.nan, "b": math.inf, "c": -np.float32("inf")}
  )
  record = json.loads(path.read_text(), parse_constant=pytest.fail)
  assert record == {"step": 1, "a": "NaN", "b": "Infinity", "c": "-Infinity"}
  [back] = metrics.read_json_lines(path)
  assert math.isnan(back["a"])
  assert (back["b"], back["c"]) == (math.inf, -math.inf)


def test_a_resumed_file_drops_later_steps_and_a_torn_line(tmp_path):
  path = tmp_path / "metrics.jsonl"
  writer = metrics.JsonLinesWriter(path)
  for step in (0, 10, 20, 30):
    writer.write(step, {"loss": step / 7})
  writer.close()
  with path.open("a") as file:
    file.write('{"step": 40, "lo')
  assert [r["step"] for r in metrics.read_json_lines(path)] == [0, 10, 20, 30]
  writer = metrics.JsonLinesWriter(path, keep=lambda line: line["step"] <= 10)
  writer.write(20, {"loss": 0.5})
  writer.close()
  records = list(metrics.read_json_lines(path))
  assert [r["step"] for r in records] == [0, 10, 20]
  assert records[-1]["loss"] == 0.5
  metrics.JsonLinesWriter(path, keep=lambda line: False).close()
  assert path.read_text() == ""
  assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_a_value_may_not_be_called_step(tmp_path):
  with pytest.raises(ValueError, match="rename"):
    metrics.JsonLinesWriter(tmp_path / "m.jsonl").write(1, {"step": 2})


def _scalars(directory) -> dict[tuple[str, int], float]:
  found = {}
  for path in directory.iterdir():
    content = path.read_bytes()
    while content:  # Length (8 bytes), its checksum (4), event, checksum (4).
      size = int.from_bytes(content[:8], "little")
      event = event_pb2.Event.FromString(content[12 : 12 + size])
      for value in event.summary.value:
        found[value.tag, event.step] = value.simple_value
      content = content[16 + size :]
  return found


def test_tensorboard_and_the_writer_of_both(tmp_path):
  board = metrics.TensorBoardWriter(tmp_path / "tb")
  lines = metrics.JsonLinesWriter(tmp_path / "m.jsonl")
  writer = metrics.MultiWriter([lines, board])
  writer.write(5, {"loss": 0.25, "eval/success": np.float32(0.5)})
  expected = {("loss", 5): 0.25, ("eval/success", 5): 0.5}
  writer.close()
  assert _scalars(tmp_path / "tb") == expected
  [record] = metrics.read_json_lines(tmp_path / "m.jsonl")
  assert record == {"step": 5, "loss": 0.25, "eval/success": 0.5}
  with pytest.raises(ValueError, match="closed"):
    lines.write(6, {})
