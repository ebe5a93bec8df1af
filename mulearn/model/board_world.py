"""MuZero on the seam: a learned world of a game on the device.

Schrittwieser et al. 2020, "Mastering Atari, Go, chess and shogi by planning
with a learned model", https://arxiv.org/abs/1911.08265. Which moves are legal is
known at the root alone; below it a head's guess is a factor of the policy, so
that search spends little on moves that cannot be made.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mulearn.model.board_networks import Imaginer
from mulearn.model.every_way import EveryWay
from mulearn.model.support import Support
from mulearn.types import Array, Node, PyTree


class BoardObservation(NamedTuple):
  """What is known of a real position.

  Attributes:
    planes: the board as the player to move sees it, `[B, H, W, C]`.
    invalid: True where an action may not be chosen, `[B, A]`.
  """

  planes: Array
  invalid: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BoardWorldModel:
  """A `model.base.Model` over latents; K = A.

  Attributes:
    networks: the parameters, or something that judges with them.
    support: of the categorical value and reward.
    discount: of one move, before the sign of the turn.
    turn: that sign: -1 where two players alternate, 1 where there is one.
  """

  networks: Imaginer | EveryWay
  support: Support = dataclasses.field(metadata={"static": True})
  discount: float = dataclasses.field(metadata={"static": True})
  turn: float = dataclasses.field(default=-1.0, metadata={"static": True})

  def root(
      self, rng_key: Array, observation: BoardObservation, prior_logits: Array
  ) -> Node:
    """The node of real positions `[B]`; see `model.base.Model`."""
    del rng_key  # Nothing is sampled.
    latent = self.networks.represent(observation.planes)
    policy, value = self.networks.predict(latent)
    zeros = jnp.zeros(latent.shape[0], latent.dtype)
    return self._node(
        self.networks.reward.begin(latent),
        policy + prior_logits,
        value,
        observation.invalid,
        reward=zeros,
        discount=zeros + 1.0,
    )

  def step(self, rng_key: Array, state: Array, action: Array) -> Node:
    """Imagines `action` `[B]`; see `model.base.Model`."""
    del rng_key  # Nothing is sampled.
    return self._imagined(*self.networks.dynamics(state, action))

  def _imagined(self, state: PyTree, said: Array, goes_on: Array) -> Node:
    """The node of states `[B, ...]`; see `Imaginer.dynamics`."""
    state, reward = self.networks.reward.settle(
        state, self.support.to_scalar(said)
    )
    latent = self.networks.reward.latent(state)
    policy, value = self.networks.predict(latent)
    legal = jax.nn.log_sigmoid(self.networks.legal_logits(latent))
    return self._node(
        state,
        policy + legal,
        value,
        jnp.zeros(policy.shape, bool),
        reward=reward,
        # The value of the next node may be the opponent's.
        discount=self.turn * self.discount * jax.nn.sigmoid(goes_on),
    )

  def _node(self, state, logits, value, invalid, *, reward, discount) -> Node:
    return Node(
        state=state,
        actions=None,
        prior_logits=logits,
        invalid=invalid,
        value=self.support.to_scalar(value),
        reward=reward,
        discount=discount,
    )
