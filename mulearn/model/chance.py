"""Chance on the seam: every other node is one at which chance chooses.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1. An action leads to an
afterstate, whose slots are outcomes with their odds as the prior; an outcome leads
to the next state, whose slots are actions. Search meets nodes and slots as ever,
and `search.chance` lets chance choose at the afterstates.
"""

import dataclasses
import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from mulearn.env.base import ChanceEnvironment
from mulearn.types import Array, Node, PyTree


class ChanceState(NamedTuple):
  """Where a model with chance stands.

  Attributes:
    is_chance: it is chance's turn, `[B]`.
    inner: a state or an afterstate, of one structure, `[B, ...]`.
  """

  is_chance: Array
  inner: PyTree


class ChanceModel(Protocol):
  """What knows afterstates: by rules, or as networks that learned them."""

  def root(
      self, rng_key: Array, observation: PyTree, prior_logits: Array
  ) -> Node:
    """The node of a real observation; its slots are actions."""

  def after(self, rng_key: Array, state: Any, action: Array) -> Node:
    """The afterstate of `action` `[B]`; its slots are outcomes."""

  def settle(self, rng_key: Array, state: Any, outcome: Array) -> Node:
    """The state that `outcome` `[B]` makes of an afterstate."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Alternating:
  """A `model.base.Model` that alternates between decisions and chance.

  Attributes:
    model: the two steps.
    num_slots: K, at least as many as there are actions and outcomes.
  """

  model: ChanceModel
  num_slots: int = dataclasses.field(metadata={"static": True})

  def root(self, rng_key: Array, observation: Any, prior_logits: Array) -> Node:
    """The node of a decision `[B]`; see `model.base.Model`."""
    node = self.model.root(rng_key, observation, prior_logits)
    return self._node(node, jnp.zeros(node.value.shape, bool))

  def step(self, rng_key: Array, state: ChanceState, action: Array) -> Node:
    """Acts in rows that decide, settles in the others.

    Where all rows are of one kind, the other network is not evaluated.
    """

    def decide() -> Node:
      return self._node(
          self.model.after(rng_key, state.inner, action), ~state.is_chance
      )

    def settle() -> Node:
      return self._node(
          self.model.settle(rng_key, state.inner, action), ~state.is_chance
      )

    def both() -> Node:
      choose = functools.partial(jax.vmap(jax.lax.select), state.is_chance)
      return jax.tree.map(choose, settle(), decide())

    some, every = jnp.any(state.is_chance), jnp.all(state.is_chance)
    return jax.lax.switch(
        some.astype(jnp.int32) + every.astype(jnp.int32), [decide, both, settle]
    )

  def _node(self, node: Node, is_chance: Array) -> Node:
    """With as many slots as all nodes have."""
    empty = self.num_slots - node.prior_logits.shape[1]
    pad = ((0, 0), (0, empty))
    return node._replace(
        state=ChanceState(is_chance, node.state),
        prior_logits=jnp.pad(node.prior_logits, pad),
        invalid=jnp.pad(node.invalid, pad, constant_values=True),
    )


@dataclasses.dataclass(frozen=True)
class ChanceRules:
  """A `ChanceModel` by the rules of the game, with a uniform policy.

  Attributes:
    environment: the rules, which also have a `guess` of a state's value.
    discount: of one action.
  """

  environment: ChanceEnvironment
  discount: float = 1.0

  def root(self, rng_key: Array, observation: Any, prior_logits: Array) -> Node:
    """The node of states `[B]`; see `ChanceModel`."""
    del rng_key  # The odds are known: nothing is sampled.
    ones = jnp.ones(prior_logits.shape[0])
    return self._decision(observation, prior_logits, ones)

  def after(self, rng_key: Array, state: Any, action: Array) -> Node:
    """See `ChanceModel`."""
    del rng_key
    game = self.environment
    value = jax.vmap(game.guess)(state)
    state = jax.vmap(game.after)(state, action)
    logits = jax.vmap(game.outcome_logits)(state)
    zeros = jnp.zeros_like(value)
    return Node(
        state=state,
        actions=None,
        prior_logits=logits,
        invalid=logits == -jnp.inf,
        value=value,
        reward=zeros,
        discount=zeros + 1.0,
    )

  def settle(self, rng_key: Array, state: Any, outcome: Array) -> Node:
    """See `ChanceModel`."""
    del rng_key
    state = jax.vmap(self.environment.settle)(state, outcome)
    over = jax.vmap(self.environment.terminated)(state)
    logits = jnp.zeros((over.shape[0], self.environment.num_actions))
    return self._decision(state, logits, jnp.where(over, 0.0, self.discount))

  def _decision(self, state: Any, logits: Array, discount: Array) -> Node:
    game = self.environment
    return Node(
        state=state,
        actions=None,
        prior_logits=logits,
        invalid=jax.vmap(game.invalid)(state),
        value=jax.vmap(game.guess)(state),
        reward=jax.vmap(game.reward)(state),
        discount=discount,
    )


# A pytree without leaves: the rules are no parameters.
jax.tree_util.register_dataclass(
    ChanceRules, data_fields=[], meta_fields=["environment", "discount"]
)
