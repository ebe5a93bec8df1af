"""TRPO: its Fisher matrix, its step and its limit, against exact ones."""

import functools

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mulearn.config import LearnConfig, ModelConfig
from mulearn.learn import trpo
from mulearn.learn.rollout import Rollout
from mulearn.model.board_networks import ActorCritic, Predictor
from mulearn.model.support import Support
from mulearn.types import TrainState

_LIMIT = 0.01


def test_the_product_is_that_of_the_explicit_matrix():
  """Of logits W s, F = mean_s (diag(p) - p p') x s s'."""
  seen = jnp.array([[1.0, 2.0], [0.0, -1.0]])
  weights = jnp.array([[0.5, 0.0], [-0.3, 0.2], [0.1, 0.4]])
  vector = jnp.arange(6.0) - 2.0

  def log_policy(flat):
    return jax.nn.log_softmax(seen @ flat.reshape(3, 2).T)

  flat = weights.ravel()
  found = trpo.fisher_product(*jax.vjp(log_policy, flat))(vector)
  matrix = np.zeros((6, 6))
  for s in np.asarray(seen):
    p = np.asarray(jax.nn.softmax(weights @ s))
    matrix += np.kron(np.diag(p) - np.outer(p, p), np.outer(s, s)) / 2
  np.testing.assert_allclose(found, matrix @ vector, rtol=1e-5)
  # And it is how the mean KL from here bends.
  before = log_policy(flat)

  def kl(x):
    return jnp.mean(jnp.sum(jnp.exp(before) * (before - log_policy(x)), -1))

  np.testing.assert_allclose(jax.hessian(kl)(flat), matrix, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_the_step_of_a_bandit_is_the_closed_form(scale):
  """Two arms, p = 1/2: F = [[1, -1], [-1, 1]] / 4, and the first is better.

  Then F^-1 g points along (1, -1) and x' F x is its first entry squared, so the
  step is sqrt(2 limit) (1, -1), however much better the arm is.
  """
  policy = jax.vjp(lambda x: jax.nn.log_softmax(x)[None], jnp.zeros(2))
  fisher = trpo.fisher_product(*policy)
  gradient = scale * jnp.array([0.5, -0.5])
  step = trpo.natural_step(fisher, gradient, limit=_LIMIT)
  expected = np.sqrt(2 * _LIMIT) * np.array([1.0, -1.0])
  np.testing.assert_allclose(step, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "gain, kl, length, steps",
    [
        (lambda x: x, lambda x: 0.0 * x, 1.0, 1),
        (lambda x: x, lambda x: 0.02 * x**2, 0.64, 3),  # .0082 <= .01 < .0128.
        (lambda x: 0.7 - x, lambda x: 0.0 * x, 0.64, 3),  # Worse above .7.
        (lambda x: -x, lambda x: 0.0 * x, 0.0, 10),  # Worse everywhere,
        (lambda x: jnp.nan * x, lambda x: 0.0 * x, 0.0, 10),  # or no number.
    ],
)
def test_the_line_search_shortens_until_it_gains_within_the_limit(
    gain, kl, length, steps
):
  def judge(params):
    return gain(params[0]), kl(params[0])

  found, metrics = trpo.search_line(
      jnp.zeros(1), jnp.ones(1), judge, limit=_LIMIT
  )
  np.testing.assert_allclose(found, [length], rtol=1e-5)
  assert metrics["line_search_steps"] == steps
  expected = gain(length) if length else 0.0
  np.testing.assert_allclose(metrics["surrogate"], expected, rtol=1e-5)
  assert metrics["kl"] <= _LIMIT


class _Linear:
  """Networks of one layer: logits of four actions, and nothing of the value."""

  log_policy = Predictor.log_policy

  def __init__(self, weights):
    self.weights = weights

  def represent(self, seen):
    return seen

  def predict(self, latent):
    return latent @ self.weights, None


jax.tree_util.register_pytree_node(
    _Linear, lambda x: ((x.weights,), None), lambda _, x: _Linear(*x)
)


@pytest.fixture(scope="module")
def networks():
  return _Linear(jax.random.normal(jax.random.key(0), (3, 4)))


@pytest.fixture(scope="module")
def batch(networks):
  """Moves of the policy; the third action cannot be chosen at times."""
  keys = jax.random.split(jax.random.key(1), 3)
  seen = jax.random.normal(keys[0], (16, 3))
  invalid = jnp.zeros((16, 4), bool).at[::2, 2].set(True)
  logits, _ = networks.predict(networks.represent(seen))
  log_policy = networks.log_policy(logits, invalid, None)
  action = jax.random.categorical(keys[1], log_policy)
  log_prob = jnp.take_along_axis(log_policy, action[:, None], -1)[:, 0]
  return Rollout(
      observation=seen, invalid=invalid, action=action, log_prob=log_prob,
      advantage=jax.random.normal(keys[2], (16,)), value=jnp.ones(16),
      weight=jnp.ones(16).at[3].set(0.0),
  )  # fmt: skip


def _learner(axis=None):
  return trpo.TrpoLearner(
      optimizer=optax.adam(1e-2),
      config=LearnConfig(weight_decay=0.0, kl_limit=_LIMIT, num_minibatches=2),
      support=Support(5, 2.0),
      symmetries=None,
      dtype="float32",
      axis=axis,
  )  # fmt: skip


@pytest.fixture(scope="module")
def improved(networks, batch):
  return jax.jit(_learner().improve)(networks, batch)


def test_the_policy_goes_as_far_as_the_limit(networks, batch, improved):
  after, metrics = improved

  def log_policy(networks):
    logits, _ = networks.predict(networks.represent(batch.observation))
    return networks.log_policy(logits, batch.invalid, None)

  old, new = log_policy(networks), log_policy(after)
  kl = jnp.mean(jnp.sum(jnp.exp(old) * (old - new), axis=-1))
  np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-3)
  assert 0.25 * _LIMIT < kl <= _LIMIT and metrics["surrogate"] > 0.0
  assert not jnp.exp(new)[::2, 2].any()


def test_parts_of_a_round_take_the_step_of_the_whole(networks, batch, improved):
  parts = jax.tree.map(lambda x: x.reshape(2, 8, *x.shape[1:]), batch)
  improve = jax.vmap(
      _learner(axis="parts").improve, in_axes=(None, 0), axis_name="parts"
  )
  found, _ = jax.jit(improve)(networks, parts)
  for row in (0, 1):
    chosen = jax.tree.map(lambda x, row=row: x[row], found)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-4),
        chosen,
        improved[0],
    )


def test_fitting_the_value_leaves_the_policy(batch):
  model = ModelConfig(width=8, num_bins=5, max_return=2.0)
  networks = ActorCritic(
      model, observation_size=3, num_actions=4, rngs=nnx.Rngs(0)
  )
  learner = _learner()
  state = TrainState(networks, learner.optimizer.init(networks), 0)
  fit = jax.jit(learner.fit, static_argnames="num_updates")
  after, metrics = fit(state, jax.random.key(2), batch, num_updates=4)
  assert after.step == 4 and metrics["loss"] > 0.0
  before = networks.predict(networks.represent(batch.observation))
  now = after.params.predict(after.params.represent(batch.observation))
  np.testing.assert_array_equal(before[0], now[0])
  assert (before[1] != now[1]).any()
