"""2048 as the loop plays it: pushes that a person can check."""

import jax
import jax.numpy as jnp
import numpy as np
from pgx import play2048
import pytest

from mulearn.env import solo, symmetry

GAME = solo.GAMES["2048"]()
LEFT, UP, RIGHT, DOWN = range(4)
LANES = 32
_INIT, _STEP = jax.jit(jax.vmap(GAME.init)), jax.jit(jax.vmap(GAME.step))


@pytest.fixture(scope="module")
def start():
  return _INIT(jax.random.split(jax.random.key(0), LANES))


def _at(start, boards):
  """Lanes with these exponents of two `[B, 4, 4]`, 0 for an empty square."""
  boards = jnp.broadcast_to(jnp.array(boards, jnp.int32), (LANES, 4, 4))
  game = start.game.replace(
      _board=boards.reshape(LANES, 16),
      observation=jax.nn.one_hot(boards, 31, dtype=bool),
      legal_action_mask=jax.vmap(play2048._legal_action_mask)(boards),
  )
  return start._replace(game=game)


def _push(state, actions):
  return _STEP(state, jnp.broadcast_to(jnp.array(actions, jnp.int32), LANES))


def _boards(state):
  planes = np.asarray(GAME.observation(state))
  assert planes.shape == (LANES, *GAME.observation_shape)
  assert planes.dtype == bool and (planes.sum(axis=-1) == 1).all()
  return planes.argmax(axis=-1)


def _read(function, state):
  return np.asarray(jax.vmap(function)(state))


def test_a_push_merges_once_and_earns_what_it_made(start):
  board = [[1, 1, 1, 1], [0, 0, 0, 3], [0, 0, 0, 0], [2, 0, 2, 3]]
  after = _push(_at(start, board), LEFT)
  assert (_read(GAME.reward, after) == 4 + 4 + 8).all()
  expected = np.zeros((4, 4), int)
  expected[0, :2], expected[1, 0], expected[3, :2] = 2, 3, 3
  new = _boards(after) != expected
  assert (new.sum(axis=(1, 2)) == 1).all() and not (new & (expected > 0)).any()
  assert set(_boards(after)[new]) <= {1, 2}
  # Every lane draws for itself, and anew.
  assert len(np.unique(new, axis=0)) > 5
  keys = np.concatenate([start.chance, after.chance])
  assert len(np.unique(keys, axis=0)) == 2 * LANES


def test_chance_adds_a_four_in_one_case_of_ten(start):
  board = np.zeros((4, 4), int)
  board[1, 1] = 5
  state, fours = _at(start, board), 0
  for turn in range(30):  # Around the board, and nothing else matters.
    state = _at(state, board)
    state = _push(state, turn % 4)
    fours += (_boards(state) == 2).sum()
  assert fours / (30 * LANES) == pytest.approx(0.1, abs=0.03)


def test_a_board_that_cannot_move_is_the_end_and_stays(start):
  stuck = [[1, 2, 1, 2], [2, 1, 2, 1], [1, 2, 1, 2], [2, 1, 3, 3]]
  after = _push(_at(start, stuck), LEFT)  # Chance fills the square it made.
  over = _read(GAME.terminated, after)
  assert (_read(GAME.reward, after) == 16.0).all()
  # A 4 or a 2 beside the 16, below a 4: only a 2 leaves nothing to merge.
  last = _boards(after)[:, 3]
  np.testing.assert_array_equal(over, last[:, 3] == 1)
  assert over.sum() > LANES / 2
  assert not _read(GAME.invalid, after)[over].any()
  later = _push(after, UP)
  assert (_read(GAME.reward, later)[over] == 0.0).all()
  assert _read(GAME.terminated, later)[over].all()
  np.testing.assert_array_equal(_boards(later)[over], _boards(after)[over])


def test_a_turned_board_is_pushed_the_turned_way(start):
  turns = symmetry.SYMMETRIES["2048"]
  assert len(np.unique(turns.cells, axis=0)) == len(turns.cells) == 8
  assert (np.sort(turns.actions, axis=1) == range(4)).all()
  board = np.array([[1, 1, 3, 4], [0, 3, 0, 0], [5, 0, 0, 0], [5, 0, 0, 2]])
  # A lane for each symmetry and push.
  turned = board.ravel()[turns.cells].reshape(8, 4, 4).repeat(4, axis=0)
  theirs = _push(_at(start, turned), np.tile(range(4), 8))
  ours = _push(_at(start, board), turns.actions.ravel())
  rewards = _read(GAME.reward, ours)
  np.testing.assert_array_equal(_read(GAME.reward, theirs), rewards)
  assert set(rewards) == {4.0, 64.0}
  # But for the squares that chance has filled, the boards look turned.
  cells = turns.cells.repeat(4, axis=0)
  ours = np.take_along_axis(_boards(ours).reshape(LANES, 16), cells, axis=1)
  differ = ours != _boards(theirs).reshape(LANES, 16)
  assert (differ.sum(axis=1) <= 2).all()
