"""The optimiser step: it learns, repeats itself exactly, and feeds replay."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import LearnConfig, PriorConfig, ReplayConfig
from mulearn.learn.optimizer import make_optimizer
from mulearn.learn.step import learn_from_replay, train_step
from mulearn.model.support import Support
from mulearn.prior.fusion import gated
from mulearn.replay.buffer import make_replay
from mulearn.types import TrainState

LEARN = LearnConfig(unroll_steps=2, td_steps=2, warmup_steps=1)
SETTINGS = {
    "optimizer": make_optimizer(LEARN, PriorConfig(), 1000),
    "config": LEARN,
    "support": Support(11, 2.0),
    "fusion": gated,
}
REPLAY = make_replay(
    ReplayConfig(capacity=64, batch_size=4, prioritised=True), 6, 5
)
_step = jax.jit(functools.partial(train_step, **SETTINGS))


@pytest.fixture
def begin(make_networks):
  """() -> a fresh state, always the same (it is donated)."""

  def make():
    networks = make_networks()
    return TrainState(
        networks, SETTINGS["optimizer"].init(networks), jnp.int32(0)
    )

  return make


@pytest.fixture
def memory(make_batch):
  """() -> a replay that holds a batch."""
  batch = make_batch(length=8)

  def make():
    example = jax.tree.map(lambda x: jnp.asarray(x[0, 0]), batch)
    return REPLAY.add(REPLAY.init(example), batch)

  return make


def _assert_same(one, two, **tolerance):
  for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
    np.testing.assert_allclose(x, y, **tolerance)


def test_steps_lower_the_loss(begin, make_batch, phrases):
  state, batch = begin(), make_batch()
  losses = []
  for _ in range(40):
    state, metrics = _step(state, phrases.arrays(), batch, jnp.ones(6))
    losses.append(float(metrics["loss"]))
  assert int(state.step) == 40
  assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])


def test_metrics_of_a_step(begin, make_batch, phrases):
  state, batch = begin(), make_batch()
  after, metrics = _step(state, phrases.arrays(), batch, jnp.ones(6))
  assert metrics["value_error"].shape == (6,)
  assert float(metrics["grad_norm"]) > 0.0
  trust = jax.nn.sigmoid(after.params.gate[...])
  np.testing.assert_allclose(metrics["trust"], trust)


def test_weights_weigh(begin, make_batch, phrases):
  """Weight 0 for half of a batch leaves the loss of the other half."""
  state, batch = begin(), make_batch()
  weights = jnp.array([2.0, 2.0, 2.0, 0.0, 0.0, 0.0])
  _, metrics = _step(state, phrases.arrays(), batch, weights)
  half = jax.tree.map(lambda x: np.concatenate([x[:3], x[:3]]), batch)
  _, expected = _step(state, phrases.arrays(), half, jnp.ones(6))
  np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-5)


def test_updates_in_one_program_are_single_steps(begin, memory, phrases):
  key, count = jax.random.key(3), 3
  state, held, metrics = learn_from_replay(
      begin(), memory(), key, phrases.arrays(),
      num_updates=count, replay=REPLAY, **SETTINGS,
  )  # fmt: skip
  single, own, losses = begin(), memory(), []
  draw, update = jax.jit(REPLAY.sample), jax.jit(REPLAY.update)
  for one in jax.random.split(key, count):
    sample = draw(own, one)
    single, m = _step(
        single, phrases.arrays(), sample.trajectory, sample.weights
    )
    own = update(own, sample.indices, m["value_error"])
    losses.append(float(m["loss"]))
  assert int(state.step) == count
  np.testing.assert_allclose(metrics["loss"], np.mean(losses), rtol=1e-4)
  _assert_same(state.params, single.params, atol=2e-4)
  _assert_same(held, own, atol=2e-3)


def test_learning_repeats_itself_bit_for_bit(begin, memory, phrases):
  def learn(seed):
    return learn_from_replay(
        begin(), memory(), jax.random.key(seed), phrases.arrays(),
        num_updates=3, replay=REPLAY, **SETTINGS,
    )[0].params  # fmt: skip

  one, two, other = learn(0), learn(0), learn(1)
  _assert_same(one, two, rtol=0, atol=0)
  assert any(
      (x != y).any()
      for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other))
  )
