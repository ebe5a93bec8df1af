"""The learned world as search sees it: its nodes, and what must not matter."""

import copy
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.model.support import Support
from mulearn.model.world_model import WorldModel
from mulearn.prior import base as prior_lib
from mulearn.prior.fusion import gated


class _Opinion:
  """A prior with strong and arbitrary beliefs."""

  def __call__(self, observations):
    rows = []
    for o in observations:
      scores = np.array([3.0 * np.sin(7.0 * len(c)) for c in o.commands])
      rows.append((scores - np.log(np.exp(scores).sum())).astype(np.float32))
    return rows


@pytest.fixture
def phrases(phrases, known_rooms):
  """The table with a row for each text, since a world sees it as it was."""
  phrases.observe(known_rooms)
  return phrases


def _world(networks, phrases, **changes):
  table, vocabulary = phrases.arrays()
  arguments = {
      "fusion": gated,
      "support": Support(11, 2.0),
      "discount": 0.9,
      "num_imagined": 4,
      "in_tree": True,
  }
  return WorldModel(networks, table, vocabulary, **(arguments | changes))


def _root(world, phrases, rooms, prior=None):
  numbers = jax.tree.map(jnp.asarray, phrases.observe(rooms))
  rows = (prior or prior_lib.UniformPrior())(rooms)
  logits = jnp.asarray(prior_lib.pad(rows, 8))
  return world.root(jax.random.key(0), numbers, logits)


def _step(world, node, slot=0):
  action = jax.tree.map(lambda x: x[:, slot], node.actions)
  return world.step(jax.random.key(0), node.state, action)


def _open_vocabulary(networks, bias=20.0):
  """Makes every candidate admissible, or none."""
  networks.admissible_bias[...] = jnp.float32(bias)
  return networks


def test_root_slots_are_the_commands(make_networks, phrases, rooms):
  world = _world(make_networks(), phrases)
  node = _root(world, phrases, rooms)
  for i, room in enumerate(rooms):
    numbers = np.asarray(node.actions.command[i])
    words = [phrases.text(n) for n in numbers[: len(room.commands)]]
    assert words == list(room.commands)
    np.testing.assert_array_equal(node.invalid[i], numbers == 0)
  probs = np.where(node.invalid, 0.0, np.exp(node.prior_logits))
  np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-5)
  np.testing.assert_array_equal(node.reward, 0.0)


@pytest.mark.parametrize("bias", [20.0, -4.0, -50.0])
def test_imagined_commands_are_known_distinct_and_never_padding(
    make_networks, phrases, rooms, bias
):
  # The hall's commands are learned; the others' are new.
  phrases.observe(rooms[1:2], learn=True)
  phrases.observe(rooms)
  networks = _open_vocabulary(make_networks(), bias)
  world = _world(networks, phrases)
  root = _root(world, phrases, rooms)
  node = _step(world, _step(world, root))
  known = set(np.flatnonzero(world.vocabulary))
  for i in range(3):
    own = set(np.asarray(root.actions.command[i])) - {0}
    chosen = np.asarray(node.actions.command[i])
    valid = chosen[~np.asarray(node.invalid[i])]
    assert 1 <= len(valid) <= 4
    assert set(valid) <= known | own and 0 not in valid
    assert len(set(valid)) == len(valid)
    if bias == 20.0:
      assert len(valid) == min(4, len(known | own))
    if bias == -50.0:
      assert len(valid) == 1


def test_most_admissible_commands_are_imagined(make_networks, phrases, rooms):
  phrases.observe(rooms, learn=True)
  networks = _open_vocabulary(make_networks())
  world = _world(networks, phrases)
  root = _root(world, phrases, rooms)
  node = _step(world, root)
  own = np.asarray(root.actions.command)
  before = np.stack([np.isin(np.arange(64), row) for row in own])
  scores = networks.admissible_logits(world.table, node.state[0], before)
  scores = np.where(world.vocabulary, scores, -np.inf)
  expected = np.argsort(-scores, axis=1)[:, :4]
  np.testing.assert_array_equal(node.actions.command[:, :4], expected)


def test_unseen_phrases_of_evaluation_are_not_imagined_elsewhere(
    make_networks, phrases, rooms
):
  phrases.observe(rooms)
  world = _world(_open_vocabulary(make_networks()), phrases)
  root = _root(world, phrases, rooms)
  node = _step(world, root)
  for i in range(3):
    own = set(np.asarray(root.actions.command[i]))
    assert set(np.asarray(node.actions.command[i])) <= own


def test_discount_shrinks_with_a_predicted_end(make_networks, phrases, rooms):
  networks = make_networks()
  world = _world(networks, phrases)
  root = _root(world, phrases, rooms)
  discounts = []
  for bias in (-100.0, -1.0, 1.0, 100.0):
    networks.continues.bias[...] = jnp.full(1, bias)
    discounts.append(np.asarray(_step(world, root).discount))
  assert (np.diff(discounts, axis=0) > 0).all()
  np.testing.assert_allclose(discounts[0], 0.0, atol=1e-6)
  np.testing.assert_allclose(discounts[-1], 0.9, rtol=1e-6)


