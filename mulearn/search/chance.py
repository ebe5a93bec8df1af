"""Choosing below the root where some nodes are chance's.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1: at an afterstate the outcome
is taken whose visits are furthest behind its odds, so that the mean over visits is
an expectation. It needs no luck: no outcome is ever a whole visit behind (it is how
d'Hondt shares out seats).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import mctx

from mulearn.types import Array

# (rng_key, tree of one root, node, depth) -> a slot.
SelectFn = Callable[..., Array]


def let_chance_choose(select: SelectFn) -> SelectFn:
  """The same choice, but by the odds where it is chance's turn.

  Args:
    select: at decisions.

  Returns:
    A choice for models whose states are `model.chance.ChanceState`.
  """

  def select_either(
      rng_key: Array, tree: mctx.Tree, node: Array, depth: Array
  ) -> Array:
    state, _ = tree.embeddings
    odds = jax.nn.softmax(tree.children_prior_logits[node])
    behind = odds / (tree.children_visits[node] + 1)
    return jnp.where(
        state.is_chance[node],
        jnp.argmax(behind).astype(jnp.int32),
        select(rng_key, tree, node, depth),
    )

  return select_either
