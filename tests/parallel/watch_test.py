"""Who is gone and who is late is named, by a store that needs no processes."""

import itertools
import json
import time
import types

import jax
import pytest

from mulearn.parallel import watch as watch_lib


class _Store:
  """Stands for the key-value store of `jax.distributed`."""

  def __init__(self):
    self.held = {}

  def key_value_set(self, key, value, allow_overwrite):
    assert allow_overwrite
    self.held[key] = value

  def key_value_dir_get(self, prefix):
    return [(k, v) for k, v in self.held.items() if k.startswith(prefix)]

  def say(self, number, **said):
    text = json.dumps({"beat": 1, "round": 1, "env_steps": 64} | said)
    self.held[f"mulearn/watch/{number}"] = text


@pytest.fixture
def store(monkeypatch):
  store = _Store()
  state = types.SimpleNamespace(client=store)
  monkeypatch.setattr(watch_lib.distributed, "global_state", state)
  monkeypatch.setattr(jax, "process_count", lambda: 3)
  monkeypatch.setattr(jax, "process_index", lambda: 0)
  return store


def _watch(**changes):
  said = []
  times = {"beat_seconds": 0.01, "lost_seconds": 0.1} | changes
  return watch_lib.Watch(leave=said.append, **times), said


def _wait_for(found):
  deadline = time.monotonic() + 60.0
  while not found():
    assert time.monotonic() < deadline
    time.sleep(0.01)


def test_a_silent_process_is_lost_and_named(store):
  store.say(2)
  watch, said = _watch(lost_seconds=1.0)
  beats = itertools.count()

  def is_told():
    store.say(1, beat=next(beats))  # Who goes on speaking is not lost.
    return said

  with watch:
    _wait_for(is_told)
  assert "Process 2 of 3 is lost" in said[0] and "step 64" in said[0]
  assert "the same command" in said[0]


def test_a_process_that_failed_says_why_and_one_that_ended_is_not_missed(store):
  store.say(1, left=True, why="")
  watch, said = _watch()
  with watch:
    time.sleep(0.3)
    assert not said
    store.say(2, left=True, why="CheckpointError: the disk is full")
    _wait_for(lambda: said)
  assert said == ["Process 2 of 3 stopped: CheckpointError: the disk is full"]


class _Asked(Exception):
  pass


@pytest.mark.parametrize("error, why", [(OSError, "OSError: no"), (_Asked, "")])
def test_the_others_are_told_why_one_leaves(store, error, why):
  watch, _ = _watch(agreed=(_Asked,))
  with pytest.raises(error), watch:
    raise error("no")
  said = json.loads(store.held["mulearn/watch/0"])
  assert said["left"] and said["why"] == why


@pytest.mark.parametrize(
    "error",
    [
        jax.errors.JaxRuntimeError("Connection closed by peer"),
        ValueError("UNKNOWN: Gloo AllGather failed: Connection reset by peer"),
    ],
)
def test_a_meeting_that_breaks_off_waits_to_name_who_is_gone(store, error):
  store.say(1)
  watch, said = _watch()
  with pytest.raises(type(error)), watch:
    watch._exchange()
    try:
      raise error
    except ValueError as e:  # As a checkpointer would tell it.
      raise ValueError("Could not save.") from e
  assert "Process 1 of 3 is lost" in said[0]


def test_who_has_not_begun_a_round_is_named_once(store, caplog):
  watch, said = _watch(lost_seconds=60.0, stall_seconds=0.5, stall_factor=2.0)
  with watch, caplog.at_level("WARNING", logger="absl"):
    for step in range(6):
      watch.begin_round(step)
      watch.end_round()
    store.say(1, round=7)
    store.say(2, round=6)
    watch.begin_round(6)
    _wait_for(lambda: caplog.records)
    time.sleep(0.1)
  assert not said
  [record] = caplog.records
  assert "process 2 has not begun it yet" in record.getMessage()


def test_alone_nobody_is_missed_but_a_long_round_is_told(caplog):
  watch, said = _watch(stall_seconds=0.1)
  with watch, caplog.at_level("WARNING", logger="absl"):
    for step in range(7):
      watch.begin_round(step)
      if step < 6:
        watch.end_round()
    _wait_for(lambda: caplog.records)
  assert (
      "the devices are at work, or they hang" in caplog.records[0].getMessage()
  )
  assert not said and watch.missing() is None
