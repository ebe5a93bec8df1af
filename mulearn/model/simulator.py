"""AlphaZero on the seam: the rules move, a network judges.

Silver et al. 2018, "A general reinforcement learning algorithm that masters
chess, shogi, and Go through self-play", https://doi.org/10.1126/science.aar6404.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mulearn.env.base import Environment
from mulearn.model.board_networks import Predictor
from mulearn.model.every_way import EveryWay
from mulearn.model.support import Support
from mulearn.types import Array, Node


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SimulatorModel:
  """A `model.base.Model` whose states are those of the environment; K = A.

  Attributes:
    networks: the parameters, or something that judges with them.
    environment: the rules.
    support: of the categorical value.
    discount: of one move, before the sign of the turn.
  """

  networks: Predictor | EveryWay
  environment: Environment = dataclasses.field(metadata={"static": True})
  support: Support = dataclasses.field(metadata={"static": True})
  discount: float = dataclasses.field(metadata={"static": True})

  def root(self, rng_key: Array, observation: Any, prior_logits: Array) -> Node:
    """The node of environment states `[B]`; see `model.base.Model`."""
    del rng_key  # Nothing is sampled.
    batch = prior_logits.shape[0]
    discount = jnp.ones(batch, prior_logits.dtype)
    return self._node(
        observation, prior_logits, jnp.zeros_like(discount), discount
    )

  def step(self, rng_key: Array, state: Any, action: Array) -> Node:
    """Plays `action` `[B]` by the rules; see `model.base.Model`."""
    del rng_key  # The rules of a board know no chance.
    game = self.environment
    mover = jax.vmap(game.current_player)(state)
    state = jax.vmap(game.step)(state, action)
    reward = jax.vmap(game.reward)(state)
    over = jax.vmap(game.terminated)(state)
    turned = jax.vmap(game.current_player)(state) != mover
    discount = self.discount * jnp.where(turned, -1.0, 1.0)
    return self._node(state, 0.0, reward, jnp.where(over, 0.0, discount))

  def _node(
      self,
      state: Any,
      prior_logits: Array | float,
      reward: Array,
      discount: Array,
  ) -> Node:
    planes = jax.vmap(self.environment.observation)(state)
    invalid = jax.vmap(self.environment.invalid)(state)
    over = jax.vmap(self.environment.terminated)(state)
    policy, value = self.networks.predict(self.networks.represent(planes))
    return Node(
        state=state,
        actions=None,
        prior_logits=policy + prior_logits,
        invalid=invalid,
        value=jnp.where(over, 0.0, self.support.to_scalar(value)),
        reward=reward,
        discount=discount,
    )
