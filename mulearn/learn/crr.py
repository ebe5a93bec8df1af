"""CRR: from a fixed data set, the moves that were better than the policy.

A move that was played is imitated by how much better it was than what the
policy would have done. Wang et al. 2020, "Critic regularized regression",
https://arxiv.org/abs/2006.15134. The critic is the learned model: what it says
of each move after one imagined step, as in Schrittwieser et al. 2021, "Online
and offline reinforcement learning by planning with a learned model",
https://arxiv.org/abs/2104.06294.
"""

import jax
import jax.numpy as jnp

from mulearn.act import bare
from mulearn.model.base import Model, mask_logits
from mulearn.types import Array, Node

_MOST = 20.0  # That an exponential weight may be, as in the paper.


def weight(advantage: Array, scale: float) -> Array:
  """What an imitated move counts for, `f` of the paper.

  Args:
    advantage: of the move over the policy, any shape.
    scale: beta of `min(exp(advantage / beta), 20)`; 0 for the binary rule, 1
      where the advantage is above 0 and 0 elsewhere.

  Returns:
    Weights, in the shape of the advantage.
  """
  if not scale:
    return jnp.where(advantage > 0.0, 1.0, 0.0)
  return jnp.minimum(jnp.exp(advantage / scale), _MOST)


def teach(
    model: Model, rng_key: Array, root: Node, action: Array, *, scale: float
) -> dict[str, Array]:
  """What stored moves are taught, by the networks of the model.

  With `Q` of `bare.look_ahead`, `f` of `weight`, and `pi` the policy head,

    V(s) = sum_a pi(a | s) Q(s, a),   target(a | s) = f(Q(s, a) - V(s)) [a played]

  The paper draws actions for `V`; here all of them are counted. The loss is the
  cross-entropy to the target, whose mass is not 1: `-f log pi(a | s)`.

  Args:
    model: of the target network.
    rng_key: consumed.
    root: the nodes of real positions `[M]`, K = A.
    action: that was played there, `[M]`.
    scale: of `weight`.

  Returns:
    `policy` `[M, A]` and `value` `[M]`, as fields of a `Trajectory`.
  """
  q_values = bare.look_ahead(model, rng_key, root)
  chances = jax.nn.softmax(mask_logits(root.prior_logits, root.invalid))
  value = jnp.sum(jnp.where(root.invalid, 0.0, chances * q_values), axis=-1)
  played = jax.nn.one_hot(action, q_values.shape[-1])
  advantage = jnp.sum(played * q_values, axis=-1) - value
  return {"policy": weight(advantage, scale)[:, None] * played, "value": value}
