"""A dice game for one, small enough for an exact expectimax.

There is a pot, and a number of turns. In each turn the player banks the pot, or
rolls one of two dice into it; one face of the safe die and three of the wild one
empty the pot instead. What is not in the bank at the end is lost. It is Pig with
a clock (Neller and Presser 2004, "Optimal play of the dice game Pig").
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

BANK, SAFE, WILD = range(3)
_POINTS = 20.0  # In the bank are worth 1.
_EMPTIES = 0
# What each face adds to the pot, by action; banking has one outcome.
_FACES = np.array(
    [[1, 1, 1, 1, 1, 1], [_EMPTIES, 1, 2, 2, 3, 3], [_EMPTIES] * 3 + [5, 6, 8]]
)
_ODDS = np.array([[1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])


class DiceState(NamedTuple):
  """Before a decision, or after it and before the die has come to rest.

  Attributes:
    pot: points that are not in the bank, int32 `[]`.
    turns: decisions left, int32 `[]`.
    action: the decision that chance is to answer, int32 `[]`.
    reward: what the last step brought, float32 `[]`.
  """

  pot: jax.Array
  turns: jax.Array
  action: jax.Array
  reward: jax.Array


class Dice:
  """See `base.ChanceEnvironment`.

  Attributes:
    num_turns: decisions of a game.
  """

  num_actions = 3
  num_outcomes = 6

  def __init__(self, num_turns: int):
    self.num_turns = num_turns

  @property
  def observation_shape(self) -> tuple[int]:
    """Turns left from 0, then points in the pot from 0, one-hot."""
    return (self.num_turns + 1 + self.num_turns * int(_FACES.max()) + 1,)

  def init(self, rng_key: jax.Array) -> DiceState:
    """An empty pot, always."""
    del rng_key  # Chance comes later.
    return self.position(0, self.num_turns)

  def position(self, pot: int, turns: int) -> DiceState:
    """The decision with so much in the pot and so many turns left."""
    return DiceState(
        jnp.int32(pot), jnp.int32(turns), jnp.int32(0), jnp.float32(0.0)
    )

  def reachable(self) -> list[tuple[int, int]]:
    """Every `position` of play in which there is a decision, the first first."""
    found, pots = [], {0}
    for turns in range(self.num_turns, 0, -1):
      found += [(pot, turns) for pot in sorted(pots)]
      faces = {int(face) for face in _FACES[SAFE:].ravel()}
      rolled = {pot + face for pot in pots for face in faces - {_EMPTIES}}
      # Whoever rolls has a new pot; whoever banks, or loses it, none.
      pots = rolled | {0}
    return found

  def observation(self, state: DiceState) -> jax.Array:
    """What the player sees, bool `observation_shape`."""
    turns = jnp.arange(self.num_turns + 1) == state.turns
    pots = jnp.arange(self.observation_shape[0] - turns.size) == state.pot
    return jnp.concatenate([turns, pots])

  def after(self, state: DiceState, action: jax.Array) -> DiceState:
    """Remembers the decision; nothing is paid before chance has spoken."""
    return state._replace(
        action=action.astype(jnp.int32), reward=jnp.zeros_like(state.reward)
    )

  def outcome_logits(self, after: DiceState) -> jax.Array:
    """Log-odds of the six faces, -inf where there is no such outcome, `[C]`."""
    return jnp.log(jnp.asarray(_ODDS, jnp.float32))[after.action]

  def settle(self, after: DiceState, outcome: jax.Array) -> DiceState:
    """The next decision, once chance has chosen an outcome."""
    face = jnp.asarray(_FACES)[after.action, outcome]
    banks = after.action == BANK
    stays = banks | (face != _EMPTIES)
    pot = jnp.where(stays & ~banks, after.pot + face, 0)
    reward = jnp.where(banks, after.pot / _POINTS, 0.0)
    goes_on = after.turns > 0
    return after._replace(
        pot=jnp.where(goes_on, pot, after.pot).astype(jnp.int32),
        turns=jnp.maximum(after.turns - 1, 0),
        reward=jnp.where(goes_on, reward, 0.0).astype(jnp.float32),
    )

  def invalid(self, state: DiceState) -> jax.Array:
    """Bool `[A]`: nothing is ever forbidden."""
    return jnp.zeros(self.num_actions, bool)

  def reward(self, state: DiceState) -> jax.Array:
    """Float32 `[]`: what the last step brought."""
    return state.reward

  def terminated(self, state: DiceState) -> jax.Array:
    """Bool `[]`: no turn is left."""
    return state.turns == 0

  def guess(self, state: DiceState) -> jax.Array:
    """Float32 `[]`: what is had for certain, by banking at once."""
    return jnp.where(state.turns > 0, state.pot / _POINTS, 0.0)
