"""The seam between our nodes and mctx: slots in, nodes out.

mctx searches over slot numbers `0..K-1` and carries one opaque embedding a
node. We keep `(state, actions)` there, so that a slot chosen at a node means
the action which that very node gave it.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import mctx

from mulearn.model.base import Model, mask_logits
from mulearn.types import Array, Node, PyTree


def select_action(actions: PyTree, slot: Array) -> PyTree:
  """What the chosen slots stand for: `[B, K, ...]`, `[B]` -> `[B, ...]`."""
  if actions is None:
    return slot
  rows = jnp.arange(slot.shape[0])
  return jax.tree.map(lambda a: a[rows, slot], actions)


def root_output(node: Node) -> mctx.RootFnOutput:
  """A root for mctx; checks the shapes that the model returned."""
  check_node(node)
  return mctx.RootFnOutput(
      prior_logits=mask_logits(node.prior_logits, node.invalid),
      value=node.value,
      embedding=(node.state, node.actions),
  )


def recurrent_fn(
    model: Model, rng_key: Array, slot: Array, embedding: Any
) -> tuple[mctx.RecurrentFnOutput, Any]:
  """Continues from a node through a slot; mctx's `recurrent_fn`."""
  state, actions = embedding
  node = model.step(rng_key, state, select_action(actions, slot))
  check_node(node)
  output = mctx.RecurrentFnOutput(
      reward=node.reward,
      discount=node.discount,
      prior_logits=mask_logits(node.prior_logits, node.invalid),
      value=node.value,
  )
  return output, (node.state, node.actions)


def check_node(node: Node) -> None:
  """Raises an AssertionError that names the field a model got wrong."""
  chex.assert_rank(
      [node.prior_logits, node.invalid],
      2,
      custom_message="Node.prior_logits and .invalid must be [B, K]",
  )
  chex.assert_equal_shape(
      [node.prior_logits, node.invalid],
      custom_message="Node.prior_logits and .invalid must agree in [B, K]",
  )
  chex.assert_equal_shape_prefix(
      [node.prior_logits, *jax.tree.leaves(node.actions)],
      2,
      custom_message="Node.actions must be [B, K, ...]",
  )
  batch = node.prior_logits.shape[0]
  chex.assert_shape(
      [node.value, node.reward, node.discount],
      (batch,),
      custom_message="Node.value, .reward and .discount must be [B]",
  )
