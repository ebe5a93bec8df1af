"""The simulations of a search, batched by hand: mctx's tree, in less time.

mctx maps the search of one tree over the batch. Its two inner loops then decide
at every step between new and old for each tree, and so copy the statistics of
all nodes, and choose a root action for trees that are deep in a branch. Here
the batch is an axis of the arrays: a step writes to the nodes it changes and to
no other, and the root is left once. Keys are split as mctx splits them, so the
trees are the same. A policy of mctx takes the loop as its `loop_fn`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mctx

from mulearn.types import Array

LoopFn = Callable[..., Any]


def make_loop(
    params: Any,
    recurrent_fn: mctx.RecurrentFn,
    *,
    select_root: mctx.RootActionSelectionFn,
    select_interior: mctx.InteriorActionSelectionFn,
    max_depth: int,
) -> LoopFn:
  """A `loop_fn` for a policy of mctx that was given the same arguments.

  Args:
    params: of the recurrent function.
    recurrent_fn: as mctx takes it.
    select_root: the policy's choice at the root of one tree.
    select_interior: its choice below, of one tree.
    max_depth: of a tree, in moves.

  Returns:
    A function of mctx's arguments; the body that mctx hands over is not used.
  """

  def simulate(sim: Array, carry: tuple[Array, mctx.Tree]):
    rng_key, tree = carry
    rng_key, descend_key, expand_key = jax.random.split(rng_key, 3)
    parent, slot, child = _descend(
        descend_key, tree, select_root, select_interior, max_depth
    )
    # Where the depth is exhausted, the node exists and is evaluated again.
    child = jnp.where(child == mctx.Tree.UNVISITED, sim + 1, child)
    tree = _expand(params, expand_key, tree, recurrent_fn, parent, slot, child)
    return rng_key, _backward(tree, child)

  def loop(lower, upper, unused_body, carry):
    return jax.lax.fori_loop(lower, upper, simulate, carry)

  return loop


def _descend(
    rng_key: Array,
    tree: mctx.Tree,
    select_root: mctx.RootActionSelectionFn,
    select_interior: mctx.InteriorActionSelectionFn,
    max_depth: int,
) -> tuple[Array, Array, Array]:
  """Follows each tree's choices to an edge that leads to no node yet.

  Returns:
    The last node, the slot chosen there, and the node that it leads to,
    `UNVISITED` but where the depth was exhausted; each `[B]`.
  """
  batch = tree.node_values.shape[0]
  rows = jnp.arange(batch)
  split = jax.vmap(jax.random.split, out_axes=1)
  keys, select_keys = split(jax.random.split(rng_key, batch))
  root = mctx.Tree.ROOT_INDEX
  slot = jax.vmap(select_root, in_axes=(0, 0, None))(select_keys, tree, root)
  parent = jnp.full(batch, root, jnp.int32)

  def goes_on(carry):
    _, _, _, child, depth = carry
    return (depth < max_depth) & jnp.any(child != mctx.Tree.UNVISITED)

  def deeper(carry):
    keys, parent, slot, child, depth = carry
    keys, select_keys = split(keys)
    inside = child != mctx.Tree.UNVISITED
    parent = jnp.where(inside, child, parent)
    chosen = jax.vmap(select_interior, in_axes=(0, 0, 0, None))(
        select_keys, tree, parent, depth
    )
    slot = jnp.where(inside, chosen, slot)
    child = tree.children_index[rows, parent, slot]
    return keys, parent, slot, child, depth + 1

  child = tree.children_index[rows, root, slot]
  carry = keys, parent, slot, child, jnp.ones((), jnp.int32)
  _, parent, slot, child, _ = jax.lax.while_loop(goes_on, deeper, carry)
  return parent, slot, child


def _expand(
    params: Any,
    rng_key: Array,
    tree: mctx.Tree,
    recurrent_fn: mctx.RecurrentFn,
    parent: Array,
    slot: Array,
    child: Array,
) -> mctx.Tree:
  """Evaluates the node `child` that `slot` of `parent` leads to, each `[B]`."""
  rows = jnp.arange(parent.shape[0])
  state = jax.tree.map(lambda x: x[rows, parent], tree.embeddings)
  step, state = recurrent_fn(params, rng_key, slot, state)

  def at_node(x: Array, value: Array) -> Array:
    return x.at[rows, child].set(value)

  def at_edge(x: Array, value: Array) -> Array:
    return x.at[rows, parent, slot].set(value)

  return tree.replace(
      children_prior_logits=at_node(
          tree.children_prior_logits, step.prior_logits
      ),
      raw_values=at_node(tree.raw_values, step.value),
      node_values=at_node(tree.node_values, step.value),
      node_visits=tree.node_visits.at[rows, child].add(1),
      embeddings=jax.tree.map(at_node, tree.embeddings, state),
      parents=at_node(tree.parents, parent),
      action_from_parent=at_node(tree.action_from_parent, slot),
      children_index=at_edge(tree.children_index, child),
      children_rewards=at_edge(tree.children_rewards, step.reward),
      children_discounts=at_edge(tree.children_discounts, step.discount),
  )


def _backward(tree: mctx.Tree, leaf: Array) -> mctx.Tree:
  """Adds the value of the leaves `[B]` to all nodes above them."""
  rows = jnp.arange(leaf.shape[0])
  num_nodes = tree.node_values.shape[1]

  def is_below_root(carry):
    return jnp.any(carry[-1] != mctx.Tree.ROOT_INDEX)

  def up(carry):
    node_values, node_visits, edge_values, edge_visits, value, node = carry
    active = node != mctx.Tree.ROOT_INDEX
    parent, slot = tree.parents[rows, node], tree.action_from_parent[rows, node]
    child_value = node_values[rows, node]
    count = node_visits[rows, parent]
    reward = tree.children_rewards[rows, parent, slot]
    value = reward + tree.children_discounts[rows, parent, slot] * value
    mean = (node_values[rows, parent] * count + value) / (count + 1.0)
    # Trees that are done write beyond their nodes, which is to say nowhere.
    to = jnp.where(active, parent, num_nodes)
    return (
        node_values.at[rows, to].set(mean, mode="drop"),
        node_visits.at[rows, to].add(1, mode="drop"),
        edge_values.at[rows, to, slot].set(child_value, mode="drop"),
        edge_visits.at[rows, to, slot].add(1, mode="drop"),
        value,
        jnp.where(active, parent, mctx.Tree.ROOT_INDEX),
    )

  carry = (
      tree.node_values,
      tree.node_visits,
      tree.children_values,
      tree.children_visits,
      tree.node_values[rows, leaf],
      leaf,
  )
  carry = jax.lax.while_loop(is_below_root, up, carry)
  node_values, node_visits, edge_values, edge_visits, _, _ = carry
  return tree.replace(
      node_values=node_values,
      node_visits=node_visits,
      children_values=edge_values,
      children_visits=edge_visits,
  )
