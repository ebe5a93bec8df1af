r"""The policy that PUCT's visits stand for, solved exactly.

Grill et al. 2020, "Monte-Carlo tree search as regularized policy optimization",
https://arxiv.org/abs/2007.12509: after N visits PUCT's empirical visits
`(1 + n(a)) / (A + N)` follow

  pi_bar = argmax_y  q . y - lambda_N KL(prior, y),
  lambda_N = c sqrt(N) / (A + N),

of which `solve` finds the solution `lambda_N prior / (alpha - q)` without waiting
for visits to be many. It serves to choose within the tree, to act, and as the
target of learning.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mctx

from mulearn.types import Array

# Enough for float32: the bounds on alpha are at most lambda apart.
_NUM_HALVINGS = 30
_ROOT = mctx.Tree.ROOT_INDEX


def multiplier(num_visits: Array, num_actions: int, c: float = 1.25) -> Array:
  """Weight of the prior after so many visits, lambda_N; the same shape."""
  return c * jnp.sqrt(num_visits) / (num_visits + num_actions)


def empirical(visits: Array) -> Array:
  """The policy of visit counts `[..., A]`, `(1 + n) / (A + N)`."""
  return (1.0 + visits) / jnp.sum(1.0 + visits, axis=-1, keepdims=True)


def solve(q_values: Array, prior: Array, weight: Array) -> Array:
  """The best policy under a penalty for leaving the prior.

  `pi_bar = weight prior / (alpha - q)`. It sums to 1 for one alpha, which lies
  between `max(q + weight prior)`, where one term alone is 1, and
  `max(q) + weight`, where no term is more than the prior's; it is found by
  halving that interval.

  Args:
    q_values: of each action, `[..., A]`.
    prior: probabilities, 0 where an action may not be chosen, `[..., A]`.
    weight: of the penalty, lambda, more than 0, `[...]`.

  Returns:
    Probabilities `[..., A]`.
  """
  weight = weight[..., None]
  allowed = prior > 0.0
  best = jnp.max(jnp.where(allowed, q_values, -jnp.inf), axis=-1, keepdims=True)
  # Beside the best: near it float32 has more digits.
  lead = jnp.where(allowed, q_values - best, 0.0)
  share = jnp.where(allowed, weight * prior, 0.0)
  low = jnp.max(lead + share, axis=-1, keepdims=True)

  def policy(alpha: Array) -> Array:
    return jnp.where(allowed, share / jnp.maximum(alpha - lead, 1e-30), 0.0)

  def halve(_, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
    low, high = bounds
    middle = 0.5 * (low + high)
    is_low = jnp.sum(policy(middle), axis=-1, keepdims=True) > 1.0
    return jnp.where(is_low, middle, low), jnp.where(is_low, high, middle)

  low, high = jax.lax.fori_loop(0, _NUM_HALVINGS, halve, (low, weight))
  found = policy(0.5 * (low + high))
  return found / jnp.sum(found, axis=-1, keepdims=True)


def policy_at(
    tree: mctx.Tree,
    node: Array | int,
    *,
    c: float = 1.25,
    qtransform: Callable[..., Array] = mctx.qtransform_by_parent_and_siblings,
) -> Array:
  """The policy of a node of one tree, as its values are by now.

  Args:
    tree: of one root.
    node: its index, `[]`.
    c: PUCT's constant.
    qtransform: gives each slot a Q-value, tried or not.

  Returns:
    Probabilities `[K]`; 0 for the invalid slots of the root.
  """
  prior = jax.nn.softmax(tree.children_prior_logits[node])
  is_root = node == _ROOT
  prior = jnp.where(
      is_root & tree.root_invalid_actions.astype(bool), 0.0, prior
  )
  # Before the first visit there is nothing to weigh: as after one.
  num_visits = jnp.maximum(jnp.sum(tree.children_visits[node]), 1)
  weight = multiplier(num_visits, prior.size, c)
  return solve(qtransform(tree, node), prior, weight)


def root_policies(tree: mctx.Tree, **how: Any) -> Array:
  """`policy_at` the roots of a batch of trees, `[B, K]`."""
  return jax.vmap(lambda one: policy_at(one, _ROOT, **how))(tree)


def select(
    rng_key: Array, tree: mctx.Tree, node: Array, *depth: Array
) -> Array:
  """Draws a slot of one tree's node from its policy, `[]`."""
  del depth
  policy = policy_at(tree, node)
  return jax.random.categorical(rng_key, jnp.log(policy)).astype(jnp.int32)
