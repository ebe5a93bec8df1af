"""Symmetries: a turned game is a game, and looks turned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import board, symmetry

MOVES = {
    "tic_tac_toe": (0, 4, 1, 5, 6),
    "connect_four": (0, 0, 1, 6, 5, 3),
    "othello": (44, 43, 34, 29, 21, 13),
    "hex_3": (0, 1, 4, 5),
    "hex_11": (60, 3, 13, 120, 44),
    "go_9x9": (0, 1, 40, 9, 81, 10),  # White takes a corner; black passes.
}
# Of the groups; 2 otherwise.
SIZES = {"tic_tac_toe": 8, "othello": 4, "go_9x9": 8, "gardner_chess": 1}


@pytest.mark.parametrize("name", MOVES)
def test_every_symmetry_maps_games_to_games(name):
  game, turns = board.GAMES[name](), symmetry.SYMMETRIES[name]
  step, observe = jax.jit(game.step), jax.jit(game.observation)
  height, width, _ = game.observation_shape
  for cells, actions in zip(turns.cells, turns.actions):
    state = turned = game.init(jax.random.key(0))
    for move in MOVES[name]:
      assert not game.invalid(state)[move]
      state = step(state, move)
      turned = step(turned, int(np.flatnonzero(actions == move)[0]))
      flat = np.asarray(observe(state)).reshape(height * width, -1)
      np.testing.assert_array_equal(
          np.asarray(observe(turned)).reshape(height * width, -1), flat[cells]
      )
      np.testing.assert_array_equal(
          game.invalid(turned), np.asarray(game.invalid(state))[actions]
      )


@pytest.mark.parametrize("name", board.GAMES)
def test_symmetries_are_distinct_permutations_that_begin_with_none(name):
  turns = symmetry.SYMMETRIES[name]
  assert len(np.unique(turns.cells, axis=0)) == len(turns.cells)
  for part in turns:
    np.testing.assert_array_equal(part[0], np.arange(part.shape[1]))
    np.testing.assert_array_equal(np.sort(part, axis=1), part[:1].repeat(
        len(part), axis=0
    ))  # fmt: skip
  assert len(turns.cells) == SIZES.get(name, 2)


def test_a_game_without_symmetries_has_one():
  turns = symmetry.identity(2, 3, 4)
  assert turns.cells.shape == (1, 6) and turns.actions.shape == (1, 4)
  assert jnp.array_equal(turns.actions[0], jnp.arange(4))
