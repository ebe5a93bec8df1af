"""Connect four against pgx's rules, and positions a person can check."""

import jax
import jax.numpy as jnp
import numpy as np
from pgx import connect_four as pgx_connect_four
import pytest

from mulearn.env.board import BoardGame
from mulearn.env.connect_four import ConnectFour, has_line

_GAME = ConnectFour()
# Nobody has four in a line when the board is full.
_DRAWN = "113242323653142426235543110050664556014600"


def _play(columns):
  state, step = _GAME.init(jax.random.key(0)), jax.jit(_GAME.step)
  for column in columns:
    state = step(state, jnp.int32(column))
  return state


def _look(game):
  """state -> all that a game says of it, by name."""
  names = "observation", "invalid", "reward", "terminated", "current_player"
  return lambda state: {name: getattr(game, name)(state) for name in names}


def test_it_is_the_game_of_pgx():
  games = (_GAME, BoardGame(pgx_connect_four.ConnectFour()))
  keys, rng = jax.random.split(jax.random.key(0), 512), np.random.default_rng(0)
  states = [jax.vmap(game.init)(keys) for game in games]
  steps = [jax.jit(jax.vmap(game.step)) for game in games]
  looks = [jax.jit(jax.vmap(_look(game))) for game in games]
  for _ in range(43):  # The last of them after every game's end.
    ours, theirs = (look(state) for look, state in zip(looks, states))
    for name in ours:
      assert ours[name].dtype == theirs[name].dtype
      np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    invalid = np.asarray(ours["invalid"])
    column = np.where(invalid, -1.0, rng.random(invalid.shape)).argmax(axis=1)
    column = jnp.asarray(column, jnp.int32)
    states = [step(state, column) for step, state in zip(steps, states)]
  assert states[0].over.all()


@pytest.mark.parametrize(
    "columns",
    ["3030303", "0415263", "2013213233", "3311241122"],
    ids=["upright", "across", "rising", "falling"],
)
def test_four_in_a_line_win(columns):
  before, after = _play(map(int, columns[:-1])), _play(map(int, columns))
  assert not before.over and before.reward == 0.0
  assert after.over and after.reward == 1.0
  assert after.player == before.player ^ 1


def test_a_line_does_not_go_round_the_edge():
  # Three at the right edge and one at the left of the same row, and of others.
  across = jnp.zeros(6, jnp.uint8).at[5].set(0b1110001)
  slanted = jnp.uint8([0, 0, 0b0000001, 0b1000000, 0b0100000, 0b0010000])
  assert not has_line(across) and not has_line(slanted)


def test_a_full_board_is_a_draw():
  state = _play(map(int, _DRAWN))
  assert state.over and state.reward == 0.0
  assert _GAME.observation(state).sum() == 42
  assert not _play(map(int, _DRAWN[:-1])).over


def test_a_full_column_is_invalid_and_costs_the_player_who_fills_it_on():
  state = _play([2] * 6)
  np.testing.assert_array_equal(_GAME.invalid(state), np.arange(7) == 2)
  state = _GAME.step(state, jnp.int32(2))
  assert state.over and state.reward == -1.0
  assert not _GAME.invalid(state).any()
