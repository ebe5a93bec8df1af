"""Two processes agree, and keep one checkpoint between them."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import zlib

import jax
from jax._src import distributed
import numpy as np
import pytest

from mulearn import lm, snapshot
from mulearn import run as run_lib
from mulearn.checkpoint import Checkpointer, CheckpointError
from mulearn.config import Config, ModelConfig
from mulearn.env.base import TextObservation
from mulearn.env.hex import Hex
from mulearn.evaluate import arena, players
from mulearn.lm import decoder, finetune, text_data
from mulearn.lm.text_data import Encoded
from mulearn.model.phrases import PhraseTable
from mulearn.parallel import hosts
from mulearn.parallel.mesh import make_mesh

_NAMES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def test_alone_everything_is_what_was_given():
  assert hosts.is_leader()
  assert hosts.any_of([True, False]) == [True, False]
  assert hosts.share({"a": [1]}) == {"a": [1]}
  assert hosts.total([1, 2]) == [1, 2]
  assert hosts.part_of(3).tolist() == [0, 1, 2]
  assert hosts.gather({"x": np.arange(3)}, 3)["x"].tolist() == [0, 1, 2]
  assert hosts.gather_json({"a": 1}) == [{"a": 1}]
  assert hosts.everywhere([2**32 + 1]).tolist() == [[1]]
  assert hosts.lead(lambda: (1, 2)) == [1, 2]
  mesh = make_mesh()
  assert hosts.local_mesh(mesh) is mesh
  assert hosts.rows_here(3, mesh).tolist() == [0, 1, 2]
  rows = np.arange(3)
  assert hosts.whole(rows, mesh) is rows and hosts.local(rows) is rows


@pytest.fixture
def joined(monkeypatch):
  """What JAX was asked to join, in place of joining it."""
  found = []
  monkeypatch.setattr(
      jax.distributed, "initialize", lambda *a, **k: found.append(a)
  )
  monkeypatch.setattr(jax.config, "update", lambda *unused: None)
  for name in _NAMES:
    monkeypatch.delenv(name, raising=False)
  return found


def test_processes_are_joined_by_flags_or_variables(joined, monkeypatch):
  hosts.join()
  assert not joined  # Not on a TPU, so alone.
  hosts.join("host:1", 2, 0)
  for name, value in zip(_NAMES, ("other:2", "4", "3")):
    monkeypatch.setenv(name, value)
  hosts.join()
  hosts.join(process_id=1)
  assert joined == [("host:1", 2, 0), ("other:2", 4, 3), ("other:2", 4, 1)]


def test_a_tpu_finds_its_hosts_by_itself(joined, monkeypatch):
  monkeypatch.setattr(hosts.glob, "glob", lambda unused: ["/dev/accel0"])
  hosts.join()
  assert not joined  # JAX_PLATFORMS says that the CPU is meant.
  monkeypatch.setenv("JAX_PLATFORMS", "tpu,cpu")
  hosts.join()
  assert joined == [(None, None, None)]


def test_a_part_of_what_joining_needs_is_not_enough(joined):
  with pytest.raises(ValueError, match="give all three, by --coordinator"):
    hosts.join("host:1")
  assert not joined


def test_lanes_that_processes_cannot_share_are_refused(monkeypatch):
  monkeypatch.setattr(jax, "process_count", lambda: 3)
  config = Config()
  config.env.num_lanes = 16
  with pytest.raises(ValueError, match="3 processes .* multiple of 3.* 18"):
    run_lib.make_pool(config)


def test_an_error_is_not_hidden_by_that_of_closing(
    tmp_path, monkeypatch, caplog
):
  def close(saver):
    raise CheckpointError("the cable is out")

  monkeypatch.setattr(Checkpointer, "close", close)
  with pytest.raises(FloatingPointError):
    with Checkpointer(tmp_path):
      raise FloatingPointError
  assert "the cable is out" in caplog.text
  with pytest.raises(CheckpointError, match="cable"):
    with Checkpointer(tmp_path):
      pass


def test_two_processes(tmp_path):
  """See `_as_one_of_two`, which both run."""
  with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{found.getsockname()[1]}"
  env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
  started = [
      subprocess.Popen(
          [sys.executable, __file__, address, str(i), str(tmp_path)],
          env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
      )
      for i in range(2)
  ]  # fmt: skip
  for process in started:
    out, err = process.communicate(timeout=300)
    assert "passed" in out, err
  # What two wrote, one reads; and finds the bit that was flipped.
  like = {
      "rows": np.zeros((4, 3), np.float32),
      "all": np.zeros(2, np.int32),
      "n": 0,
  }
  assert Checkpointer(tmp_path).names() == ["2", "3"]
  _, [kept], _ = Checkpointer(tmp_path / "donated").restore([_rows()])
  np.testing.assert_array_equal(kept, _rows())
  _, arrays, host = Checkpointer(tmp_path).restore(like)
  np.testing.assert_array_equal(arrays["rows"], _rows() + 3.0)
  assert arrays["n"] == 3 and host == {"who": 0}
  _, manifest = snapshot.read_host(tmp_path / "3")
  with pytest.raises(ValueError, match="checksum of array rows"):
    snapshot._verify(manifest, {"rows": _rows()})
  moved = np.roll(arrays["rows"], 1, axis=0)
  with pytest.raises(ValueError, match="checksum of array rows"):
    snapshot._verify(manifest, {"rows": moved})


def test_an_older_checksum_is_not_checked_and_that_is_said(caplog):
  rows = _rows()
  manifest = {"rows": [[4, 3], "float32", zlib.crc32(rows.tobytes())]}
  snapshot._verify(manifest, {"rows": rows})
  assert "The arrays were saved by an older mulearn" in caplog.text


def test_rows_of_small_numbers_are_not_mistaken_for_each_other(tmp_path):
  numbers = np.arange(64)
  finish = snapshot.begin(tmp_path / "1", {"numbers": numbers}, {})
  finish()
  _, manifest = snapshot.read_host(tmp_path / "1")
  snapshot._verify(manifest, {"numbers": numbers})
  for moved in (np.roll(numbers, 1), numbers[::-1], numbers ^ 1, numbers + 1):
    with pytest.raises(ValueError, match="checksum of array numbers"):
      snapshot._verify(manifest, {"numbers": moved})


def _rows() -> np.ndarray:
  return np.arange(12, dtype=np.float32).reshape(4, 3)


def _as_one_of_two(address: str, index: int, directory: pathlib.Path) -> None:
  hosts.join(address, 2, index)
  assert jax.process_count() == 2 and hosts.is_leader() == (index == 0)
  met = _connections()
  assert met
  assert hosts.any_of([index == 1, False]) == [True, False]
  assert hosts.share({"who": index, "é": [index]}) == {"who": 0, "é": [0]}
  assert hosts.total([2**31 + index, index]) == [1, 1]
  assert hosts.part_of(1).tolist() == ([0], [])[index]
  found = hosts.gather({"x": hosts.rows_for(1) + index}, 1)["x"]
  assert found.tolist() == [0]  # What the second did again is left out.
  mine = hosts.rows_for(5)
  assert mine.tolist() == ([0, 2, 4], [1, 3])[index]
  found = hosts.gather({"x": mine * 10}, 5)["x"]
  assert found.tolist() == [0, 10, 20, 30, 40]
  # Of another length in each, and longer than what is sent at first.
  given = {"who": index, "é": "x" * (3000 * index)}
  assert hosts.gather_json(given)[index] == given
  assert [len(g["é"]) for g in hosts.gather_json(given)] == [0, 3000]
  assert hosts.everywhere([index, 7]).tolist() == [[0, 7], [1, 7]]
  _divide_rows(index)
  _share_the_games(index)
  _follow_the_leader(index)
  _refuse_what_differs(index, directory / "apart")
  _donate_what_is_being_saved(directory / "donated")
  _fine_tune_in_step(index, directory / "finetuned")
  _keep_together(index, directory)
  # Who meets for the first time is not waited for longer than 30 s.
  assert _connections() == met
  print("passed")


def _connections() -> set[str]:
  """What Gloo has told of devices that are connected, or were to be."""
  client = distributed.global_state.client
  return {key for key, _ in client.key_value_dir_get_bytes("cpu:gloo")}


def _share_the_games(index: int) -> None:
  environment, asked = Hex(3), []
  random = players.random_player(environment)

  def player(rng_key, states):
    asked.append(len(jax.tree.leaves(states)[0]))
    return random(rng_key, states)

  score = arena.match(
      environment, player, random, jax.random.key(0), num_pairs=5,
      opening_plies=2,
  )  # fmt: skip
  assert set(asked) == {(3, 2)[index]}
  assert score.games.shape == (5, 2) and set(score.games.flat) <= {0.0, 1.0}
  first, second = hosts.gather_json(score.games.tolist())
  assert first == second


def _follow_the_leader(index: int) -> None:
  asked = []

  def make():
    asked.append(index)
    return np.full((3, index + 1), np.float32(index)), np.arange(2000)

  small, large = hosts.lead(make)
  assert asked == ([0], [])[index]
  assert small.shape == (3, 1) and not small.any()
  np.testing.assert_array_equal(large, np.arange(2000))

  # The language models of two hosts never agree to the last bit.
  def embed(texts):
    draw = [np.random.default_rng(len(text)).normal(size=5) for text in texts]
    return np.array(draw, np.float32) * np.float32(1.0 + 1e-6 * index)

  rooms = [
      TextObservation("", (f"here: {'x' * i}",), "", ("go",))
      for i in range(1, 5)
  ]
  phrases = PhraseTable(embed, ModelConfig(max_phrases=64), lead=hosts.lead)
  phrases.fit(rooms)
  phrases.observe(rooms, learn=True)
  alone = phrases.copy()  # Not in both processes.
  if index:
    alone.observe([TextObservation("other", ("here: hat",), (), (), ())])
  arrays, _ = phrases.save()
  sums = [zlib.crc32(array.tobytes()) for array in arrays.values()]
  assert len(alone) == len(phrases) + index
  first, second = hosts.everywhere(sums).tolist()
  assert first == second


def _refuse_what_differs(index: int, directory: pathlib.Path) -> None:
  saver = Checkpointer(directory)
  with pytest.raises(CheckpointError, match="array b is another in process 1"):
    saver.save(1, {"a": np.zeros(2), "b": np.full(2, index)}, {})
  assert not saver.names()


def _donate_what_is_being_saved(directory: pathlib.Path) -> None:
  mesh = make_mesh()
  rows = hosts.whole(_rows()[hosts.rows_here(4, mesh)], mesh)
  change = jax.jit(lambda x: -x, donate_argnums=0)
  with Checkpointer(directory) as saver:
    saver.save(1, [rows], {}, wait=False)
    changed = change(rows)
    assert rows.is_deleted()
  np.testing.assert_array_equal(
      hosts.rows_of(changed), -_rows()[hosts.rows_here(4, mesh)]
  )


def _fine_tune_in_step(index: int, directory: pathlib.Path) -> None:
  """Each learns from its own rows; one is asked to stop, and both do."""
  shape = lm.DecoderConfig(
      vocab_size=64, num_layers=1, width=16, hidden_width=32, num_heads=2,
      num_kv_heads=2, head_width=8,
  )  # fmt: skip
  model = lm.LanguageModel(
      shape, lm.Decoder(shape, decoder.random_arrays(0)), None, "none", "none"
  )

  def rows(seed: int) -> text_data.Rows:
    tokens = np.random.default_rng(seed).integers(0, 64, (4, 17)).tolist()
    return text_data.pack([Encoded(t, [True] * 17) for t in tokens], 16)

  config = finetune.FinetuneConfig(
      num_steps=4, batch_size=4, length=16, warmup_steps=1, eval_every=2
  )
  update = finetune.Progress.update

  def interrupt(self, step, **rest):
    update(self, step, **rest)
    if step == 2 and index == 1:
      os.kill(os.getpid(), signal.SIGINT)

  finetune.Progress.update = interrupt
  first = finetune.train(model, rows(index), config, directory, rows(9))
  finetune.Progress.update = update
  assert first.step == 2
  rest = finetune.train(model, rows(index), config, directory, rows(9))
  assert rest.step == 4
  one, other = hosts.gather_json(first.losses + rest.losses)
  assert one == other and len(one) == 4
  lines = (directory / "metrics.jsonl").read_text().splitlines()
  assert ["valid_loss" in line for line in lines] == [False, True] * 2


def _divide_rows(index: int) -> None:
  mesh = make_mesh()
  assert hosts.rows_here(4, mesh).tolist() == [2 * index, 2 * index + 1]
  mine = _rows()[hosts.rows_here(4, mesh)]
  whole = hosts.whole({"x": mine}, mesh)
  assert whole["x"].shape == (4, 3)
  np.testing.assert_array_equal(hosts.rows_of(whole)["x"], mine)
  # A mesh of its own, on which a process computes without the other.
  here = hosts.local_mesh(mesh)
  assert here.size == 1 and here.axis_names == mesh.axis_names
  for _ in range(index + 1):
    x = hosts.whole({"x": mine}, here)["x"]
    np.testing.assert_array_equal(jax.jit(lambda x: 2 * x)(x), 2 * mine)


def _keep_together(index: int, directory: pathlib.Path) -> None:
  mesh = make_mesh()
  data = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
  whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

  def arrays(step):
    return {
        "rows": jax.make_array_from_callback(
            (4, 3), data, lambda i: _rows()[i] + np.float32(step)
        ),
        "all": jax.make_array_from_callback(
            (2,), whole, lambda i: np.full(2, step, np.int32)[i]
        ),
        "n": step,
    }

  assert hosts.local(arrays(1)["all"]).tolist() == [1, 1]
  saver = Checkpointer(directory, keep=2)
  for step in (1, 2, 3):
    saver.save(step, arrays(step), {"who": 0})
  step, restored, _ = saver.restore(arrays(0))
  assert step == restored["n"] == 3
  [shard] = restored["rows"].addressable_shards
  expected = _rows()[2 * index : 2 * index + 2] + 3.0
  np.testing.assert_array_equal(shard.data, expected)
  # A process that cannot read makes all of them take the one before.
  if index == 1:
    snapshot.read_host = _fail_at(directory / "3", snapshot.read_host)
  step, restored, _ = saver.restore(arrays(0))
  assert step == restored["n"] == 2


def _fail_at(path: pathlib.Path, read):
  def fail(given):
    if str(given) == str(path):
      read(given)
      raise CheckpointError("the cable is out")
    return read(given)

  return fail


if __name__ == "__main__":
  _as_one_of_two(sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]))
