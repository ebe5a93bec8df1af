"""Stochastic MuZero on the seam: a learned world in which chance has its turn.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1. `model.chance.Alternating`
makes a model of search of it.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.model.board_world import BoardWorldModel
from mulearn.model.chance_networks import ChanceImaginer, as_code
from mulearn.types import Array, Node


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ChanceWorldModel(BoardWorldModel):
  """A `model.chance.ChanceModel` over latents; outcomes are M codes."""

  networks: ChanceImaginer

  def after(self, rng_key: Array, state: Array, action: Array) -> Node:
    """The afterstate of `action` `[B]`; its value is Q, rewards included."""
    del rng_key  # Nothing is sampled.
    after = self.networks.act(state, action)
    odds, value = self.networks.foresee(after)
    zeros = jnp.zeros(after.shape[0], after.dtype)
    return self._node(
        after,
        odds,
        value,
        jnp.zeros(odds.shape, bool),
        reward=zeros,
        discount=zeros + 1.0,
    )

  def settle(self, rng_key: Array, state: Array, outcome: Array) -> Node:
    """The latent that a code `[B]` makes of an afterstate."""
    del rng_key  # Search chooses the code.
    code = as_code(outcome, self.networks.num_codes)
    return self._imagined(*self.networks.settle(state, code))
