"""The replay: sequences are consecutive moves of one lane, newest kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import ReplayConfig
from mulearn.replay.buffer import make_replay, num_moves
from mulearn.types import Trajectory

LANES, LENGTH = 3, 4


def _moves(start, count=1):
  """Moves `[LANES, count]`; lane i sees 1000 i + t at time t."""
  time = np.arange(start, start + count)
  seen = (1000 * np.arange(LANES)[:, None] + time[None]).astype(np.int32)
  plain = np.zeros(seen.shape, np.float32)
  flag = np.zeros(seen.shape, bool)
  return Trajectory(
      observation={"seen": seen, "wide": np.stack([seen, -seen], -1)},
      prior_logits=plain, invalid=flag, policy=plain, value=plain,
      action=seen, reward=seen.astype(np.float32),
      discount=plain, truncated=flag, held_out=flag,
  )  # fmt: skip


def _example():
  return jax.tree.map(lambda x: jnp.asarray(x[0, 0]), _moves(0))


def _make(prioritised=False, capacity=LANES * 10, batch_size=64):
  config = ReplayConfig(
      capacity=capacity, batch_size=batch_size, prioritised=prioritised
  )
  return make_replay(config, LANES, LENGTH)


def _fill(replay, count):
  memory = replay.init(_example())
  add = jax.jit(replay.add)
  for t in range(count):
    memory = add(memory, _moves(t))
  return memory


def _size(memory):
  return sum(x.nbytes for x in jax.tree.leaves(memory))


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("count", [LENGTH, 9, 10, 11, 27])
def test_sequences_are_consecutive_and_new(prioritised, count):
  replay = _make(prioritised)
  memory = _fill(replay, count)
  starts = set()
  sample_fn = jax.jit(replay.sample)
  for seed in range(4):
    sample = sample_fn(memory, jax.random.key(seed))
    seen = np.asarray(sample.trajectory.observation["seen"])
    assert seen.shape == (64, LENGTH)
    # One lane, one time step after the other, never across the ring's seam.
    np.testing.assert_array_equal(np.diff(seen, axis=1), 1)
    time = seen % 1000
    assert time.min() >= max(0, count - 10) and time.max() < count
    # All that belongs to a moment stays together.
    trajectory = sample.trajectory
    np.testing.assert_array_equal(trajectory.action, seen)
    np.testing.assert_array_equal(trajectory.reward, seen)
    np.testing.assert_array_equal(
        trajectory.observation["wide"], np.stack([seen, -seen], -1)
    )
    starts |= set(seen[:, 0].tolist())
  oldest = max(0, count - 10)
  possible = {
      1000 * lane + t
      for lane in range(LANES)
      for t in range(oldest, count - LENGTH + 1)
  }
  # flashbax keeps one start back once the ring is full.
  assert starts <= possible and len(starts) >= len(possible) - LANES


def test_memory_is_fixed_and_moves_are_counted():
  replay = _make()
  memory = replay.init(_example())
  size = _size(memory)
  for t in range(25):
    assert int(num_moves(memory)) == LANES * min(t, 10)
    memory = replay.add(memory, _moves(t))
    assert _size(memory) == size
  assert int(num_moves(memory)) == LANES * 10


def test_several_moves_may_be_added_at_once():
  replay = _make()
  memory = replay.add(replay.init(_example()), _moves(0, count=7))
  one_by_one = _fill(replay, 7)
  for x, y in zip(jax.tree.leaves(memory), jax.tree.leaves(one_by_one)):
    np.testing.assert_array_equal(x, y)


def test_uniform_weights_are_one_and_errors_are_ignored():
  replay = _make()
  memory = _fill(replay, 8)
  sample = replay.sample(memory, jax.random.key(0))
  np.testing.assert_array_equal(sample.weights, 1.0)
  assert replay.update(memory, sample.indices, jnp.ones(64)) is memory


def test_a_surprising_sequence_is_sampled_more_and_weighs_less():
  replay = _make(prioritised=True)
  memory = _fill(replay, 9)
  sample = replay.sample(memory, jax.random.key(0))
  np.testing.assert_allclose(sample.weights, 1.0, rtol=1e-6)
  start = np.asarray(sample.trajectory.observation["seen"])[:, 0]
  # An error 32 times as large: 32^.6 = 8 times the chance, 8^-.4 the weight.
  surprising = start == start[0]
  error = jnp.where(surprising, 32.0, 1.0)
  memory = replay.update(memory, sample.indices, error)
  count = drawn = 0
  sample_fn = jax.jit(replay.sample)
  for seed in range(30):
    again = sample_fn(memory, jax.random.key(seed))
    now = np.asarray(again.trajectory.observation["seen"])[:, 0]
    hit = now == start[0]
    count, drawn = count + hit.size, drawn + hit.sum()
    weights = np.asarray(again.weights)
    assert weights.max() == pytest.approx(1.0)
    if hit.any() and (~hit).any():
      np.testing.assert_allclose(weights[hit], 8**-0.4, rtol=1e-2)
      np.testing.assert_allclose(weights[~hit], 1.0, rtol=1e-2)
  starts = LANES * (9 - LENGTH + 1)
  assert drawn / count == pytest.approx(8 / (8 + starts - 1), rel=0.2)


def test_sampling_is_a_function_of_the_key():
  replay = _make()
  memory = _fill(replay, 9)
  one, two, other = (
      replay.sample(memory, jax.random.key(k)).trajectory.reward
      for k in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, two)
  assert (one != other).any()


def test_ring_shorter_than_a_sequence_is_refused():
  with pytest.raises(
      ValueError, match="capacity of 11.*3 lanes leaves 3.*of 4"
  ):
    _make(capacity=11)
  assert _make(capacity=12) is _make(capacity=12)
