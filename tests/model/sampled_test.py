"""A sample of actions stands for all of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import SearchConfig
from mulearn.model import sampled
from mulearn.model.bandit import Bandit
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Node

KEY = jax.random.key(3)
LOGITS = jnp.array([[0.5, -1.0, 2.0, 0.0, 1.0, -0.5]])


_TABLE = np.random.default_rng(0).normal(size=(1009, 12)).astype(np.float32)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _World:
  """A random tree with nine actions, whose values hear the key."""

  def root(self, rng_key, observation, prior_logits):
    return self._node(rng_key, observation)

  def step(self, rng_key, state, action):
    return self._node(rng_key, (state * 31 + action * 7 + 1) % len(_TABLE))

  def _node(self, rng_key, state):
    draws = jnp.asarray(_TABLE)[state]
    noise = 0.1 * jax.random.normal(rng_key, state.shape)
    return Node(
        state=state,
        actions=None,
        prior_logits=draws[:, :9],
        invalid=(draws[:, :9] > 1.0).at[:, 0].set(False),
        value=draws[:, 9] + noise,
        reward=draws[:, 10],
        discount=jnp.where(draws[:, 11] > 1.0, 0.0, 0.9),
    )


SEEDS = jnp.arange(4) * 17 + 3


@functools.partial(jax.jit, static_argnames="draw")
def _plan(draw):
  model = _World()
  if draw is not None:
    model = sampled.Sampled(model, draw)
  return plan_lib.plan(
      model,
      KEY,
      model.root(KEY, SEEDS, jnp.zeros((4, 9))),
      search=plan_lib.gumbel(SearchConfig(max_considered=9)),
      num_simulations=24,
      mesh=make_mesh(jax.devices()[:1]),
  )


def test_with_all_actions_it_is_the_unsampled_agent():
  """Same keys: the same visits, values and moves, to the last bit."""
  plain, full = _plan(None), _plan(sampled.WithoutReplacement(9))
  for name in ("children_visits", "node_values", "children_prior_logits"):
    np.testing.assert_array_equal(
        getattr(full.tree, name), getattr(plain.tree, name)
    )
  np.testing.assert_array_equal(full.action, plain.action)
  np.testing.assert_array_equal(full.policy, plain.policy)


def test_with_few_actions_only_they_are_searched():
  plan = _plan(sampled.WithoutReplacement(3))
  assert plan.policy.shape == (4, 3)
  _, actions = plan.tree.embeddings
  invalid = np.asarray(_World().root(KEY, SEEDS, None).invalid)
  assert invalid.any()
  for row in range(4):
    shown = np.asarray(actions[row, 0])
    assert len(set(shown)) == 3 and not invalid[row, shown].any()
    assert plan.action[row] == shown[plan.slot[row]]


@pytest.mark.parametrize("num_samples", [3])
@pytest.mark.parametrize(
    "kind", [sampled.WithoutReplacement, sampled.WithReplacement]
)
def test_expectations_are_those_under_the_policy(kind, num_samples):
  """Of any quantity, by a proposal that is not the policy."""
  log_pi = jax.nn.log_softmax(LOGITS)
  log_beta = jax.nn.log_softmax(0.3 * LOGITS[:, ::-1])
  quantity = jnp.array([3.0, -1.0, 0.5, 2.0, 0.0, 5.0])
  num_draws = 20_000
  found = kind(num_samples)(
      jax.random.key(0), jnp.tile(log_beta, (num_draws, 1))
  )
  assert found.slot.shape == (num_draws, num_samples)
  weight = jnp.exp(log_pi[0, found.slot] + found.log_ratio)
  sums = jnp.sum(
      jnp.where(found.invalid, 0.0, weight * quantity[found.slot]), axis=1
  )
  error = float(sums.std()) / num_draws**0.5
  exact = float(jnp.exp(log_pi[0]) @ quantity)
  assert abs(float(sums.mean()) - exact) < 4 * error + 1e-5


def test_slots_that_may_not_be_chosen_are_drawn_last():
  log_beta = jnp.where(
      jnp.array([[0, 0, 1, 0, 0, 1]], bool),
      jax.nn.log_softmax(LOGITS),
      -jnp.inf,
  )
  found = sampled.WithoutReplacement(4)(KEY, log_beta)
  np.testing.assert_array_equal(np.sort(found.slot[~found.invalid]), [2, 5])
  np.testing.assert_array_equal(found.log_ratio[~found.invalid], [0.0, 0.0])
  assert np.isfinite(found.log_ratio).all()


def test_the_prior_of_a_sample_is_corrected():
  """`pi / chance of being drawn`, at the node that search sees."""
  bandit = Bandit(jnp.zeros((1, 6)), LOGITS)
  draw = sampled.WithoutReplacement(3)
  model = sampled.Sampled(bandit, draw, lambda node: 0.0 * node.prior_logits)
  node = model.root(KEY, jnp.zeros(1, jnp.int32), jnp.zeros((1, 6)))
  found = draw(jax.random.fold_in(KEY, 1), jnp.full((1, 6), -jnp.log(6.0)))
  np.testing.assert_array_equal(node.actions, found.slot)
  np.testing.assert_allclose(
      node.prior_logits, LOGITS[:, found.slot[0]] + found.log_ratio, rtol=1e-5
  )
  # All are as likely to be drawn: the policy keeps its shape.
  np.testing.assert_allclose(jnp.ptp(found.log_ratio), 0.0, atol=1e-5)