def test_rows_do_not_see_each_other(make_networks, phrases, rooms):
  phrases.observe(rooms, learn=True)
  world = _world(make_networks(), phrases)
  node = _root(world, phrases, rooms, _Opinion())
  below = _step(world, node)
  for i in range(3):
    row = _root(world, phrases, rooms[i : i + 1], _Opinion())
    for whole, alone in ((node, row), (below, _step(world, row))):
      for x, y in zip(jax.tree.leaves(whole), jax.tree.leaves(alone)):
        np.testing.assert_allclose(x[i : i + 1], y, atol=1e-4)


def test_root_only_keeps_the_prior_out_of_the_tree(
    make_networks, phrases, rooms
):
  phrases.observe(rooms, learn=True)
  networks = _open_vocabulary(make_networks())
  inside = _world(networks, phrases)
  outside = _world(networks, phrases, in_tree=False)
  root = _root(inside, phrases, rooms, _Opinion())
  same = _root(outside, phrases, rooms, _Opinion())
  np.testing.assert_array_equal(root.prior_logits, same.prior_logits)
  guided, alone = _step(inside, root), _step(outside, root)
  assert float(jnp.abs(guided.prior_logits - alone.prior_logits).max()) > 1e-3
  np.testing.assert_array_equal(alone.actions.prior, 0.0)
  probs = np.where(guided.invalid, 0.0, np.exp(guided.actions.prior))
  np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-5)


def test_commands_given_in_the_tree_are_tried_there(
    make_networks, phrases, rooms
):
  phrases.observe(rooms, learn=True)
  world = _world(_open_vocabulary(make_networks()), phrases)
  root = _root(world, phrases, rooms)
  assert not np.asarray(root.actions.tried).any()
  node = _step(world, root, slot=1)
  given = np.asarray(root.actions.command[:, 1])[:, None]
  expected = np.asarray(node.actions.command) == given
  np.testing.assert_array_equal(node.actions.tried, expected)


def test_tried_is_of_the_sight_at_the_root_and_of_the_game_below(
    make_networks, phrases, known_rooms
):
  """An imagined sight is a guess, so there what was ever given counts."""
  phrases.observe(known_rooms, learn=True)
  world = _world(_open_vocabulary(make_networks()), phrases)
  root = _root(world, phrases, known_rooms)
  node = _step(world, root)
  assert np.asarray(node.actions.tried).any()
  for i, room in enumerate(known_rooms):
    expected = [float(c in room.tried) for c in room.commands]
    expected += [0.0] * (8 - len(expected))
    np.testing.assert_array_equal(root.actions.tried[i], expected)
    given = {*room.history, room.commands[0]}
    assert not set(room.commands[:2]) - given
    below = [
        float(phrases.text(int(n)) in given)
        for n in np.asarray(node.actions.command[i])
    ]
    np.testing.assert_array_equal(node.actions.tried[i], below)


def test_the_head_reads_what_was_tried_at_this_sight(
    make_networks, phrases, rooms, known_rooms
):
  """The same history, with and without: only tried commands lose."""
  world = _world(make_networks(), phrases)
  forgotten = [dataclasses.replace(room, tried=()) for room in known_rooms]
  fresh = np.exp(_root(world, phrases, forgotten).prior_logits)
  known = np.exp(_root(world, phrases, known_rooms).prior_logits)
  for i, room in enumerate(rooms):
    odds = [p[i, 0] / (1.0 - p[i, 0]) for p in (known, fresh)]
    assert odds[0] < 0.1 * odds[1]
    others = slice(1, len(room.commands))
    np.testing.assert_allclose(
        known[i, others] / known[i, others].sum(),
        fresh[i, others] / fresh[i, others].sum(),
        rtol=1e-4,
    )


def _flat_prior_head(networks):
  """As a run with `prior=uniform` keeps it: the head never had an opinion."""
  networks.prior = jax.tree.map(jnp.zeros_like, networks.prior)
  return networks


@pytest.mark.parametrize("policy", ["gumbel", "puct"])
def test_no_prior_and_no_trust_think_alike(
    make_networks, phrases, rooms, tiny_config, policy
):
  phrases.observe(rooms, learn=True)
  config = _with_policy(tiny_config, policy)
  uniform = Agent(
      config,
      _open_vocabulary(_flat_prior_head(make_networks(trust=0.6))),
      phrases,
      prior_lib.UniformPrior(),
  )
  untrusted = Agent(
      config,
      _open_vocabulary(make_networks(trust=0.0)),
      phrases,
      _Opinion(),
  )
  trusted = Agent(
      config, _open_vocabulary(make_networks(trust=0.6)), phrases, _Opinion()
  )
  plans = []
  for agent in (uniform, untrusted, trusted):
    plan = functools.partial(agent.plan, num_simulations=24)
    key = jax.random.key(5)
    plans.append(plan(key, rooms, deterministic=False))
  visits = [p.tree.children_visits for p in plans]
  np.testing.assert_array_equal(plans[0].slot, plans[1].slot)
  np.testing.assert_array_equal(visits[0], visits[1])
  np.testing.assert_array_equal(plans[0].policy, plans[1].policy)
  np.testing.assert_array_equal(plans[0].value, plans[1].value)
  assert (np.asarray(visits[0]) != np.asarray(visits[2])).any()


def _with_policy(config, policy):
  config = copy.deepcopy(config)
  config.search.policy = policy
  return config
