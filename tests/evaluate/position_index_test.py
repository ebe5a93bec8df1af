"""Positions are found in the table, and those that are not are missed."""

import dataclasses

import jax
import numpy as np
import pytest

from mulearn.env.games import make_environment
from mulearn.evaluate import solver
from mulearn.evaluate.position_index import PositionIndex

GAME = make_environment("tic_tac_toe")


@pytest.fixture(scope="module")
def index():
  return PositionIndex(solver.tic_tac_toe(), GAME)


def test_every_position_finds_its_own_row(index):
  rows = index.rows(index.table.states(GAME))
  np.testing.assert_array_equal(rows, np.arange(4520))


def test_another_order_of_moves_is_the_same_position(index, board_states):
  rows = index.rows(board_states((0, 4, 8, 1), (8, 1, 0, 4), (0, 1, 8, 4)))
  assert rows[0] == rows[1] == rows[2] >= 0
  assert index.rows(board_states((0, 4, 8, 2)))[0] != rows[0]


def test_finished_and_unknown_positions_have_no_row(index, board_states):
  over = board_states((0, 3, 1, 4, 2))
  assert index.known_rows(over)[0] == index.rows(over)[0] == -1
  few = dataclasses.replace(
      index.table, **{
          name: getattr(index.table, name)[:100]
          for name in ("moves", "value", "optimal")
      },
  )  # fmt: skip
  few = PositionIndex(few, GAME)
  states = index.table.states(GAME)
  rows = np.asarray(few.rows(states))
  assert (rows[:100] == np.arange(100)).all() and (rows[100:] == -1).all()
  with pytest.raises(ValueError, match="4420 positions are not in the table"):
    few.known_rows(states)


def test_positions_that_share_half_of_the_hash_are_told_apart(index):
  index = PositionIndex(index.table, GAME)
  index._multipliers = index._multipliers.at[:, 0].set(1)
  from mulearn.evaluate import position_index

  states = index.table.states(GAME)
  words = np.asarray(position_index._hash(states, index._multipliers, GAME))
  order = np.lexsort((words[:, 1], words[:, 0]))
  high, low = words[order].T
  index._sorted = jax.tree.map(jax.numpy.asarray, (high, low, order))
  index._width = int(np.unique(high, return_counts=True)[1].max())
  assert index._width > 100  # As many as there are positions of five stones.
  np.testing.assert_array_equal(index.rows(states), np.arange(4520))


def test_positions_that_look_alike_are_refused(index):
  class Blind:
    observation_shape = (1,)

    def __getattr__(self, name):
      return getattr(GAME, name)

    def observation(self, state):
      return GAME.observation(state).sum()[None]

  with pytest.raises(ValueError, match="same observation"):
    PositionIndex(index.table, Blind())
