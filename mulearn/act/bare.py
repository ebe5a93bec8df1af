"""Acting without a search: as the networks say, or one move ahead of it.

Here the baselines play. What they do is told as a `Plan`, so that lanes, replay
and examinations do not ask whether anybody has searched.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mulearn.model.base import Model, mask_logits
from mulearn.search import recurrent
from mulearn.types import Array, Node, Plan

# Rng_key, node, deterministic, epsilon -> Plan.
Rule = Callable[[Array, Node, bool, float], Plan]


def sample(
    rng_key: Array, node: Node, deterministic: bool, epsilon: float
) -> Plan:
  """Draws from the policy head; its mode where it is deterministic.

  Args:
    rng_key: consumed.
    node: of real positions `[B]`, K = A.
    deterministic: play the mode.
    epsilon: not asked for; the policy explores by itself.

  Returns:
    The `Plan`, with no tree.
  """
  del epsilon
  logits = mask_logits(node.prior_logits, node.invalid)
  drawn = jax.random.categorical(rng_key, logits)
  action = jnp.argmax(logits, axis=-1) if deterministic else drawn
  return _plan(action, jax.nn.softmax(logits), node.value)


def epsilon_greedy(
    rng_key: Array, node: Node, deterministic: bool, epsilon: float
) -> Plan:
  """The best of Q, and at times any move: from lane to lane less often.

  Lane `i` of `B` strays with the chance `epsilon ^ (1 + 7 i / (B - 1))`, so
  that there are always bold and careful ones and nothing has a schedule. Horgan
  et al. 2018, "Distributed prioritized experience replay", section 4.1,
  https://arxiv.org/abs/1803.00933.

  Args:
    rng_key: consumed.
    node: of real positions `[B]`, whose logits are Q-values, K = A.
    deterministic: never stray.
    epsilon: of the boldest lane.

  Returns:
    The `Plan`, with no tree; its value is the greatest Q.
  """
  q_values = jnp.where(node.invalid, -jnp.inf, node.prior_logits)
  num_lanes, num_actions = q_values.shape
  greedy = jax.nn.one_hot(jnp.argmax(q_values, axis=-1), num_actions)
  stray = epsilon ** (1.0 + 7.0 * jnp.linspace(0.0, 1.0, num_lanes))
  stray = jnp.zeros(num_lanes) if deterministic else stray
  anything = jnp.where(node.invalid, 0.0, 1.0)
  anything /= jnp.sum(anything, axis=-1, keepdims=True)
  policy = (1.0 - stray[:, None]) * greedy + stray[:, None] * anything
  action = jax.random.categorical(rng_key, jnp.log(policy))
  return _plan(action, policy, jnp.max(q_values, axis=-1))


def _plan(action: Array, policy: Array, value: Array) -> Plan:
  action = action.astype(jnp.int32)
  return Plan(action, action, policy, jnp.zeros_like(policy), value, tree=None)


def look_ahead(model: Model, rng_key: Array, root: Node) -> Array:
  """What each slot is worth by the model, one imagined move deep.

  With `s'` the node that the model makes of `s` and `a`,

    Q(s, a) = R(s') + g(s') V(s')

  Args:
    model: see `model.base.Model`.
    rng_key: consumed.
    root: of real positions `[B]`.

  Returns:
    Values `[B, K]`; those of invalid slots mean nothing.
  """

  def worth(slot: Array) -> Array:
    slots = jnp.full(root.value.shape, slot)
    action = recurrent.select_action(root.actions, slots)
    node = model.step(rng_key, root.state, action)
    return node.reward + node.discount * node.value

  slots = jnp.arange(root.invalid.shape[-1])
  return jax.vmap(worth, out_axes=-1)(slots)


# How each baseline of `config.model.kind` plays.
RULES: dict[str, Rule] = {
    "ppo": sample,
    "a2c": sample,
    "trpo": sample,
    "dqn": epsilon_greedy,
}
