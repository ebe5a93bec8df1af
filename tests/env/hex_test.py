"""Hex against a plain board: cells on a table, two colours, a flood fill."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import board
from mulearn.env.hex import Hex, neighbours


def _touching(a, b):
  """Whether two hexagons of a rhombus share a side."""
  down, right = b[0] - a[0], b[1] - a[1]
  return (down, right) in {(-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0)}


def _connects(stones, size, axis):
  """Whether cells `(row, column)` join side 0 and side size - 1 of an axis."""
  reached = {cell for cell in stones if cell[axis] == 0}
  while True:
    more = {c for c in stones - reached for r in reached if _touching(r, c)}
    if not more:
      return any(cell[axis] == size - 1 for cell in reached)
    reached |= more


def _play(game, moves):
  state, step = game.init(jax.random.key(0)), jax.jit(game.step)
  for move in moves:
    state = step(state, move)
  return state


def _look(game, state):
  """All that a game says of a state, with the cell that each action takes."""
  cells = jax.vmap(game.cell, in_axes=(None, 0))
  return (
      game.invalid(state),
      cells(state, jnp.arange(game.num_actions)),
      game.terminated(state),
      game.reward(state),
      game.observation(state),
  )


@pytest.mark.parametrize("size, num_games", [(3, 20), (4, 10), (7, 5)])
def test_it_is_the_game_on_the_table(size, num_games):
  game, rng = Hex(size), np.random.default_rng(size)
  step, look = jax.jit(game.step), jax.jit(lambda state: _look(game, state))
  start = game.init(jax.random.key(0))
  winners = []
  for _ in range(num_games):
    state, (invalid, cells, *_) = start, look(start)
    stones = [set(), set()]  # Of the first player, who joins rows; the second.
    for ply in itertools.count():
      mover = ply % 2
      valid = np.flatnonzero(~np.asarray(invalid))
      assert len(valid) == size**2 - ply
      action = int(rng.choice(valid))
      cell = divmod(int(cells[action]), size)
      assert cell not in stones[0] | stones[1]
      stones[mover].add(cell)
      state = step(state, action)
      won = _connects(stones[mover], size, axis=mover)
      invalid, cells, over, reward, view = look(state)
      assert bool(over) == won
      assert float(reward) == float(won)
      view = np.asarray(view)
      for plane, player in enumerate((1 - mover, mover)):
        seen = set(zip(*np.nonzero(view[..., plane])))
        if player == mover:  # The view is that of who moves next.
          assert len(seen) == len(stones[player])
        # The first player sees the table, the second its mirror image.
        assert seen == {c if mover else c[::-1] for c in stones[player]}
      if won:
        winners.append(mover)
        break
  assert set(winners) == {0, 1}


def test_no_full_board_is_a_draw():
  game = Hex(3)
  step = jax.jit(jax.vmap(game.step))
  orders = np.stack(
      [np.random.default_rng(i).permutation(9) for i in range(99)]
  )
  state = jax.vmap(game.init)(jax.random.split(jax.random.key(0), 99))
  for ply in range(9):
    cells = jnp.asarray(orders[:, ply])
    state = step(state, jax.vmap(game.cell)(state, cells))
  assert state.over.all()


def test_a_straight_line_wins():
  # The second player's stones are at (2, 1) and (2, 2) of the table.
  state = _play(Hex(3), (0, 5, 3, 8))
  assert not state.over
  np.testing.assert_array_equal(
      state.board, [[3, 0, 0], [3, 0, 0], [0, -4, -4]]
  )
  assert _play(Hex(3), (0, 5, 3, 8, 6)).reward == 1.0


def test_a_taken_cell_is_invalid_and_costs_the_player_who_takes_it():
  game = Hex(4)
  state = _play(game, (1,))  # The second player sees it mirrored.
  np.testing.assert_array_equal(game.invalid(state), np.arange(16) == 4)
  state = game.step(state, 4)
  assert game.terminated(state) and game.reward(state) == -1.0


def test_neighbours_are_mutual_and_six_inside():
  for size in (3, 4, 11):
    table = neighbours(size)
    pairs = {(i, int(j)) for i, row in enumerate(table) for j in row}
    pairs = {(i, j) for i, j in pairs if j < size**2}
    assert pairs == {(j, i) for i, j in pairs}
    assert ((table < size**2).sum(1) == 6).sum() == (size - 2) ** 2


def test_every_size_has_a_name_and_no_other_can_be_made():
  for size in range(3, 12):
    assert board.GAMES[f"hex_{size}"]() == Hex(size)
  with pytest.raises(ValueError, match="size is 12.*3 to 11"):
    Hex(12)
