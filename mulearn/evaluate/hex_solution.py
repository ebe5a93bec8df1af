"""Hex on 3x3 and 4x4 boards, solved: every position and every move.

Every position that can be reached is solved backwards, from full boards to the
empty one, many at a time with numpy. As in `env.hex` the player to move always
connects top to bottom: one solution serves both.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np

from mulearn.env.hex import neighbours

SIZES = (3, 4)  # A 5x5 board has 3 ** 25 codes.


class Geometry(NamedTuple):
  """Tables over all `2 ** C` sets of cells; bit `c` is cell `c`.

  Attributes:
    connects: the set joins top to bottom, bool.
    mirrored: the set on the board turned at its diagonal, uint16.
    code: the sum of `3 ** c` over the set, int32.
  """

  connects: np.ndarray
  mirrored: np.ndarray
  code: np.ndarray


class Positions(NamedTuple):
  """Unfinished positions with one number of stones, as sets of cells.

  Attributes:
    own: stones of the player to move, uint16 `[N]`.
    other: stones of the other player, uint16 `[N]`.
  """

  own: np.ndarray
  other: np.ndarray


@dataclasses.dataclass(frozen=True)
class Solution:
  """A solved board.

  A code of a position is the sum over its cells of `3 ** c` for a stone of the
  player to move and `2 * 3 ** c` for one of the other player.

  Attributes:
    size: rows of the board.
    plies: by code, int8: `n` if the player to move wins with the n-th move from
      here, both playing their best, `-n` if the other does; 0 where the
      position is finished or cannot be reached.
    positions: the unfinished ones that can be reached, by number of stones.
    num_terminal: finished positions that can be reached.
  """

  size: int
  plies: np.ndarray
  positions: tuple[Positions, ...]
  num_terminal: int

  def outcomes(self, positions: Positions) -> np.ndarray:
    """What each move leads to, seen by its mover, as in `plies`, `[N, A]`.

    A move that wins at once is 1, a taken cell 0.
    """
    moves = range(self.size**2)
    found = [_outcome(self.plies, self.size, positions, c) for c in moves]
    return np.stack(found, axis=1)

  def optimal(self, positions: Positions) -> np.ndarray:
    """True for the moves that keep the value of the game, `[N, A]`."""
    outcomes = self.outcomes(positions)
    wins = outcomes > 0
    return np.where(wins.any(axis=1, keepdims=True), wins, outcomes < 0)

  def value(self, positions: Positions) -> np.ndarray:
    """Of the game for the player to move, -1 or 1, `[N]`."""
    return np.sign(self.plies[_codes(self.size, positions)]).astype(np.int64)

  def moves(self, positions: Positions) -> np.ndarray:
    """One way to each position, padded with -1, actions `[N, C - 1]`."""
    size = self.size
    cells = np.arange(size**2)
    moves = np.full((len(positions.own), size**2 - 1), -1, np.int32)
    # Each player's actions are cells as that player sees the board.
    others = geometry(size).mirrored[positions.other]
    is_second = num_stones(positions) % 2 == 1
    first = np.where(is_second, others, positions.own)
    second = np.where(is_second, positions.own, others)
    for start, stones in enumerate((first, second)):
      held = (stones[:, None] >> cells) & 1
      row, cell = np.nonzero(held)
      order = (np.cumsum(held, axis=1) - 1)[row, cell]
      moves[row, start + 2 * order] = cell
    return moves


@functools.cache
def solve(size: int) -> Solution:
  """Solves the board: 3x3 at once, 4x4 in some ten seconds and 0.3 GB.

  Args:
    size: 3 or 4.

  Returns:
    The `Solution`.

  Raises:
    ValueError: for another size.
  """
  if size not in SIZES:
    raise ValueError(
        f"size is {size}; only boards of {' and '.join(map(str, SIZES))} rows"
        " are small enough to be solved position by position."
    )
  positions, num_terminal = _reachable(size)
  plies = np.zeros(3 ** (size**2), np.int8)
  for layer in reversed(positions):
    best = np.full(len(layer.own), np.iinfo(np.int8).min, np.int8)
    for cell in range(size**2):
      outcome = _outcome(plies, size, layer, cell)
      best = np.maximum(best, goodness(outcome))
    plies[_codes(size, layer)] = _plies(best)
  return Solution(size, plies, positions, num_terminal)


@functools.cache
def geometry(size: int) -> Geometry:
  """The tables of a board."""
  sets = np.arange(2 ** (size**2), dtype=np.uint16)
  near = [
      sum(1 << int(n) for n in row if n < size**2) for row in neighbours(size)
  ]
  reached = sets & np.uint16(2**size - 1)
  before = np.zeros_like(reached)
  while (before != reached).any():
    before = reached
    for cell in range(size**2):
      touches = (reached & np.uint16(near[cell])) != 0
      reached = reached | np.where(touches, sets & np.uint16(1 << cell), 0)
  mirrored = np.zeros_like(sets)
  code = np.zeros(len(sets), np.int32)
  for cell in range(size**2):
    row, column = divmod(cell, size)
    bit = (sets >> cell) & 1
    mirrored |= bit << (column * size + row)
    code += bit * np.int32(3**cell)
  return Geometry(reached >> (size * (size - 1)) != 0, mirrored, code)


def _reachable(size: int) -> tuple[tuple[Positions, ...], int]:
  """Unfinished positions by number of stones, and the count of finished."""
  shape = geometry(size)
  seen = np.zeros(3 ** (size**2), bool)
  empty = np.zeros(1, np.uint16)
  layers, num_terminal = [Positions(empty, empty)], 0
  while len(layers[-1].own):
    own, other = layers[-1]
    for cell in range(size**2):
      free = ((own | other) >> cell) & 1 == 0
      after = shape.mirrored[own[free] | np.uint16(1 << cell)]
      turned = Positions(shape.mirrored[other[free]], after)
      seen[_codes(size, turned)] = True
    codes = np.flatnonzero(seen)
    seen[codes] = False
    found = _decode(codes)
    over = shape.connects[shape.mirrored[found.other]]
    num_terminal += int(over.sum())
    layers.append(Positions(found.own[~over], found.other[~over]))
  return tuple(layers[:-1]), num_terminal


def _outcome(
    plies: np.ndarray, size: int, positions: Positions, cell: int
) -> np.ndarray:
  """A column of `Solution.outcomes`, `[N]`."""
  shape = geometry(size)
  own, other = positions
  taken = ((own | other) >> cell) & 1 != 0
  mine = own | np.uint16(1 << cell)
  turned = Positions(shape.mirrored[other], shape.mirrored[mine])
  after = plies[np.where(taken, 0, _codes(size, turned))]
  outcome = np.where(shape.connects[mine], 1, -after - np.sign(after))
  return np.where(taken, 0, outcome).astype(np.int8)


def goodness(plies: Any, xp: Any = np) -> Any:
  """Orders outcomes: soon won, late won, late lost, soon lost, not a move."""
  lost = xp.where(plies < 0, -100 - plies, -127)
  return xp.where(plies > 0, 100 - plies, lost)


def _plies(goodness: np.ndarray) -> np.ndarray:
  """The inverse of `_goodness`."""
  return np.where(goodness > 0, 100 - goodness, -100 - goodness)


def _codes(size: int, positions: Positions) -> np.ndarray:
  code = geometry(size).code
  return code[positions.own] + 2 * code[positions.other]


def _decode(codes: np.ndarray) -> Positions:
  """The positions of codes `[N]`, eight cells at a time."""
  digits = np.arange(3**8)[:, None] // 3 ** np.arange(8) % 3
  halves = [(digits == stone) @ (1 << np.arange(8)) for stone in (1, 2)]
  high, low = np.divmod(codes, 3**8)
  return Positions(*((h[low] | h[high] << 8).astype(np.uint16) for h in halves))


def num_stones(positions: Positions) -> np.ndarray:
  """Stones on the board, `[N]`."""
  stones = (positions.own | positions.other)[:, None]
  return ((stones >> np.arange(16)) & 1).sum(axis=1)
