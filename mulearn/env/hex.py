"""Hex of any size from 3 to 11, in the view of whoever is to move.

Two players place stones in turn on a rhombus of hexagons; who first connects
their own two opposite sides has won, and there are no draws (Nash; Gale 1979,
"The game of Hex and the Brouwer fixed-point theorem",
https://doi.org/10.2307/2320146). The first player connects top to bottom, the
second left to right. There is no swap rule, so on an empty board the first
player wins; play from random openings to make it a contest.

Mirrored at its diagonal, a board is the same game with the players' sides
exchanged. So the board is turned at every move, and the player to move always
connects top to bottom, in the observation and in the actions alike: networks
learn one game, not two. Action `size * row + column` of the second player is the
cell `size * column + row` of the board on the table; `cell` tells.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SIZES = range(3, 12)
_NEIGHBOURS = ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0))


class HexState(NamedTuple):
  """A position.

  Attributes:
    board: as the player to move sees it, int8 `[size, size]`: 0 is empty, a
      positive number a stone of their own, a negative one of the other player.
      Connected stones share a number, that of the newest of them.
    num_stones: on the board, int32 `[]`.
    player: whose turn it is, 0 or 1, int32 `[]`.
    reward: what the last move gave to who made it, float32 `[]`.
    over: the game has ended, bool `[]`.
  """

  board: jax.Array
  num_stones: jax.Array
  player: jax.Array
  reward: jax.Array
  over: jax.Array


@functools.cache
def neighbours(size: int) -> np.ndarray:
  """The six neighbours of each cell, `size**2` where there is none, `[C, 6]`."""
  rows, columns = np.divmod(np.arange(size * size), size)
  cells = []
  for down, right in _NEIGHBOURS:
    row, column = rows + down, columns + right
    on_board = (0 <= row) & (row < size) & (0 <= column) & (column < size)
    cells.append(np.where(on_board, row * size + column, size * size))
  return np.stack(cells, axis=1)


@dataclasses.dataclass(frozen=True)
class Hex:
  """A two-player game; see `base.Environment`.

  Every action of a finished state is called valid, so that a policy over it can
  be normalised; `step` then changes nothing and gives 0. A stone on a taken
  cell ends the game and costs the player who placed it 1.

  Attributes:
    size: rows and columns of the board, 3 to 11.
  """

  size: int

  def __post_init__(self):
    if self.size not in SIZES:
      raise ValueError(
          f"size is {self.size!r}; Hex is played here on boards of"
          f" {SIZES[0]} to {SIZES[-1]} rows."
      )

  @property
  def num_players(self) -> int:
    """Two, who alternate."""
    return 2

  @property
  def num_actions(self) -> int:
    """A, the cells, row by row as the player to move sees them."""
    return self.size**2

  @property
  def observation_shape(self) -> tuple[int, ...]:
    """Height, width, planes (own, other)."""
    return (self.size, self.size, 2)

  def init(self, rng_key: jax.Array) -> HexState:
    """The empty board; the key decides who is called player 0."""
    return HexState(
        board=jnp.zeros((self.size, self.size), jnp.int8),
        num_stones=jnp.int32(0),
        player=jax.random.bernoulli(rng_key).astype(jnp.int32),
        reward=jnp.float32(0.0),
        over=jnp.bool_(False),
    )

  def step(self, state: HexState, action: jax.Array) -> HexState:
    """Places a stone at `action`, an int32 `[]`, for the player to move."""
    board = state.board.ravel()
    stone = (state.num_stones + 1).astype(jnp.int8)
    is_taken = board[action] != 0
    near = jnp.append(board, jnp.int8(0))[
        jnp.asarray(neighbours(self.size))[action]
    ]
    joined = (board[:, None] == near) & (near > 0)  # [C, 6]
    joined = joined.any(axis=1) | (jnp.arange(board.size) == action)
    board = jnp.where(joined, stone, board).reshape(self.size, self.size)
    wins = (board[0] == stone).any() & (board[-1] == stone).any()
    reward = jnp.where(is_taken, -1.0, jnp.where(wins, 1.0, 0.0))
    after = HexState(
        board=-board.T,
        num_stones=state.num_stones + 1,
        player=1 - state.player,
        reward=reward,
        over=is_taken | wins,
    )
    stays = state._replace(reward=jnp.zeros_like(state.reward))
    return jax.tree.map(
        lambda old, new: jnp.where(state.over, old, new), stays, after
    )

  def observation(self, state: HexState) -> jax.Array:
    """The current player's view, bool `observation_shape`."""
    return jnp.stack([state.board > 0, state.board < 0], axis=-1)

  def invalid(self, state: HexState) -> jax.Array:
    """Bool `[A]`, True = may not be chosen; all False once it is over."""
    return (state.board.ravel() != 0) & ~state.over

  def reward(self, state: HexState) -> jax.Array:
    """Float32 `[]`: what the last step gave to the player who made it."""
    return state.reward

  def terminated(self, state: HexState) -> jax.Array:
    """Bool `[]`: the game is over."""
    return state.over

  def current_player(self, state: HexState) -> jax.Array:
    """Int32 `[]`: whose turn it is, 0 or 1."""
    return state.player

  def cell(self, state: HexState, action: jax.Array) -> jax.Array:
    """The cell of the board on the table that `action` `[...]` means."""
    row, column = jnp.divmod(action, self.size)
    turned = column * self.size + row
    return jnp.where(state.num_stones % 2 == 0, action, turned)
