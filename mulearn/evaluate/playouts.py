"""Plain Monte Carlo on the seam: the rules move, random playouts judge.

Kocsis and Szepesvari 2006, "Bandit based Monte-Carlo planning",
https://doi.org/10.1007/11871842_29. It knows the rules and has learnt nothing:
what a trained agent adds to search is what it adds to this.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mulearn.env.base import Environment
from mulearn.types import Array, Node, PyTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PlayoutModel:
  """A `model.base.Model` whose values are those of random games; K = A.

  Attributes:
    environment: the rules.
  """

  environment: Environment = dataclasses.field(metadata={"static": True})

  def root(self, rng_key: Array, observation: Any, prior_logits: Array) -> Node:
    """The node of environment states `[B]`; see `model.base.Model`."""
    zeros = jnp.zeros(prior_logits.shape[0])
    return self._node(rng_key, observation, prior_logits, zeros, zeros + 1.0)

  def step(self, rng_key: Array, state: Any, action: Array) -> Node:
    """Plays `action` `[B]` by the rules; see `model.base.Model`."""
    game = self.environment
    mover = jax.vmap(game.current_player)(state)
    state = jax.vmap(game.step)(state, action)
    over = jax.vmap(game.terminated)(state)
    turned = jax.vmap(game.current_player)(state) != mover
    discount = jnp.where(over, 0.0, jnp.where(turned, -1.0, 1.0))
    reward = jax.vmap(game.reward)(state)
    return self._node(rng_key, state, 0.0, reward, discount)

  def _node(
      self,
      rng_key: Array,
      state: Any,
      prior_logits: Array | float,
      reward: Array,
      discount: Array,
  ) -> Node:
    invalid = jax.vmap(self.environment.invalid)(state)
    return Node(
        state=state,
        actions=None,
        prior_logits=jnp.zeros(invalid.shape) + prior_logits,
        invalid=invalid,
        value=playout(self.environment, rng_key, state),
        reward=reward,
        discount=discount,
    )


def playout(environment: Environment, rng_key: Array, states: PyTree) -> Array:
  """Plays one random game from each state to its end.

  Args:
    environment: the rules.
    rng_key: consumed.
    states: `[B, ...]`.

  Returns:
    What each game gave to the player to move at its start, `[B]`; 0 where it
    was over.
  """
  player = jax.vmap(environment.current_player)
  terminated = jax.vmap(environment.terminated)
  starter = player(states)

  def goes_on(carry):
    return ~jnp.all(terminated(carry[1]))

  def move(carry):
    rng_key, states, total = carry
    rng_key, move_key = jax.random.split(rng_key)
    invalid = jax.vmap(environment.invalid)(states)
    action = jax.random.categorical(move_key, jnp.where(invalid, -jnp.inf, 0.0))
    sign = jnp.where(player(states) == starter, 1.0, -1.0)
    states = jax.vmap(environment.step)(states, action)
    return rng_key, states, total + sign * jax.vmap(environment.reward)(states)

  start = (rng_key, states, jnp.zeros(starter.shape))
  return jax.lax.while_loop(goes_on, move, start)[2]
