"""A game in which chance draws by itself, made of the rules of its chance."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from mulearn.env.base import ChanceEnvironment


class SeenRules(ChanceEnvironment, Protocol):
  """Rules of chance that also say what a player sees."""

  @property
  def observation_shape(self) -> Sequence[int]:
    """Shape of one observation."""

  def observation(self, state: Any) -> jax.Array:
    """What the player sees, `observation_shape`."""


class ChanceGameState(NamedTuple):
  """A state of a `ChanceGame`.

  Attributes:
    game: before a decision, as the rules have it.
    chance: data of the key that the next outcome is drawn from, uint32 `[2]`.
  """

  game: Any
  chance: jax.Array


class ChanceGame:
  """A game of one player with given rules; see `base.Environment`.

  Attributes:
    rules: what an action, and then chance, makes of a state.
  """

  num_players = 1

  def __init__(self, rules: SeenRules):
    self.rules = rules

  @property
  def num_actions(self) -> int:
    """A, the number of actions."""
    return self.rules.num_actions

  @property
  def observation_shape(self) -> tuple[int, ...]:
    """Shape of one observation."""
    return tuple(self.rules.observation_shape)

  def init(self, rng_key: jax.Array) -> ChanceGameState:
    """Draws an initial state; consumes the key."""
    start_key, chance_key = jax.random.split(rng_key)
    game = self.rules.init(start_key)
    return ChanceGameState(game, jax.random.key_data(chance_key))

  def step(self, state: ChanceGameState, action: jax.Array) -> ChanceGameState:
    """Plays `action`, an int32 `[]`, and lets chance answer."""
    draw_key, chance_key = jax.random.split(
        jax.random.wrap_key_data(state.chance)
    )
    after = self.rules.after(state.game, action)
    outcome = jax.random.categorical(draw_key, self.rules.outcome_logits(after))
    game = self.rules.settle(after, outcome)
    return ChanceGameState(game, jax.random.key_data(chance_key))

  def observation(self, state: ChanceGameState) -> jax.Array:
    """What the player sees, `observation_shape`."""
    return self.rules.observation(state.game)

  def invalid(self, state: ChanceGameState) -> jax.Array:
    """Bool `[A]`, True = may not be chosen."""
    return self.rules.invalid(state.game)

  def reward(self, state: ChanceGameState) -> jax.Array:
    """Float32 `[]`: what the last step gave."""
    return self.rules.reward(state.game)

  def terminated(self, state: ChanceGameState) -> jax.Array:
    """Bool `[]`: the game is over."""
    return self.rules.terminated(state.game)

  def current_player(self, state: ChanceGameState) -> jax.Array:
    """Int32 `[]`: 0."""
    del state
    return jnp.int32(0)
