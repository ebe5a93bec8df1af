"""A learned world with chance is a model like any: actions, codes, odds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.board_agent import BoardSettings
from mulearn.parallel.mesh import make_mesh
from mulearn.search.plan import improved_value


@pytest.fixture
def settings(board_config):
  return BoardSettings.from_config(board_config("stochastic"))


def test_actions_and_codes_take_turns(
    settings, make_board_networks, board_states
):
  networks = make_board_networks("stochastic")
  key = jax.random.key(0)
  root = settings.root(networks, key, board_states((4, 0), ()))
  # Nine squares, of 32 slots.
  np.testing.assert_array_equal(np.flatnonzero(~root.invalid[1]), range(9))
  np.testing.assert_array_equal(root.invalid[0, :9].nonzero()[0], [0, 4])
  model, action = settings.model(networks), jnp.array([1, 2])
  after = model.step(key, root.state, action)
  assert after.state.is_chance.all() and not after.invalid.any()
  latent = networks.act(root.state.inner, action)
  odds, q_value = networks.foresee(latent)
  np.testing.assert_allclose(after.prior_logits, odds, rtol=1e-5)
  np.testing.assert_allclose(
      after.value, settings.support.to_scalar(q_value), rtol=1e-4
  )
  assert (after.reward == 0.0).all() and (after.discount == 1.0).all()
  later = model.step(key, after.state, jnp.array([31, 5]))
  assert not later.state.is_chance.any()
  code = jax.nn.one_hot(jnp.array([31, 5]), 32)
  _, reward, goes_on = networks.settle(latent, code)
  np.testing.assert_allclose(
      later.reward, settings.support.to_scalar(reward), rtol=1e-4, atol=1e-6
  )
  # Two players: once chance has spoken, the view is the other's.
  np.testing.assert_allclose(
      later.discount, -jax.nn.sigmoid(goes_on), rtol=1e-5
  )


def test_search_meets_codes_by_their_odds_and_says_nothing_of_them(
    settings, make_board_networks, board_states
):
  plan = settings.plan(
      make_board_networks("stochastic"),
      jax.random.key(0),
      board_states((), (4, 0)),
      num_simulations=64,
      deterministic=True,
      mesh=make_mesh(jax.devices()[:1]),
  )
  assert plan.policy.shape == plan.improvement.shape == (2, 9)
  np.testing.assert_allclose(plan.policy.sum(axis=1), 1.0, rtol=1e-5)
  assert (plan.policy[1, jnp.array([4, 0])] == 0.0).all()
  assert np.isfinite(improved_value(plan)).all()
  tree = jax.tree.map(np.asarray, plan.tree)
  is_chance = tree.embeddings[0].is_chance & (tree.node_visits > 1)
  assert is_chance.sum() >= 8
  visits = tree.children_visits[is_chance]
  odds = jax.nn.softmax(tree.children_prior_logits[is_chance])
  behind = odds * visits.sum(axis=1, keepdims=True) - visits
  assert behind.max() < 1.0
