"""The agent of a board: any batch, any number of simulations, both models."""

import jax
import numpy as np
import pytest

from mulearn.act.board_agent import BoardAgent
from mulearn.env import games
from mulearn.search.plan import improved_value

LINES = ((), (4,), (0, 3, 1, 4), (0, 4, 8, 1), (4, 0, 8, 1, 3))


@pytest.fixture(params=["simulator", "world"])
def agent(request, board_config, make_board_networks):
  kind = request.param
  return BoardAgent(board_config(kind), make_board_networks(kind))


def test_plans_for_a_batch_of_states(agent, board_states):
  states = board_states(*LINES)
  plan = agent.plan(jax.random.key(0), states)
  assert plan.action.shape == (5,) and plan.value.shape == (5,)
  assert plan.policy.shape == (5, 9)
  invalid = np.asarray(jax.vmap(agent.environment.invalid)(states))
  assert (np.asarray(plan.policy)[invalid] == 0.0).all()
  assert not invalid[np.arange(5), plan.action].any()
  visits = np.asarray(plan.tree.children_visits[:, 0])
  assert (visits.sum(axis=1) == 4).all() and (visits[invalid] == 0).all()
  more = agent.plan(jax.random.key(0), states, 7)
  assert (np.asarray(more.tree.children_visits[:, 0]).sum(axis=1) == 7).all()


def test_the_value_is_that_of_the_policy(agent, board_states):
  plan = agent.plan(jax.random.key(0), board_states(*LINES))
  np.testing.assert_allclose(plan.value, improved_value(plan), atol=1e-6)
  mean = np.asarray(plan.tree.node_values[:, 0])
  assert (np.abs(plan.value - mean) > 1e-6).any()


def test_a_search_has_simulations(agent, board_states):
  with pytest.raises(ValueError, match="num_simulations is 0"):
    agent.plan(jax.random.key(0), board_states(()), 0)


def test_a_game_does_not_depend_on_its_neighbours(agent, board_states):
  together = agent.plan(jax.random.key(0), board_states(*LINES))
  turned = agent.plan(jax.random.key(0), board_states(*LINES[::-1]))
  np.testing.assert_array_equal(turned.action[::-1], together.action)
  alone = agent.plan(jax.random.key(0), board_states(LINES[2]))
  assert alone.action[0] == together.action[2]
  np.testing.assert_allclose(alone.value[0], together.value[2], atol=1e-6)


def test_a_glance_is_the_root_without_search(agent, board_states):
  states = board_states(*LINES)
  node = agent.glance(states)
  plan = agent.plan(jax.random.key(0), states)
  np.testing.assert_allclose(node.value, plan.tree.raw_values[:, 0], atol=1e-6)


def test_without_search_chance_has_no_slots(
    board_config, make_board_networks, board_states
):
  """Below the root it has 32 codes, where the game has 9 actions."""
  kind, states = "stochastic", board_states(*LINES)
  agent = BoardAgent(board_config(kind), make_board_networks(kind))
  node, worth = agent.glance(states), np.asarray(agent.look_ahead(states))
  assert node.prior_logits.shape == node.invalid.shape == worth.shape == (5, 9)
  assert np.isfinite(worth).all()


def test_a_game_that_is_no_board_is_named():
  with pytest.raises(ValueError, match="'chess'.*tic_tac_toe"):
    games.make_environment("chess")
