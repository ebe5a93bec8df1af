"""Bugs of peers in search, each with its number in our list of them.

1. Q-values leaked between the games of a batch (LightZero #474): what one game
   sees must not depend on its neighbours, nor on its place among them.
3. Policies were indexed by action instead of slot, and illegal moves kept mass
   (LightZero #486, #489): what is stored as action is what the slot meant, and
   an inadmissible slot has no mass in plan or loss.
"""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.learn import losses
from mulearn.model.base import mask_logits
from mulearn.model.phrases import take_action
from mulearn.prior import base
from mulearn.prior.fusion import RULES


class _Prior:
  """Has a favourite."""

  def __call__(self, observations):
    rows = [np.arange(float(len(o.commands))) for o in observations]
    return [np.float32(r - np.log(np.exp(r).sum())) for r in rows]


@pytest.fixture
def agent(tiny_config, make_networks, phrases, rooms):
  phrases.observe(rooms, learn=True)
  return Agent(tiny_config, make_networks(), phrases, _Prior())


def test_row_1_neighbours_in_a_batch_do_not_matter(agent, rooms):
  """Permuted, alone, or beside others: each game gets the same plan."""
  key = jax.random.key(0)
  plan = agent.plan(key, rooms)
  turned = agent.plan(key, rooms[::-1])
  np.testing.assert_array_equal(turned.slot[::-1], plan.slot)
  np.testing.assert_array_equal(
      turned.tree.children_visits[::-1], plan.tree.children_visits
  )
  np.testing.assert_allclose(turned.value[::-1], plan.value, atol=1e-6)
  for i, room in enumerate(rooms):
    alone = agent.plan(key, [room], batch_size=3)  # Three times the same game.
    assert alone.slot[0] == plan.slot[i]
    np.testing.assert_array_equal(
        alone.tree.children_visits[0], plan.tree.children_visits[i]
    )


def test_row_3_a_slot_is_the_command_of_its_own_node(agent, rooms):
  """Phrase numbers are not slots: what was chosen is what is remembered."""
  numbers, prior = agent.observe(rooms, batch_size=3)
  plan = agent.search(
      jax.random.key(0), numbers, prior, num_simulations=6, deterministic=True
  )
  slots = np.asarray(plan.slot)
  expected = take_action(numbers, prior, slots)
  for ours, theirs in zip(plan.action, expected):
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
  assert (np.asarray(plan.action.command) != slots).all()


@pytest.mark.parametrize("policy", ["gumbel", "puct"])
def test_row_3_inadmissible_slots_have_no_mass_in_plans(agent, rooms, policy):
  agent.config = copy.deepcopy(agent.config)
  agent.config.search.policy = policy
  plan = agent.plan(jax.random.key(0), rooms, deterministic=False)
  numbers, _ = agent.observe(rooms, batch_size=3)
  assert (np.asarray(plan.policy)[numbers.invalid] == 0.0).all()
  visits = np.asarray(plan.tree.children_visits[:, 0])
  assert (visits[numbers.invalid] == 0).all()


@pytest.mark.parametrize("name", RULES)
def test_row_3_inadmissible_slots_cost_nothing_in_the_loss(name):
  """Whatever stands in a padded slot of head and target, the loss is one."""
  invalid = jnp.array([[False, False, True]])
  target = jnp.array([[0.25, 0.75, 0.0]])
  prior = jnp.log(jnp.array([[0.5, 0.5, 1.0]]))

  def loss(gate, padding):
    head = jnp.array([[0.3, -0.3, padding]])
    head = mask_logits(head, invalid)
    policy = RULES[name](head, prior, gate)
    return losses._cross_entropy(target, policy, invalid)[0]

  values = [jax.value_and_grad(loss)(0.4, p) for p in (-9.0, 0.0, 50.0)]
  assert all(np.isfinite(v) for pair in values for v in pair)
  assert values[0] == values[1] == values[2]


def test_row_3_padding_of_a_prior_is_not_an_opinion(rooms):
  rows = base.pad(_Prior()(rooms), 8)
  for room, row in zip(rooms, rows):
    count = len(room.commands)
    assert np.exp(row[:count]).sum() == pytest.approx(1.0, rel=1e-5)
    assert not row[count:].any()
