"""Connect four, in the view of whoever is to move.

A position is two sets of stones, a byte for each row and a bit for each column,
so that a line of four is found by shifting rows against each other and a node of
a search keeps twelve bytes of stones. The rules and what is seen are those of pgx
(Koyamada et al. 2023, https://arxiv.org/abs/2303.17503), to which a test holds
them.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

ROWS, COLUMNS = 6, 7


class ConnectFourState(NamedTuple):
  """A position; row 0 is the top, bit 0 of a row its leftmost column.

  Attributes:
    own: stones of the player to move, uint8 `[6]`.
    other: stones of the other player, uint8 `[6]`.
    player: whose turn it is, 0 or 1, int32 `[]`.
    reward: what the last move gave to who made it, float32 `[]`.
    over: the game has ended, bool `[]`.
  """

  own: jax.Array
  other: jax.Array
  player: jax.Array
  reward: jax.Array
  over: jax.Array


class ConnectFour:
  """A two-player game; see `base.Environment`.

  Every action of a finished state is called valid, so that a policy over it can
  be normalised; `step` then changes nothing and gives 0. A stone for a full
  column ends the game and costs the player who had it 1.
  """

  @property
  def num_players(self) -> int:
    """Two, who alternate."""
    return 2

  @property
  def num_actions(self) -> int:
    """A, the columns from left to right."""
    return COLUMNS

  @property
  def observation_shape(self) -> tuple[int, ...]:
    """Height, width, planes (own, other)."""
    return (ROWS, COLUMNS, 2)

  def init(self, rng_key: jax.Array) -> ConnectFourState:
    """The empty board; the key decides who is called player 0."""
    return ConnectFourState(
        own=jnp.zeros(ROWS, jnp.uint8),
        other=jnp.zeros(ROWS, jnp.uint8),
        player=jax.random.bernoulli(rng_key).astype(jnp.int32),
        reward=jnp.float32(0.0),
        over=jnp.bool_(False),
    )

  def step(
      self, state: ConnectFourState, action: jax.Array
  ) -> ConnectFourState:
    """Drops a stone into column `action`, an int32 `[]`."""
    column = jnp.uint8(1) << action.astype(jnp.uint8)
    taken = ((state.own | state.other) & column) != 0
    lands = jnp.arange(ROWS) == ROWS - 1 - jnp.sum(taken)
    own = state.own | jnp.where(lands, column, jnp.uint8(0))
    is_full, wins = taken[0], has_line(own)
    reward = jnp.where(is_full, -1.0, jnp.where(wins, 1.0, 0.0))
    no_room_left = (own[0] | state.other[0]) == 2**COLUMNS - 1
    after = ConnectFourState(
        own=state.other,
        other=own,
        player=1 - state.player,
        reward=reward,
        over=is_full | wins | no_room_left,
    )
    stays = state._replace(reward=jnp.zeros_like(state.reward))
    return jax.tree.map(functools.partial(jnp.where, state.over), stays, after)

  def observation(self, state: ConnectFourState) -> jax.Array:
    """The current player's view, bool `[6, 7, 2]`."""
    stones = jnp.stack([state.own, state.other], axis=-1)[:, None]  # [6, 1, 2]
    columns = jnp.arange(COLUMNS, dtype=jnp.uint8)[:, None]
    return ((stones >> columns) & 1).astype(bool)

  def invalid(self, state: ConnectFourState) -> jax.Array:
    """Bool `[7]`, True = may not be chosen; all False once it is over."""
    top = (state.own | state.other)[0] >> jnp.arange(COLUMNS, dtype=jnp.uint8)
    return ((top & 1) != 0) & ~state.over

  def reward(self, state: ConnectFourState) -> jax.Array:
    """Float32 `[]`: what the last step gave to the player who made it."""
    return state.reward

  def terminated(self, state: ConnectFourState) -> jax.Array:
    """Bool `[]`: the game is over."""
    return state.over

  def current_player(self, state: ConnectFourState) -> jax.Array:
    """Int32 `[]`: whose turn it is, 0 or 1."""
    return state.player


def has_line(stones: jax.Array) -> jax.Array:
  """Whether four of the stones, uint8 `[6]`, stand in a line; bool `[]`."""
  rows, starts = [stones[i : ROWS - 3 + i] for i in range(4)], stones
  across = starts & starts >> 1 & starts >> 2 & starts >> 3
  upright = rows[0] & rows[1] & rows[2] & rows[3]
  falling = rows[0] & rows[1] >> 1 & rows[2] >> 2 & rows[3] >> 3
  rising = rows[0] & rows[1] << 1 & rows[2] << 2 & rows[3] << 3
  return jnp.any(across != 0) | jnp.any((upright | falling | rising) != 0)
