"""Checkpoints: what is saved comes back, and no accident loses the last one."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mulearn import checkpoint

_SAVE_FOREVER = """
import sys, numpy as np
from mulearn import checkpoint
saver = checkpoint.Checkpointer(sys.argv[1])
arrays = {"x": np.random.default_rng(0).random((64, 65536), np.float32)}
for step in range(10**6):
  saver.save(step, arrays, {"step": step})
  print(step, flush=True)
"""

# A limit on the size of a file stands for a full disk where a small one cannot
# be mounted: the write fails in the same call, in the middle of a file.
_SAVE_UNTIL_FULL = """
import resource, signal, sys, numpy as np
from mulearn import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
saver = checkpoint.Checkpointer(sys.argv[1])
saver.save(1, {"x": np.arange(8)}, {"step": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
  saver.save(2, {"x": np.random.default_rng(0).random(10**6)}, {"step": 2})
except checkpoint.CheckpointError as e:
  print(e)
print(saver.restore({"x": np.zeros(8, int)}))
"""

# Fails the n-th file operation of a save, for every n. An audit hook lasts as
# long as its process, and before Python 3.12 a thread can't begin while one
# runs and the threads' calls are traced, as coverage does: hence the process
# of its own, and the end of tracing there.
_FAIL_AT_EVERY_WRITE = """
import os, sys, threading, numpy as np
from mulearn import checkpoint
threading.settrace(None)
calls = 0

def audit(event, args):
  global calls
  writes = event == "os.mkdir" or (event == "open" and args[1] in ("w", "wb"))
  if writes and sys.argv[1] in str(args[0]):
    calls -= 1
    if calls == 0:
      raise OSError(28, os.strerror(28))

saver = checkpoint.Checkpointer(sys.argv[1])
saver.save(1, {"x": np.arange(8)}, {})
sys.addaudithook(audit)
for n in range(1, 50):
  calls = n
  try:
    saver.save(2, {"x": np.arange(8) + 2}, {})
    break
  except checkpoint.CheckpointError as e:
    print(e, "left: step", saver.restore({"x": np.zeros(8, int)})[0])
print(saver.restore({"x": np.zeros(8, int)}))
"""


def _state() -> dict:
  module = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
  return {
      "params": module,
      "opt_state": optax.adamw(1e-3).init(module),
      "step": jnp.array(7, jnp.int32),
      "half": jnp.array([1.5, -2.25], jnp.bfloat16),
      "key": jax.random.key(5),
      "keys": jax.random.split(jax.random.key(6), 3),
      "replay": {
          "wide": np.arange(6, dtype=np.int64).reshape(2, 3),
          "mask": np.array([True, False]),
          "none_yet": np.zeros((0, 4), np.float32),
          "cursor": np.array(3),
          "count": 11,
      },
      "scalars": (jnp.float32(0.1), np.float64(1 / 3)),
  }


def _bits(tree) -> list:
  return [
      np.asarray(
          jax.random.key_data(x)
          if isinstance(x, jax.Array)
          and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
          else x
      )
      for x in jax.tree.leaves(tree)
  ]


def _assert_same(actual, expected) -> None:
  assert jax.tree.structure(actual) == jax.tree.structure(expected)
  for a, b in zip(_bits(actual), _bits(expected), strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


def _damage(path: pathlib.Path, item: str) -> None:
  """Flips one byte in the middle of the largest file of an item."""
  files = [p for p in (path / item).rglob("*") if p.is_file()]
  victim = max(files, key=lambda p: p.stat().st_size)
  content = bytearray(victim.read_bytes())
  content[len(content) // 2] ^= 0x10
  victim.write_bytes(bytes(content))


def test_everything_comes_back_bit_for_bit(tmp_path):
  state = _state()
  host = {"games": [["look", "take é"], []], "rate": 0.1, "big": 2**70}
  checkpoint.Checkpointer(tmp_path).save(40, state, host)
  like = jax.tree.map(lambda x: x * 0 if isinstance(x, int) else x, _state())
  step, arrays, restored = checkpoint.Checkpointer(tmp_path).restore(like)
  assert (step, restored) == (40, host)
  _assert_same(arrays, state)
  assert isinstance(arrays["replay"]["wide"], np.ndarray)
  assert isinstance(arrays["replay"]["count"], int)
  assert isinstance(arrays["step"], jax.Array)


def test_restored_arrays_do_not_recompile_the_step(tmp_path):
  state = {"x": jnp.ones(3), "key": jax.random.key(0)}
  step = jax.jit(lambda s: s["x"] + jax.random.normal(s["key"], (3,)))
  step(state)
  saver = checkpoint.Checkpointer(tmp_path)
  saver.save(0, state, {})
  step(saver.restore(state)[1])
  assert step._cache_size() == 1


def test_abstract_arrays_are_placed_as_asked(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path)
  saver.save(0, {"x": np.arange(4.0, dtype=np.float32)}, {})
  sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = {"x": jax.ShapeDtypeStruct((4,), jnp.float32, sharding=sharding)}
  x = saver.restore(like)[1]["x"]
  assert x.sharding == sharding
  np.testing.assert_array_equal(x, [0, 1, 2, 3])


def test_nothing_saved_is_none(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path / "new" / "run")
  assert saver.restore({"x": np.zeros(1)}) is None
  assert saver.latest_step() is None


def test_the_newest_are_kept_and_a_step_can_be_saved_again(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path, keep=2)
  for step in (1, 2, 10):
    saver.save(step, {"x": np.array(step)}, {})
  assert sorted(os.listdir(tmp_path)) == ["10", "2"]
  saver.save(10, {"x": np.array(-1)}, {})
  assert sorted(os.listdir(tmp_path)) == ["10", "10.1"]
  assert saver.latest_step() == 10
  assert saver.restore({"x": np.array(0)})[1]["x"] == -1


def test_an_older_step_is_found_and_a_missing_one_is_named(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path, keep=3)
  like = {"x": np.array(0)}
  for step, x in ((1, 10), (2, 20), (2, 21), (10, 30)):
    saver.save(step, {"x": np.array(x)}, {})
  assert saver.restore(like, step=2)[:2] == (2, {"x": np.array(21)})
  assert saver.restore(like)[0] == 10
  with pytest.raises(checkpoint.CheckpointError, match="step 1; .* 2, 10"):
    saver.restore(like, step=1)


@pytest.mark.parametrize("item", ["arrays", "host"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_damaged_one_is_named_and_the_one_before_is_used(
    tmp_path, caplog, item, missing
):
  saver = checkpoint.Checkpointer(tmp_path)
  x = np.random.default_rng(0).random(1000)
  for step in (1, 2):
    saver.save(step, {"x": x + step}, {"text": "a" * 1000})
  if missing:
    for path in (tmp_path / "2" / item).rglob("*"):
      if path.is_file():
        path.unlink()
  else:
    _damage(tmp_path / "2", item)
  with caplog.at_level("WARNING", logger="absl"):
    step, arrays, _ = saver.restore({"x": x})
  assert step == 1
  np.testing.assert_array_equal(arrays["x"], x + 1)
  assert f"{tmp_path / '2'} is damaged" in caplog.text
  assert saver.latest_step() == 1
  saver.save(2, {"x": x + 2}, {})  # The damaged one makes way.
  assert saver.restore({"x": x})[0] == 2
  assert sorted(os.listdir(tmp_path)) == ["1", "2.1"]


def test_all_damaged_is_an_error_not_a_fresh_start(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path)
  saver.save(1, {"x": np.arange(1000.0)}, {})
  _damage(tmp_path / "1", "host")
  with pytest.raises(checkpoint.CheckpointError, match="Remove the directory"):
    saver.restore({"x": np.arange(1000.0)})


@pytest.mark.parametrize(
    "like",
    [
        {"w": np.zeros((4, 2), np.float32)},
        {"w": np.zeros((3, 2), np.float16)},
        {"w": np.zeros((3, 2), np.float32), "more": np.zeros(1)},
        {},
    ],
)
def test_another_config_is_a_clear_error(tmp_path, like):
  saver = checkpoint.Checkpointer(tmp_path)
  saver.save(1, {"w": np.zeros((3, 2), np.float32)}, {})
  with pytest.raises(checkpoint.CheckpointError) as e:
    saver.restore(like)
  assert "another config" in str(e.value) and "--workdir" in str(e.value)
  assert ("more" if "more" in like else "w was [[3, 2], 'float32']") in str(
      e.value
  )
  assert saver.latest_step() == 1


def test_some_of_the_arrays_are_read_by_name(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path)
  w = np.arange(6, dtype=np.float32).reshape(3, 2)
  saver.save(1, {"net": {"w": w, "b": np.ones(2)}, "replay": np.ones(9)}, {})
  wanted = {"net": {"w": jax.ShapeDtypeStruct((3, 2), np.float32)}}
  _, found, _ = saver.restore(wanted, partial=True)
  np.testing.assert_array_equal(found["net"]["w"], w)
  assert jax.tree.structure(found) == jax.tree.structure(wanted)
  with pytest.raises(checkpoint.CheckpointError, match="b was .* and is .*3"):
    saver.restore({"net": {"b": np.ones(3)}}, partial=True)
  with pytest.raises(checkpoint.CheckpointError, match="v was absent"):
    saver.restore({"net": {"v": np.ones(2)}}, partial=True)


def test_host_must_be_json(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path)
  with pytest.raises(TypeError, match="JSON"):
    saver.save(1, {"x": np.zeros(1)}, {"bad": np.zeros(1)})
  assert os.listdir(tmp_path) == []


def test_keep_is_checked(tmp_path):
  with pytest.raises(ValueError, match="keep is 0"):
    checkpoint.Checkpointer(tmp_path, keep=0)


def test_a_directory_that_cannot_be_made(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(checkpoint.CheckpointError, match="--workdir"):
    checkpoint.Checkpointer(tmp_path / "file" / "run")


def _run(program: str, directory: pathlib.Path) -> subprocess.Popen:
  return subprocess.Popen(
      [sys.executable, "-c", program, str(directory)],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
  )


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path):
  process = _run(_SAVE_UNTIL_FULL, tmp_path)
  out, err = process.communicate(timeout=300)
  assert process.returncode == 0, err
  assert f"could not save step 2 in {tmp_path}" in out
  assert "bytes are free. Free some space" in out
  assert "The checkpoint of step 1 is untouched" in out
  assert "(1, {'x': array([0, 1, 2, 3, 4, 5, 6, 7])}, {'step': 1})" in out
  assert "Traceback" not in err  # Orbax's threads have nothing to add.
  assert os.listdir(tmp_path) == ["1"]


def test_a_full_disk_at_any_moment(tmp_path):
  process = _run(_FAIL_AT_EVERY_WRITE, tmp_path)
  out, err = process.communicate(timeout=300)
  assert process.returncode == 0, err
  *failures, last = out.splitlines()
  assert len(failures) >= 2
  for failure in failures:
    assert "The disk is full" in failure and failure.endswith("left: step 1")
  assert last == "(2, {'x': array([2, 3, 4, 5, 6, 7, 8, 9])}, {})"


def test_another_failure_keeps_its_reason(tmp_path, monkeypatch):
  def fail(*unused_args, copies):
    assert not copies  # It is waited for.
    raise OSError("the cable is out")

  monkeypatch.setattr(checkpoint.snapshot, "begin", fail)
  with pytest.raises(checkpoint.CheckpointError, match="the cable is out"):
    checkpoint.Checkpointer(tmp_path).save(1, {"x": np.zeros(1)}, {})


def test_a_save_goes_on_while_what_was_saved_changes(tmp_path):
  saver = checkpoint.Checkpointer(tmp_path)
  table, curve = np.ones(3), [1]
  for step in (1, 2, 3):
    state = jnp.full((512, 512), float(step))
    arrays = {"state": state, "table": table}
    saver.save(step, arrays, {"curve": curve}, wait=False)
    jax.jit(lambda x: 0.0 * x - 1.0, donate_argnums=0)(state)
    table += 1.0
    curve.append(step)
  saver.close()
  assert saver.names() == ["2", "3"]
  like = {"state": np.zeros((512, 512), np.float32), "table": np.zeros(3)}
  for step in (2, 3):
    _, found, host = saver.restore(like, step=step)
    np.testing.assert_array_equal(found["state"], np.full((512, 512), step))
    np.testing.assert_array_equal(found["table"], np.full(3, step))
    assert host["curve"] == [1, *range(1, step)]


def test_a_failure_behind_the_back_is_told_by_the_next_call(
    tmp_path, monkeypatch
):
  def begin(*unused_args, copies):
    assert copies

    def finish():
      raise OSError("the cable is out")

    return finish

  saver = checkpoint.Checkpointer(tmp_path)
  saver.save(1, {"x": np.zeros(1)}, {})
  with monkeypatch.context() as patched:
    patched.setattr(checkpoint.snapshot, "begin", begin)
    saver.save(2, {"x": np.zeros(1)}, {}, wait=False)
  with pytest.raises(checkpoint.CheckpointError, match="save step 2.*cable"):
    saver.save(3, {"x": np.zeros(1)}, {})
  saver.save(3, {"x": np.zeros(1)}, {})  # It is told once.
  assert saver.names() == ["1", "3"]


def test_kill_in_the_middle_of_a_save_leaves_the_previous(tmp_path):
  process = _run(_SAVE_FOREVER, tmp_path)
  try:
    for _ in range(3):
      last = process.stdout.readline()
    # Strike while one is being written: stop, look, and go on if it is not.
    for _ in range(10_000):
      process.send_signal(signal.SIGSTOP)
      if any("tmp" in name for name in os.listdir(tmp_path)):
        break
      process.send_signal(signal.SIGCONT)
      time.sleep(0.001)
  finally:
    process.kill()
  last = int((process.communicate()[0] or last).split()[-1])
  interrupted = [n for n in os.listdir(tmp_path) if "tmp" in n]
  assert interrupted
  saver = checkpoint.Checkpointer(tmp_path)
  step, arrays, host = saver.restore({"x": np.zeros((64, 65536), np.float32)})
  assert step >= last and host == {"step": step}
  expected = np.random.default_rng(0).random((64, 65536), np.float32)
  np.testing.assert_array_equal(arrays["x"], expected)
  saver.close()
  assert not any("tmp" in name for name in os.listdir(tmp_path))


def test_guard_stops_on_a_signal_and_a_second_interrupt_raises():
  before = signal.getsignal(signal.SIGINT)
  with checkpoint.SignalGuard() as guard:
    assert not guard.stop
    os.kill(os.getpid(), signal.SIGTERM)
    assert guard.stop
    os.kill(os.getpid(), signal.SIGTERM)  # Asked twice, politely.
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
      time.sleep(1)
  assert signal.getsignal(signal.SIGINT) is before


def test_guard_outside_the_main_thread_does_nothing():
  seen = []

  def run():
    with checkpoint.SignalGuard() as guard:
      seen.append(guard.stop)

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert seen == [False]
