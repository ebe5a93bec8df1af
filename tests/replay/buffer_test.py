"""The replay: sequences are consecutive moves of one lane, newest kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import Config, EnvConfig, LearnConfig, ReplayConfig
from mulearn.replay import buffer
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
      prior_logits=plain, invalid=flag, policy=plain, improvement=plain,
      value=plain,
      action=seen, reward=seen.astype(np.float32),
      discount=plain, truncated=flag, held_out=flag,
  )  # fmt: skip


def _example():
  return jax.tree.map(lambda x: jnp.asarray(x[0, 0]), _moves(0))


def _make(prioritised=False, capacity=LANES * 10, batch_size=64, **exponents):
  config = ReplayConfig(
      capacity=capacity,
      batch_size=batch_size,
      prioritised=prioritised,
      **exponents,
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


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("at_once", [3, 4, 7, 10])
def test_several_moves_at_once_wrap_around_the_ring(prioritised, at_once):
  replay = _make(prioritised)
  memory, count = replay.init(_example()), 0
  add, sample_fn = jax.jit(replay.add), jax.jit(replay.sample)
  while count < 35:
    memory = add(memory, _moves(count, at_once))
    count += at_once
    if count < LENGTH:
      continue
    sample = sample_fn(memory, jax.random.key(count))
    seen = np.asarray(sample.trajectory.observation["seen"])
    np.testing.assert_array_equal(np.diff(seen, axis=1), 1)
    time = seen % 1000
    assert time.min() >= max(0, count - 10) and time.max() < count
    assert int(num_moves(memory)) == LANES * min(count, 10)


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
    # 8 + 17 ones: chances of 8 / 25 and 1 / 25, where even ones are 1 / 18.
    weights = np.asarray(again.weights)
    np.testing.assert_allclose(weights[hit], (8 * 18 / 25) ** -0.4, rtol=1e-2)
    np.testing.assert_allclose(weights[~hit], (18 / 25) ** -0.4, rtol=1e-2)
  starts = LANES * (9 - LENGTH + 1)
  assert drawn / count == pytest.approx(8 / (8 + starts - 1), rel=0.2)


@pytest.mark.parametrize("count", [9, 27])
def test_weights_give_the_gradient_of_uniform_sampling_back(count):
  """With exponent 1, in expectation; without them it is another gradient."""
  replay = _make(
      prioritised=True, priority_exponent=1.0, importance_exponent=1.0
  )
  memory = _fill(replay, count)
  sample_fn = jax.jit(replay.sample)
  errors = {}
  for seed in range(8):  # Finds every sequence, and gives it its error.
    sample = sample_fn(memory, jax.random.key(seed))
    start = np.asarray(sample.trajectory.observation["seen"])[:, 0]
    error = 0.1 + 0.9 * (start % 7 == 0) + 0.1 * (start % 3)
    errors |= dict(zip(start.tolist(), error.tolist()))
    memory = replay.update(memory, sample.indices, jnp.asarray(error))
  assert len(errors) == LANES * (min(count, 10) - LENGTH + 1)
  # Of the loss `sum_i (x - y_i)^2 / 2` at x = 0, with `y` the errors squared.
  uniform = -np.mean(np.square(list(errors.values())))
  weighted, plain = [], []
  for seed in range(100, 400):
    sample = sample_fn(memory, jax.random.key(seed))
    start = np.asarray(sample.trajectory.observation["seen"])[:, 0]
    gradient = -np.square([errors[s] for s in start.tolist()])
    weighted.append(np.mean(np.asarray(sample.weights) * gradient))
    plain.append(np.mean(gradient))
  error = np.std(weighted) / np.sqrt(len(weighted))
  assert np.mean(weighted) == pytest.approx(uniform, abs=4 * error + 1e-4)
  assert error < 0.02 * abs(uniform)
  assert np.mean(plain) < 1.3 * uniform


def test_where_no_sequence_begins_nothing_counts_or_comes_back():
  """Rounded sums of the tree may lead there once in a long while."""
  replay = _make(prioritised=True)
  memory = _fill(replay, 9)
  tree = memory.sum_tree_state
  first = 2 ** int(tree.tree_depth) - 1  # The leaf of sequence 0.
  tree = tree.replace(nodes=tree.nodes.at[first + 1].set(0.0))
  memory = memory.replace(sum_tree_state=tree)  # Its parents still count it.
  sample = replay.sample(memory, jax.random.key(0))
  weights, indices = np.asarray(sample.weights), np.asarray(sample.indices)
  assert (indices == 1).any() and np.isfinite(weights).all()
  np.testing.assert_array_equal(weights[indices == 1], 0.0)
  np.testing.assert_allclose(weights[indices != 1], 1.0, rtol=1e-6)
  memory = replay.update(memory, sample.indices, jnp.ones(64))
  assert memory.sum_tree_state.nodes[first + 1] == 0.0
  assert memory.sum_tree_state.nodes[first + indices.max()] > 1.0


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


def _seen_at(memory, places):
  return np.asarray(buffer.read(memory, places).observation["seen"])


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("count", [1, 3, 10, 27])
def test_places_are_drawn_evenly_among_the_moves_held(prioritised, count):
  memory = _fill(_make(prioritised), count)
  draw = jax.jit(buffer.draw_places, static_argnums=2)
  seen = _seen_at(memory, draw(memory, jax.random.key(0), 6000))
  held = {
      1000 * lane + t
      for lane in range(LANES)
      for t in range(max(0, count - 10), count)
  }
  values, times = np.unique(seen, return_counts=True)
  assert set(values.tolist()) == held
  expected = 6000 / len(held)
  assert np.abs(times - expected).max() < 5 * np.sqrt(expected)


def test_drawing_places_is_a_function_of_the_key():
  memory = _fill(_make(), 9)
  one, two, other = (
      np.stack(buffer.draw_places(memory, jax.random.key(k), 50))
      for k in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, two)
  assert (one != other).any()
  # Lane and time are independent draws.
  assert len({tuple(place) for place in one.T}) > 15


def test_reading_gives_whole_moves():
  memory = _fill(_make(), 4)
  places = jnp.array([2, 0, 2]), jnp.array([3, 1, 0])
  moves = buffer.read(memory, places)
  np.testing.assert_array_equal(moves.action, [2003, 1, 2000])
  np.testing.assert_array_equal(moves.reward, [2003.0, 1.0, 2000.0])
  np.testing.assert_array_equal(
      moves.observation["wide"], [[2003, -2003], [1, -1], [2000, -2000]]
  )


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("count", [6, 10, 27])
def test_writing_replaces_the_fields_of_the_moves_alone(prioritised, count):
  replay = _make(prioritised)
  memory = _fill(replay, count)
  before = jax.tree.map(np.array, memory)
  places = jnp.array([1, 0, 2]), jnp.array([5, 0, 2])
  names = _seen_at(memory, places)
  policy, value = jnp.array([0.5, 0.25, 0.125]), jnp.array([7.0, 8.0, 9.0])
  memory = jax.jit(buffer.write)(memory, places, policy=policy, value=value)
  expected = {"policy": np.zeros((LANES, 10)), "value": np.zeros((LANES, 10))}
  expected["policy"][places] = policy
  expected["value"][places] = value
  for name, wanted in expected.items():
    np.testing.assert_array_equal(getattr(memory.experience, name), wanted)
  kept = memory.experience._replace(
      policy=before.experience.policy, value=before.experience.value
  )
  for x, y in zip(
      jax.tree.leaves(memory.replace(experience=kept)),
      jax.tree.leaves(before),
      strict=True,
  ):
    np.testing.assert_array_equal(x, y)
  # A sample finds them at the moves they were written to.
  written = dict(zip(names.tolist(), value.tolist()))
  trajectory = replay.sample(memory, jax.random.key(0)).trajectory
  seen = np.asarray(trajectory.action)
  assert set(written) <= set(seen.ravel().tolist())
  np.testing.assert_array_equal(
      trajectory.value, np.vectorize(lambda n: written.get(n, 0.0))(seen)
  )


def test_new_moves_take_the_place_of_rewritten_ones():
  replay = _make()
  memory = _fill(replay, 10)
  places = jnp.arange(LANES), jnp.zeros(LANES, int)
  memory = buffer.write(memory, places, value=jnp.ones(LANES))
  memory = replay.add(memory, _moves(10))
  assert not np.asarray(memory.experience.value).any()
  np.testing.assert_array_equal(_seen_at(memory, places) % 1000, 10)


def test_a_sequence_holds_what_the_loss_looks_at():
  learn = LearnConfig(unroll_steps=4, td_steps=5)
  assert buffer.sequence_length(learn) == 10


@pytest.mark.parametrize("min_size, least", [(8, 40), (100, 100)])
def test_nothing_is_learned_before_each_lane_holds_a_sequence(min_size, least):
  config = Config(
      env=EnvConfig(num_lanes=4),
      replay=ReplayConfig(min_size=min_size),
      learn=LearnConfig(unroll_steps=4, td_steps=5),
  )
  assert not buffer.is_enough(config, least - 1)
  assert buffer.is_enough(config, least)
