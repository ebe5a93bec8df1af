"""Workers that die, hang or lose their parent."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from absl import logging
import pytest

from mulearn.env import base, crew, process, text, worker
from mulearn.env import pool as pool_lib

_LOOK = {0: "look around", 1: "look around"}


@pytest.fixture
def warnings(monkeypatch):
  """The warnings that are logged."""
  messages = []
  monkeypatch.setattr(
      logging, "warning", lambda text, *args: messages.append(text % args)
  )
  return messages


@pytest.fixture(scope="module")
def lanes(twc):
  """Two lanes, each in a worker of its own."""
  with pool_lib.TextPool(twc, 2, 2, num_spares=1) as pool:
    yield pool


@pytest.fixture
def pool(lanes):
  """The lanes, two steps into their games."""
  lanes.reset({0: (0, "train"), 1: (1, "train")})
  lanes.step(_LOOK)
  lanes.step({0: "inventory", 1: "inventory"})
  return lanes


@pytest.fixture(scope="module")
def expected(twc, jvm):
  """What lane 0 and lane 1 answer to `look around`, undisturbed."""
  game = text.TextWorldGame(twc, jvm)
  past = ("look around", "inventory", "look around")
  return {lane: worker.replay(game, (lane, "train", past)) for lane in (0, 1)}


def _alive(pid):
  """Whether a process exists and is no zombie."""
  try:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except FileNotFoundError:
    return False
  return stat.rpartition(")")[2].split()[0] != "Z"


def _wait_until_gone(pids, seconds=60.0):
  deadline = time.monotonic() + seconds
  while any(map(_alive, pids)) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not [pid for pid in pids if _alive(pid)]


def test_killed_worker_comes_back_with_its_games(pool, expected, warnings):
  before, jvm_pid = pool.worker_pids, pool.jvm_pids[0]
  os.kill(before[0], signal.SIGKILL)
  assert pool.step(_LOOK) == expected
  assert len(warnings) == 1
  assert "worker 0 (lanes 0) died (exit code -9)" in warnings[0]
  assert pool.worker_pids[0] != before[0]
  assert pool.worker_pids[1] == before[1]
  _wait_until_gone([before[0], jvm_pid])


def test_dead_jvm_is_replaced(pool, expected, warnings):
  os.kill(pool.jvm_pids[1], signal.SIGKILL)
  assert pool.step(_LOOK) == expected
  assert len(warnings) == 1


def test_hanging_worker_is_replaced(twc, expected, warnings):
  with pool_lib.TextPool(twc, 2, 2, num_spares=1, timeout_seconds=5) as pool:
    past = ("look around", "inventory")
    pool.restore_all({lane: (lane, "train", past) for lane in (0, 1)})
    hung = pool.worker_pids[0]
    os.kill(hung, signal.SIGSTOP)
    assert pool.step(_LOOK) == expected
    assert len(warnings) == 1
    assert "did not answer in time" in warnings[0]
    _wait_until_gone([hung])


def test_branches_survive_a_death(pool, warnings):
  path = (0, "train", ("look around",))
  before = pool.branch([path, path])
  os.kill(pool.worker_pids[0], signal.SIGKILL)
  os.kill(pool.worker_pids[1], signal.SIGKILL)
  assert pool.branch([path, path]) == before
  assert warnings


def test_worker_that_dies_again_and_again(
    pool, expected, warnings, monkeypatch
):
  os.kill(pool.worker_pids[0], signal.SIGKILL)
  with monkeypatch.context() as patch:
    patch.setattr(process.sys, "executable", shutil.which("false"))
    with pytest.raises(base.WorkerFailedError, match="after 3 restarts") as e:
      pool.step(_LOOK)
  assert len(warnings) == 3
  assert "(0, 'train', ('look around', 'inventory'))" in str(e.value)
  # The other lane was served; the failed one stands where it stood.
  assert e.value.answers == {1: expected[1]}
  assert pool.history(0)[2] == ("look around", "inventory")
  assert pool.history(1)[2] == ("look around", "inventory", "look around")
  assert pool.step({0: "look around"}) == {0: expected[0]}


def test_interrupted_request_leaves_no_stale_answers(
    pool, expected, monkeypatch
):
  def interrupt(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(crew.connection, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
      pool.step({0: "inventory", 1: "inventory"})
  assert pool.step(_LOOK) == expected


def test_closing_ends_every_process(twc):
  pool = pool_lib.TextPool(twc, 2, 2, num_spares=1)
  pids = pool.worker_pids + pool.jvm_pids
  assert all(map(_alive, pids))
  pool.close()
  pool.close()
  _wait_until_gone(pids)
  with pytest.raises(RuntimeError, match="closed"):
    pool.reset({0: (0, "train")})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_parent(number):
  program = (
      "import signal, time\n"
      "from mulearn.env import base, pool\n"
      # Shells let what they start in the background ignore it.
      "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
      "spec = base.GameSpec('twc', (), 10)\n"
      "lanes = pool.TextPool(spec, 1, 1, num_spares=1)\n"
      "print(*lanes.worker_pids, *lanes.jvm_pids, flush=True)\n"
      "time.sleep(60)\n"
  )
  root = pathlib.Path(process.__file__).parents[2]
  with subprocess.Popen(
      [sys.executable, "-c", program],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      env=os.environ | {"PYTHONPATH": str(root)},
      text=True,
  ) as parent:
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(map(_alive, pids))
    parent.send_signal(number)
  _wait_until_gone(pids)


def test_ctrl_c_leaves_the_workers_to_the_parent(pool, expected):
  for pid in pool.worker_pids + pool.jvm_pids:
    os.kill(pid, signal.SIGINT)
  before = pool.worker_pids
  assert pool.step(_LOOK) == expected
  assert pool.worker_pids == before


def test_workers_do_not_import_jax(pool):
  check = (
      "import sys, mulearn.env.worker\n"
      "sys.exit(any(m.partition('.')[0] in ('jax', 'jaxlib', 'pgx')"
      " for m in sys.modules))"
  )
  root = pathlib.Path(process.__file__).parents[2]
  environment = os.environ | {"PYTHONPATH": str(root)}
  subprocess.run([sys.executable, "-c", check], env=environment, check=True)
  for pid in pool.worker_pids:
    assert "jaxlib" not in pathlib.Path(f"/proc/{pid}/maps").read_text()
