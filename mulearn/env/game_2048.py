"""2048, the game of pgx, for one player against chance.

Koyamada et al. 2023, "Pgx", https://arxiv.org/abs/2303.17503. Pushing all tiles
to one side merges equal ones, which earns the tile that they become; then chance
puts a 2 (or, in one case of ten, a 4) on an empty square. A game is over when no
push changes anything.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pgx
from pgx import play2048

_NUM_TILES = 16  # Empty, 2, 4, ..., 32,768.


class State2048(NamedTuple):
  """A state of `Game2048`.

  Attributes:
    game: the state as pgx has it.
    chance: data of the key that the next tile is drawn from, uint32 `[2]`.
  """

  game: pgx.State
  chance: jax.Array


class Game2048:
  """2048 on 4 x 4 squares; see `base.Environment`.

  Actions push left, up, right, down. A reward is the sum of the tiles that a
  push made; an invalid push ends the game and costs 1, as in all of pgx.
  """

  num_players = 1
  num_actions = 4
  observation_shape = (4, 4, _NUM_TILES)

  def __init__(self):
    self._game = play2048.Play2048()

  def init(self, rng_key: jax.Array) -> State2048:
    """A board with two tiles; consumes the key."""
    start_key, chance_key = jax.random.split(rng_key)
    game = self._game.init(start_key)
    return State2048(game, jax.random.key_data(chance_key))

  def step(self, state: State2048, action: jax.Array) -> State2048:
    """Pushes, and lets chance add a tile."""
    tile_key, chance_key = jax.random.split(
        jax.random.wrap_key_data(state.chance)
    )
    game = self._game.step(state.game, action, tile_key)
    return State2048(game, jax.random.key_data(chance_key))

  def observation(self, state: State2048) -> jax.Array:
    """A plane for each tile, the first for empty squares, bool `[4, 4, 16]`."""
    # pgx has planes for tiles that no game will ever see.
    return state.game.observation[..., :_NUM_TILES]

  def invalid(self, state: State2048) -> jax.Array:
    """Bool `[4]`: nothing would move; all False once the game is over."""
    return ~state.game.legal_action_mask

  def reward(self, state: State2048) -> jax.Array:
    """Float32 `[]`: the tiles that the last push made, summed."""
    return state.game.rewards[0]

  def terminated(self, state: State2048) -> jax.Array:
    """Bool `[]`: no push changes anything."""
    return state.game.terminated

  def current_player(self, state: State2048) -> jax.Array:
    """Int32 `[]`: 0."""
    del state
    return jnp.int32(0)
