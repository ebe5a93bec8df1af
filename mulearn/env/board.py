"""Board games behind the device-resident contract, by name.

Hex and connect four are our own (`env.hex`, `env.connect_four`), the others are
those of pgx (Koyamada et al., 2023, https://arxiv.org/abs/2303.17503). It already
writes its games as pure functions; here its state is read through the few
accessors of `base.Environment`, from the view of the player whose turn it is.
"""

from collections.abc import Callable
import functools

import jax
import pgx
from pgx import othello as pgx_othello
from pgx import tic_tac_toe as pgx_tic_tac_toe

from mulearn.env.base import Environment
from mulearn.env.connect_four import ConnectFour
from mulearn.env.hex import SIZES, Hex


class BoardGame:
  """A two-player game of pgx; see `base.Environment`.

  pgx calls every action of a finished state legal, so that a policy over it
  can be normalised; `step` then changes nothing and gives 0. An illegal action
  ends the game and costs the player who chose it 1.
  """

  def __init__(self, game: pgx.Env):
    self._game = game
    self._num_actions = game.num_actions
    self._observation_shape = tuple(game.observation_shape)

  @property
  def num_players(self) -> int:
    """Players of the game."""
    return self._game.num_players

  @property
  def num_actions(self) -> int:
    """A, the number of actions."""
    return self._num_actions

  @property
  def observation_shape(self) -> tuple[int, ...]:
    """Shape of one observation: height, width, planes (own, other)."""
    return self._observation_shape

  def init(self, rng_key: jax.Array) -> pgx.State:
    """Draws an initial state; the key decides who is called player 0."""
    return self._game.init(rng_key)

  def step(self, state: pgx.State, action: jax.Array) -> pgx.State:
    """Plays `action`, an int32 `[]`, for the current player."""
    return self._game.step(state, action)

  def observation(self, state: pgx.State) -> jax.Array:
    """The current player's view; bool, but float32 in chess."""
    return state.observation

  def invalid(self, state: pgx.State) -> jax.Array:
    """Bool `[A]`, True = may not be chosen; all False once it is over."""
    return ~state.legal_action_mask

  def reward(self, state: pgx.State) -> jax.Array:
    """Float32 `[]`: what the last step gave to the player who made it."""
    return state.rewards[1 - state.current_player]

  def terminated(self, state: pgx.State) -> jax.Array:
    """Bool `[]`: the game is over."""
    return state.terminated

  def current_player(self, state: pgx.State) -> jax.Array:
    """Int32 `[]`: whose turn it is, 0 or 1."""
    return state.current_player


def tic_tac_toe() -> BoardGame:
  """Tic-tac-toe: 9 actions, row by row; observation `[3, 3, 2]`."""
  return BoardGame(pgx_tic_tac_toe.TicTacToe())


def othello() -> BoardGame:
  """Othello: 64 squares and the pass; observation `[8, 8, 2]`."""
  return BoardGame(pgx_othello.Othello())


def go_9x9() -> BoardGame:
  """Go, 81 points and the pass, white has 7.5; observation `[9, 9, 17]`.

  Area scoring, two passes end a game, and so does the 162nd move. Who repeats a
  position has lost: no mask says so beforehand. The planes are the last eight
  positions, own and other stones, and who is to move.
  """
  with jax.ensure_compile_time_eval():  # Its tables are arrays.
    from pgx import go
  return BoardGame(go.Go(size=9))


def gardner_chess() -> BoardGame:
  """Chess on 5x5 squares, 49 ways to move from each; observation `[5, 5, 115]`.

  The 256th move ends a game as a draw.
  """
  with jax.ensure_compile_time_eval():  # A second's work, asked for by few.
    from pgx import gardner_chess as pgx_gardner_chess
  return BoardGame(pgx_gardner_chess.GardnerChess())


GAMES: dict[str, Callable[[], Environment]] = {
    "tic_tac_toe": tic_tac_toe,
    "connect_four": ConnectFour,
    "othello": othello,
    "go_9x9": go_9x9,
    "gardner_chess": gardner_chess,
    **{f"hex_{size}": functools.partial(Hex, size) for size in SIZES},
}
