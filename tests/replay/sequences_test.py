"""Tests of windows on episodes whose observation is the time step."""

import json

import numpy as np
import pytest

from mulearn.env import base
from mulearn.replay import demonstrations, sequences
from mulearn.replay.episodes import Episode, Step


def _episode(seed, num_moves):
  """An episode that sees 10, 11, ... and does 0, 1, ..., at time 0, 1, ..."""
  steps = [
      Step(
          base.TextObservation("", (), str(10 + t), ("do",)),
          action="" if t == num_moves else str(t),
          reward=100.0 + t,
          is_first=t == 0,
          is_last=t == num_moves,
          is_terminal=t == num_moves,
      )
      for t in range(num_moves + 1)
  ]
  return Episode("clock", "train", seed, tuple(steps))


def _encode(episode):
  """All steps, the final observation included: `[moves + 1]`."""
  return {
      "seed": np.full(len(episode.steps), episode.seed),
      "seen": np.array([int(s.observation.prompt) for s in episode.steps]),
      "done": np.array([int(s.action or -1) for s in episode.steps]),
      "reward": np.array([s.reward for s in episode.steps], np.float32),
  }


def _encode_moves(episode):
  """The moves alone: `[moves]`."""
  return {name: x[:-1] for name, x in _encode(episode).items()}


_EPISODES = [_episode(seed, 1 + seed % 4) for seed in range(10)]


def _windows(source=_EPISODES, **changes):
  arguments = {"window": 3, "batch_size": 4, "seed": 0, "encode": _encode}
  return sequences.windows(source, **(arguments | changes))


def _take(iterator, count):
  return [next(iterator) for _ in range(count)]


def _assert_same(left, right):
  assert len(left) == len(right)
  for a, b in zip(left, right, strict=True):
    np.testing.assert_array_equal(a.valid, b.valid)
    for name, x in a.sequence.items():
      np.testing.assert_array_equal(x, b.sequence[name])


def test_every_window_is_consecutive_and_aligned():
  starts = set()
  for batch in _take(iter(_windows()), 50):
    rows = batch.sequence
    assert batch.valid.shape == rows["seen"].shape == (4, 3)
    for row, valid in enumerate(batch.valid):
      seed, seen, done, reward = (
          rows[name][row] for name in ("seed", "seen", "done", "reward")
      )
      seed = int(seed[0])
      num_moves = 1 + seed % 4
      start = int(seen[0]) - 10
      assert 0 <= start < num_moves
      starts.add((seed, start))
      time = np.minimum(start + np.arange(3), num_moves)
      np.testing.assert_array_equal(seen, 10 + time)
      np.testing.assert_array_equal(reward, 100 + time)
      np.testing.assert_array_equal(done, np.where(time < num_moves, time, -1))
      np.testing.assert_array_equal(valid, start + np.arange(3) <= num_moves)
  assert starts == {(s, t) for s in range(10) for t in range(1 + s % 4)}


def test_an_encoder_may_leave_the_final_observation_out():
  for batch in _take(iter(_windows(encode=_encode_moves)), 20):
    last = batch.sequence["seed"] % 4
    np.testing.assert_array_equal(
        batch.valid,
        batch.sequence["done"][:, :1] + np.arange(3) <= last,
    )
    assert (batch.sequence["done"] >= 0).all()


def test_starts_are_uniform_over_the_moves():
  batches = _take(iter(_windows([_episode(0, 4)], batch_size=100)), 20)
  starts = np.concatenate([b.sequence["seen"][:, 0] for b in batches]) - 10
  counts = np.bincount(starts, minlength=4)
  assert counts.shape == (4,)
  np.testing.assert_allclose(counts / 2000, 0.25, atol=0.04)


def test_a_pass_takes_each_episode_once_in_a_new_order():
  batches = _take(iter(_windows(batch_size=10)), 3)
  passes = [b.sequence["seed"][:, 0].tolist() for b in batches]
  assert [sorted(p) for p in passes] == [list(range(10))] * 3
  assert len({tuple(p) for p in passes}) == 3


def test_shares_are_disjoint_and_complete():
  seen = []
  for index in range(3):
    batches = _take(iter(_windows(shard_index=index, shard_count=3)), 10)
    seen.append({int(s) for b in batches for s in b.sequence["seed"][:, 0]})
  assert sum(map(len, seen)) == 10 and set.union(*seen) == set(range(10))


def test_the_seed_decides_the_stream():
  first = _take(iter(_windows(seed=5)), 6)
  _assert_same(first, _take(iter(_windows(seed=5)), 6))
  other = _take(iter(_windows(seed=6)), 6)
  assert any(
      (a.sequence["seen"] != b.sequence["seen"]).any()
      for a, b in zip(first, other, strict=True)
  )


@pytest.mark.parametrize("num_before", [0, 1, 7])
def test_a_resumed_stream_is_the_uninterrupted_one(num_before):
  uninterrupted = _take(iter(_windows()), num_before + 6)
  stopped = iter(_windows())
  _take(stopped, num_before)
  state = json.loads(json.dumps(stopped.get_state()))
  resumed = iter(_windows())
  resumed.set_state(state)
  _assert_same(_take(resumed, 6), uninterrupted[num_before:])


def test_an_episode_is_encoded_once():
  calls = []

  def encode(episode):
    calls.append(episode.seed)
    return _encode(episode)

  _take(iter(_windows(encode=encode)), 20)
  assert sorted(calls) == list(range(10))


def test_windows_of_a_dataset_on_disk(tmp_path):
  directory = demonstrations.write(tmp_path / "data", _EPISODES, provenance={})
  stored = _windows(demonstrations.read(directory))
  _assert_same(_take(iter(stored), 5), _take(iter(_windows()), 5))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"window": 0}, "window=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"shard_index": 2, "shard_count": 2}, "shard_index=2"),
        ({"shard_index": 10, "shard_count": 11}, "only 10 episodes"),
    ],
)
def test_wrong_numbers_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    _windows(**changes)


@pytest.mark.parametrize(
    "encode",
    [
        lambda e: np.zeros(len(e.steps) + 1),
        lambda e: {"a": np.zeros(e.num_moves), "b": np.zeros(len(e.steps))},
        lambda e: np.float32(0),
    ],
)
def test_an_encoder_that_loses_steps_is_caught(encode):
  with pytest.raises(ValueError, match="leading axes"):
    next(iter(_windows(encode=encode)))
