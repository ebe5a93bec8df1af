"""Acting without a search: how often what is played."""

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.act import bare
from mulearn.search.plan import improved_value
from mulearn.types import Node

LANES = 4
SCORES = jnp.tile(jnp.array([1.0, 3.0, 9.0, 2.0]), (LANES, 1))
INVALID = jnp.tile(jnp.array([False, False, True, False]), (LANES, 1))
NODE = Node(
    state=None, actions=None, prior_logits=SCORES, invalid=INVALID,
    value=jnp.full(LANES, 0.5), reward=None, discount=None,
)  # fmt: skip


def _frequencies(rule, **how):
  keys = jax.random.split(jax.random.key(0), 4096)
  played = jax.vmap(lambda key: rule(key, NODE, **how).action)(keys)
  return np.asarray(jax.nn.one_hot(played, 4).mean(axis=0))


def test_ppo_draws_what_its_policy_says():
  how = {"deterministic": False, "epsilon": 0.4}
  plan = bare.sample(jax.random.key(1), NODE, **how)
  odds = np.exp([1.0, 3.0, -np.inf, 2.0])
  np.testing.assert_allclose(plan.policy[0], odds / odds.sum(), rtol=1e-5)
  np.testing.assert_allclose(
      _frequencies(bare.sample, **how), plan.policy, atol=0.03
  )
  np.testing.assert_array_equal(improved_value(plan), NODE.value)


def test_each_lane_of_dqn_strays_as_often_as_its_place_says():
  how = {"deterministic": False, "epsilon": 0.5}
  plan = bare.epsilon_greedy(jax.random.key(1), NODE, **how)
  stray = 0.5 ** np.array([1.0, 1 + 7 / 3, 1 + 14 / 3, 8.0])
  np.testing.assert_allclose(plan.policy[:, 1], 1 - stray * 2 / 3, rtol=1e-5)
  np.testing.assert_allclose(plan.policy[:, 0], stray / 3, rtol=1e-5)
  assert (plan.policy[:, 2] == 0.0).all()
  np.testing.assert_allclose(
      _frequencies(bare.epsilon_greedy, **how), plan.policy, atol=0.03
  )
  np.testing.assert_array_equal(plan.value, np.full(LANES, 3.0))


def test_at_its_best_nobody_strays():
  for rule in bare.RULES.values():
    plan = rule(jax.random.key(0), NODE, deterministic=True, epsilon=1.0)
    np.testing.assert_array_equal(plan.action, np.ones(LANES))
