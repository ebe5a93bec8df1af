"""The agent: texts in, plans out, whatever the size of the batch."""

import copy
import dataclasses

import jax
import numpy as np
import pytest

from mulearn.act import agent as agent_lib
from mulearn.act.agent import Agent
from mulearn.prior.base import UniformPrior


class _Prior:
  """Prefers long commands."""

  def __call__(self, observations):
    rows = []
    for o in observations:
      weights = np.array([float(len(c)) for c in o.commands])
      rows.append(np.log(weights / weights.sum()).astype(np.float32))
    return rows


@pytest.fixture
def agent(tiny_config, make_networks, phrases):
  return Agent(tiny_config, make_networks(), phrases, _Prior())


def test_a_batch_is_padded_with_its_first_row(agent, rooms):
  numbers, prior = agent.observe(rooms[1:], batch_size=5)
  assert prior.shape == (5, 8)
  for x in (*numbers, prior):
    np.testing.assert_array_equal(x[2:], np.stack([x[0]] * 3))
  room = rooms[2]
  expected = _Prior()([room])[0]
  np.testing.assert_array_equal(prior[1, : len(expected)], expected)
  assert not prior[1, len(expected) :].any()


def test_padding_does_not_change_a_plan(agent, rooms):
  key = jax.random.key(1)
  plan = agent.plan(key, rooms)
  padded = agent.plan(key, rooms[:2], batch_size=3)
  assert padded.slot.shape == (2,) and padded.tree.node_visits.shape[0] == 2
  np.testing.assert_array_equal(padded.slot, plan.slot[:2])
  np.testing.assert_allclose(padded.policy, plan.policy[:2], atol=1e-5)


def test_plan_is_about_admissible_commands(agent, rooms, phrases):
  plan = agent.plan(jax.random.key(0), rooms, num_simulations=9)
  for i, room in enumerate(rooms):
    count = len(room.commands)
    assert int(plan.slot[i]) < count
    assert phrases.text(int(plan.action.command[i])) == (
        room.commands[int(plan.slot[i])]
    )
    policy = np.asarray(plan.policy[i])
    assert not policy[count:].any()
    assert policy.sum() == pytest.approx(1.0, rel=1e-5)
    assert int(plan.tree.children_visits[i, 0].sum()) == 9


def test_evaluation_is_deterministic_and_acting_explores(agent, rooms):
  def visits(seed, deterministic):
    plan = agent.plan(jax.random.key(seed), rooms, deterministic=deterministic)
    return np.asarray(plan.tree.children_visits[:, 0])

  np.testing.assert_array_equal(visits(0, True), visits(1, True))
  np.testing.assert_array_equal(visits(3, False), visits(3, False))
  draws = [visits(seed, False) for seed in range(6)]
  assert any((draws[0] != d).any() for d in draws[1:])


def test_glance_is_the_root_of_search(agent, rooms):
  numbers, prior = agent.observe(rooms, batch_size=3)
  node, head = agent.glance(numbers, prior)
  plan = agent.plan(jax.random.key(0), rooms)
  np.testing.assert_allclose(node.value, plan.tree.raw_values[:, 0], atol=1e-5)
  np.testing.assert_array_equal(node.invalid, numbers.invalid)
  # Bare head and prior make the root's policy.
  alone = np.asarray(jax.nn.softmax(head))
  guided = np.asarray(jax.nn.softmax(np.asarray(head) + prior))
  expected = 0.5 * alone + 0.5 * guided
  valid = ~numbers.invalid
  np.testing.assert_allclose(
      np.exp(node.prior_logits)[valid], expected[valid], rtol=1e-4
  )


def test_plan_uses_the_newest_parameters(agent, make_networks, rooms):
  before = agent.plan(jax.random.key(0), rooms)
  agent.networks = make_networks(seed=7)
  after = agent.plan(jax.random.key(0), rooms)
  assert (np.asarray(before.policy) != np.asarray(after.policy)).any()


def test_only_acting_teaches_the_vocabulary(agent, rooms):
  agent.plan(jax.random.key(0), rooms)
  assert not np.asarray(agent.phrases.arrays()[1]).any()
  agent.phrases.learn(agent.phrases.unknown(rooms))
  assert np.asarray(agent.phrases.arrays()[1]).sum() == 9


def test_puct_is_a_setting(agent, rooms):
  config = copy.deepcopy(agent.config)
  config.search.policy = "puct"
  other = dataclasses.replace(agent, config=config)
  plan = other.plan(jax.random.key(0), rooms)
  # Its policy are visit counts.
  visits = np.asarray(plan.tree.children_visits[:, 0])
  np.testing.assert_allclose(plan.policy, visits / 6, atol=1e-6)


def test_trust_of_fresh_networks_is_the_configs(tiny_config):
  config = copy.deepcopy(tiny_config)
  config.prior.trust = 0.125
  networks = agent_lib.make_networks(config, jax.random.key(0))
  weight = jax.nn.sigmoid(networks.gate[...])
  np.testing.assert_allclose(weight, 0.125, rtol=1e-6)


def test_a_fresh_agent_tries_what_it_has_not_tried(
    tiny_config, phrases, known_rooms
):
  """At the glance and, as all its values are alike, after search as well."""
  networks = agent_lib.make_networks(tiny_config, jax.random.key(0))
  fresh = Agent(tiny_config, networks, phrases, UniformPrior())
  numbers, prior = fresh.observe(known_rooms, batch_size=3)
  _, head = fresh.glance(numbers, prior)
  assert (np.asarray(head[:, 0]) < np.asarray(head[:, 1]) - 3.0).all()
  plan = fresh.plan(jax.random.key(0), known_rooms)
  assert (np.asarray(plan.slot) > 0).all()
  assert (np.asarray(plan.policy[:, 0]) < 0.05).all()
