"""The solved boards against a solver that shares no line with it."""

import functools

import numpy as np
import pytest

from mulearn.evaluate import hex_solution
from mulearn.evaluate.hex_solution import Positions

_STEPS = ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0))


def _has_won(stones, size, player):
  """Whether cells of the table join the sides of player 0 (rows) or 1."""
  reached = [c for c in stones if c[player] == 0]
  for row, column in reached:  # Grows on the way.
    near = {(row + down, column + right) for down, right in _STEPS}
    reached += [c for c in stones & near if c not in reached]
  return any(c[player] == size - 1 for c in reached)


@functools.cache
def _plies(size, mine, other, player):
  """Plies to the end, as `Solution.plies`, by plain minimax on the table."""
  best = None
  for cell in np.ndindex(size, size):
    if cell in mine or cell in other:
      continue
    if _has_won(mine | {cell}, size, player):
      return 1
    after = _plies(size, other, mine | {cell}, 1 - player)
    outcome = -after - (1 if after > 0 else -1)
    key = (outcome > 0, -outcome)
    best = max(best, key) if best else key
  return -best[1]


def _on_the_table(size, positions, row):
  """The first player's cells, the second's, and whose turn it is."""
  sets = []
  for stones in (positions.own[row], positions.other[row]):
    cells = [divmod(c, size) for c in range(size**2) if stones >> c & 1]
    sets.append(cells)
  player = (len(sets[0]) + len(sets[1])) % 2
  if player:  # The second player sees the table mirrored.
    sets = [[c[::-1] for c in cells] for cells in sets]
  return frozenset(sets[0]), frozenset(sets[1]), player


def test_every_position_of_3x3_is_what_plain_minimax_says():
  solution = hex_solution.solve(3)
  numbers = [len(layer.own) for layer in solution.positions]
  assert numbers == [1, 9, 72, 252, 756, 1140, 1360, 720, 210]
  for number, layer in enumerate(solution.positions):
    plies = [
        _plies(3, *_on_the_table(3, layer, row))
        for row in range(len(layer.own))
    ]
    np.testing.assert_array_equal(solution.value(layer), np.sign(plies))
    outcomes = solution.outcomes(layer)
    assert ((outcomes == 0).sum(axis=1) == number).all()
    lost = np.where(outcomes < 0, outcomes, 99).min(axis=1)
    won = np.where(outcomes > 0, outcomes, 99).min(axis=1)
    np.testing.assert_array_equal(np.where(won < 99, won, lost), plies)


def test_an_opening_in_the_middle_wins_and_one_in_a_blunt_corner_loses():
  solution = hex_solution.solve(3)
  empty = solution.positions[0]
  assert solution.value(empty) == 1
  outcomes = solution.outcomes(empty).reshape(3, 3)
  np.testing.assert_array_equal(outcomes > 0, [[0, 0, 1], [1, 1, 1], [1, 0, 0]])
  assert outcomes[1, 1] == 5  # Three stones in a row, two bridges.


def test_moves_lead_to_their_position():
  solution = hex_solution.solve(3)
  layer = solution.positions[5]
  moves = solution.moves(layer)
  for row in range(0, len(moves), 97):
    mine, other, player = _on_the_table(3, layer, row)
    line = [divmod(int(m), 3) for m in moves[row] if m >= 0]
    assert len(line) == 5 and player == 1
    assert {c[::-1] for c in line[1::2]} == mine and {*line[::2]} == other


def test_4x4_is_solved():
  solution = hex_solution.solve(4)
  empty = solution.positions[0]
  assert solution.value(empty) == 1  # By strategy stealing.
  optimal = solution.optimal(empty)[0]
  np.testing.assert_array_equal(optimal, optimal[::-1])  # Turned by half.
  assert 0 < optimal.sum() < 16
  for layer in solution.positions[:5]:
    outcomes = solution.outcomes(layer)
    won = (outcomes > 0).any(axis=1)
    np.testing.assert_array_equal(solution.value(layer), 2 * won - 1)
  rng = np.random.default_rng(0)
  for number in (9, 10, 11, 13):
    layer = solution.positions[number]
    rows = rng.choice(len(layer.own), 8, replace=False)
    drawn = Positions(layer.own[rows], layer.other[rows])
    found = [_plies(4, *_on_the_table(4, drawn, row)) for row in range(8)]
    np.testing.assert_array_equal(solution.value(drawn), np.sign(found))


def test_larger_boards_are_refused():
  with pytest.raises(ValueError, match="size is 5; .* 3 and 4 rows"):
    hex_solution.solve(5)
