"""The regularised policy is the best one, and what PUCT's visits approximate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import SearchConfig
from mulearn.model.bandit import Bandit
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.search import regularized

RNG = np.random.default_rng(0)


def _draw(num_problems, num_actions):
  q_values = RNG.normal(size=(num_problems, num_actions))
  prior = RNG.dirichlet(np.ones(num_actions), size=num_problems)
  return np.float32(q_values), np.float32(prior)


def _objective(policy, q_values, prior, weight):
  kl = np.sum(prior * np.log(prior / policy), axis=-1)
  return np.sum(policy * q_values, axis=-1) - weight * kl


@pytest.mark.parametrize("weight", [0.01, 0.3, 5.0])
def test_no_policy_is_better(weight):
  q_values, prior = _draw(50, 6)
  policy = np.asarray(
      regularized.solve(q_values, prior, jnp.full(50, weight)), np.float64
  )
  np.testing.assert_allclose(policy.sum(-1), 1.0, rtol=1e-5)
  best = _objective(policy, q_values, prior, weight)
  for _ in range(200):
    share = RNG.uniform(0.0, 0.2, (50, 1))
    other = (1 - share) * policy + share * RNG.dirichlet(np.ones(6), size=50)
    assert (_objective(other, q_values, prior, weight) <= best + 1e-6).all()


def test_two_actions_by_hand():
  """y1 = l p1 / (alpha - q1), y2 = l p2 / (alpha - q2), y1 + y2 = 1.

  With q = (1, 0), prior halves and l = 1: alpha^2 - 2 alpha + 1/2 = 0.
  """
  alpha = 1.0 + 0.5**0.5
  found = regularized.solve(
      jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5]), jnp.array(1.0)
  )
  np.testing.assert_allclose(
      found, [0.5 / (alpha - 1.0), 0.5 / alpha], rtol=1e-5
  )


def test_limits_and_actions_that_may_not_be_chosen():
  q_values = jnp.array([[3.0, 1.0, 2.0]])
  prior = jnp.array([[0.0, 0.4, 0.6]])
  loose, tight = (
      regularized.solve(q_values, prior, jnp.array([w])) for w in (1e-4, 1e4)
  )
  np.testing.assert_allclose(tight, prior, atol=1e-3)
  np.testing.assert_allclose(loose, [[0.0, 0.0, 1.0]], atol=1e-3)
  assert float(loose[0, 0]) == 0.0


def test_another_policy_is_read_from_a_search():
  """Each arm was tried: the policy is that of its true values in [0, 1]."""
  q_values = jnp.array([[0.0, 0.25, 1.0]])
  bandit = Bandit(q_values, jnp.zeros((1, 3)))
  rng_key = jax.random.key(0)
  root = bandit.root(rng_key, jnp.zeros(1, jnp.int32), jnp.zeros((1, 3)))
  puct = plan_lib.puct(SearchConfig(max_depth=1), deterministic=True)
  plan = plan_lib.plan(
      bandit,
      rng_key,
      root,
      search=plan_lib.with_policy(puct, regularized.root_policies),
      num_simulations=32,
      mesh=make_mesh(jax.devices()[:1]),
  )
  visits = np.asarray(plan.tree.children_visits[0, 0])
  assert (visits > 0).all() and visits.sum() == 32
  expected = regularized.solve(
      q_values[0], jnp.full(3, 1 / 3), regularized.multiplier(32.0, 3)
  )
  np.testing.assert_allclose(plan.policy[0], expected, rtol=1e-4)
  assert np.abs(plan.policy[0] - visits / 32).max() > 0.05
