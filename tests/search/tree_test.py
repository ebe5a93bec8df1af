"""Tests of the view of a search tree, against mctx's own statistics."""

import functools
import json

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest

from mulearn.search import tree as tree_lib

NUM_SLOTS = 5
NUM_SIMULATIONS = 24


@functools.partial(jax.jit, static_argnames="max_depth")
def _search(rng_key, invalid, max_depth=3):
  """Searches a random two-player world, whose state is a seed, `[B]`."""

  def step(params, rng_key, action, seed):
    del params, rng_key
    seed = seed * 7 + action + 1
    keys = jax.vmap(jax.random.key)(seed)
    draws = jax.vmap(lambda k: jax.random.normal(k, (NUM_SLOTS + 2,)))(keys)
    output = mctx.RecurrentFnOutput(
        reward=draws[:, 0],
        discount=jnp.where(draws[:, 1] > 0.5, 0.0, -0.9),
        prior_logits=draws[:, 2:],
        value=draws[:, 1],
    )
    return output, seed

  batch = invalid.shape[0]
  root = mctx.RootFnOutput(
      prior_logits=jax.random.normal(rng_key, invalid.shape),
      value=jnp.zeros(batch),
      embedding=jnp.arange(batch),
  )
  return mctx.gumbel_muzero_policy(
      (), rng_key, root, step, NUM_SIMULATIONS, invalid, max_depth=max_depth
  )


@pytest.fixture(scope="module")
def output():
  invalid = np.zeros((2, NUM_SLOTS), np.bool_)
  invalid[1, [0, 3]] = True
  return _search(jax.random.key(0), jnp.asarray(invalid))


def _label(node, slot):
  return f"{node}/{slot}"


@pytest.mark.parametrize("batch_index", [0, 1])
def test_root_children_agree_with_the_summary(output, batch_index):
  tree = output.search_tree
  view = tree_lib.tree_view(tree, batch_index, _label)
  summary = jax.tree.map(lambda x: x[batch_index], tree.summary())
  assert view.visits == NUM_SIMULATIONS
  assert view.value == pytest.approx(float(summary.value), rel=1e-6)
  for child in view.children:
    assert child.visits == summary.visit_counts[child.slot]
    assert child.label == f"0/{child.slot}"
    if child.visits:
      expected = float(summary.qvalues[child.slot])
      assert child.value == pytest.approx(expected, rel=1e-5)


def test_invalid_root_slots_are_dropped(output):
  view = tree_lib.tree_view(output.search_tree, 1)
  assert sorted(child.slot for child in view.children) == [1, 2, 4]
  assert sum(child.prior for child in view.children) == pytest.approx(1.0)


def test_every_expanded_node_appears_once(output):
  view = tree_lib.tree_view(output.search_tree, 0)
  nodes = [node.node for node in view.walk() if node.node >= 0]
  expanded = np.asarray(output.search_tree.node_visits[0]) > 0
  assert sorted(nodes) == list(np.flatnonzero(expanded))


def test_edges_below_are_read_from_their_parent(output):
  tree = jax.tree.map(lambda x: np.asarray(x[0]), output.search_tree)
  view = tree_lib.tree_view(output.search_tree, 0, _label)
  parents = {child.node: v for v in view.walk() for child in v.children}
  checked = 0
  for node in view.walk():
    if node.node <= 0:
      continue
    parent = parents[node.node]
    assert parent.node == tree.parents[node.node]
    assert node.slot == tree.action_from_parent[node.node]
    assert node.label == f"{parent.node}/{node.slot}"
    assert node.depth == parent.depth + 1
    q = node.reward + node.discount * tree.node_values[node.node]
    assert node.value == pytest.approx(float(q), rel=1e-5, abs=1e-6)
    checked += 1
  assert checked > NUM_SLOTS


def test_children_are_sorted_by_visits(output):
  view = tree_lib.tree_view(output.search_tree, 0)
  for node in view.walk():
    visits = [child.visits for child in node.children]
    assert visits == sorted(visits, reverse=True)
    if node.depth:
      assert 0 not in visits


def test_chosen_line_starts_with_the_slot_that_was_played(output):
  slots = {c.slot for c in tree_lib.tree_view(output.search_tree, 0).children}
  for slot in slots:
    view = tree_lib.tree_view(output.search_tree, 0, chosen_slot=slot)
    assert [c.slot for c in view.children if c.chosen] == [slot]
  view = tree_lib.tree_view(output.search_tree, 0)
  node, length = view, 0
  while any(child.chosen for child in node.children):
    (node,) = [child for child in node.children if child.chosen]
    length += 1
  assert length >= 2
  assert sum(node.chosen for node in view.walk()) == length + 1


def test_unvisited_root_slots_keep_their_prior_and_have_no_value():
  invalid = jnp.zeros((1, NUM_SLOTS), bool)
  tree = _search(jax.random.key(1), invalid).search_tree
  tree = tree.replace(
      children_visits=tree.children_visits.at[0, 0, 2].set(0),
      children_index=tree.children_index.at[0, 0, 2].set(-1),
  )
  view = tree_lib.tree_view(tree)
  (child,) = [child for child in view.children if child.slot == 2]
  assert child.value is None and child.children == ()
  assert child.prior > 0.0
  assert view.children[-1] is child


def test_view_becomes_json(output):
  view = tree_lib.tree_view(output.search_tree, 0, _label)
  loaded = json.loads(json.dumps(view.to_dict(), allow_nan=False))
  assert loaded["visits"] == NUM_SIMULATIONS
  assert loaded["children"][0]["label"] == view.children[0].label
  grandchildren = view.children[0].children
  assert len(loaded["children"][0]["children"]) == len(grandchildren)


def test_wrong_indices_name_the_remedy(output):
  with pytest.raises(ValueError, match="batch_index 2, expected 0 to 1"):
    tree_lib.tree_view(output.search_tree, 2)
  with pytest.raises(ValueError, match="chosen_slot 3"):
    tree_lib.tree_view(output.search_tree, 1, chosen_slot=3)
