"""Bandits on the seam: one move, of which everything is known.

What a search makes of a policy can be computed here to the last digit, so that
published figures of search alone can be met without learning anything.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.types import Array, Node

_OVER = -1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bandit:
  """A `model.base.Model` of G bandits; K = A, an observation is a row.

  Attributes:
    rewards: of each arm, `[G, A]`; the game is over after one.
    logits: of the policy, `[G, A]`.
  """

  rewards: Array
  logits: Array

  def root(
      self, rng_key: Array, observation: Array, prior_logits: Array
  ) -> Node:
    """The bandits of rows `[B]`, each with the exact value of its policy."""
    del rng_key  # Nothing is sampled.
    logits = self.logits[observation] + prior_logits
    policy = jax.nn.softmax(logits)
    value = jnp.sum(policy * self.rewards[observation], axis=-1)
    zeros = jnp.zeros_like(value)
    return self._node(observation, logits, value, zeros, zeros + 1.0)

  def step(self, rng_key: Array, state: Array, action: Array) -> Node:
    """Pulls arms `[B]`; see `model.base.Model`."""
    del rng_key  # Nothing is sampled.
    reward = jnp.where(state == _OVER, 0.0, self.rewards[state, action])
    zeros = jnp.zeros_like(reward)
    over = jnp.full_like(state, _OVER)
    return self._node(over, self.logits[state], zeros, reward, zeros)

  def _node(
      self,
      row: Array,
      logits: Array,
      value: Array,
      reward: Array,
      discount: Array,
  ) -> Node:
    return Node(
        state=row,
        actions=None,
        prior_logits=logits,
        invalid=jnp.zeros(logits.shape, bool),
        value=value,
        reward=reward,
        discount=discount,
    )
