"""Perfect play of Hex on 3x3 and 4x4 boards: what to be examined on, and by.

`table` has positions with all their best moves, for the examination of
`evaluate.solver`; `perfect_player` makes an opponent that never errs.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.hex import Hex, HexState
from mulearn.evaluate.hex_solution import (
    Positions,
    Solution,
    geometry,
    goodness,
    num_stones,
    solve,
)
from mulearn.types import Array

# (rng_key, states [B]) -> actions [B]; any action where a game is over.
Player = Callable[[Array, HexState], Array]


def table(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
  """Moves, value, optimal and num_terminal of a `solver.Table`.

  On 3x3 it holds every position at which a move is to be made; on 4x4, where
  there are millions, 4,096 of them, drawn by `sample`.
  """
  solution = solve(size)
  positions = (
      Positions(*map(np.concatenate, zip(*solution.positions)))
      if size == 3
      else sample(solution, 4096, seed=0)
  )
  return (
      solution.moves(positions),
      solution.value(positions),
      solution.optimal(positions),
      solution.num_terminal,
  )


def sample(solution: Solution, num_positions: int, *, seed: int) -> Positions:
  """Draws positions at which a move is to be made, none of them twice.

  Every number of stones gets the same share, as far as there are so many; of
  those with one number of stones each is as likely as the other.

  Args:
    solution: of the board.
    num_positions: how many, at most all.
    seed: of the draw.

  Returns:
    The positions, by number of stones.
  """
  rng = np.random.default_rng(seed)
  drawn, left = {}, num_positions
  layers = sorted(solution.positions, key=lambda layer: len(layer.own))
  for i, layer in enumerate(layers):
    share = min(len(layer.own), left // (len(layers) - i))
    left -= share
    rows = np.sort(rng.choice(len(layer.own), share, replace=False))
    chosen = Positions(layer.own[rows], layer.other[rows])
    drawn[num_stones(layer)[0]] = chosen
  return Positions(
      *map(np.concatenate, zip(*(drawn[n] for n in sorted(drawn))))
  )


def truth(environment: Hex, states: HexState) -> tuple[np.ndarray, np.ndarray]:
  """What is true of any position of a solved board, not only those of `table`.

  Args:
    environment: Hex of 3 or 4 rows.
    states: where games go on; of those that are over nothing is said, `[N]`.

  Returns:
    The value for the player to move `[N]`, and which moves keep it `[N, A]`.
  """
  solution = solve(environment.size)
  planes = np.asarray(jax.vmap(environment.observation)(states))
  stones = planes.reshape(len(planes), -1, 2).astype(bool)
  cells = 1 << np.arange(environment.size**2)
  own, other = (stones * cells[:, None]).sum(axis=1).astype(np.uint16).T
  positions = Positions(own, other)
  return solution.value(positions), solution.optimal(positions)


def perfect_player(environment: Hex, *, is_stubborn: bool = True) -> Player:
  """Plays a solved board without a mistake; what is equal is drawn at random.

  Args:
    environment: Hex of 3 or 4 rows.
    is_stubborn: wins as soon and loses as late as it can. Otherwise all moves
      that keep the value of the game are equal: in a lost position, all moves.

  Returns:
    The player.

  Raises:
    ValueError: if the board has more rows.
  """
  plies = jnp.asarray(solve(environment.size).plies)
  connects = jnp.asarray(geometry(environment.size).connects)

  def act(rng_key: Array, state: HexState) -> Array:
    planes = jax.vmap(environment.observation)(state)
    return _act(rng_key, planes, plies, connects, is_stubborn=is_stubborn)

  return act


@functools.partial(jax.jit, static_argnames="is_stubborn")
def _act(rng_key, planes, plies, connects, *, is_stubborn):
  """Perfect moves `[B]` at observations `[B, size, size, 2]`."""
  batch, size = planes.shape[:2]
  cells = np.arange(size * size)
  own, other = jnp.moveaxis(
      planes.reshape(batch, -1, 2).astype(jnp.int32), -1, 0
  )  # [B, C]
  # After the move the other player looks, at the mirrored board.
  digit = 3 ** cells.reshape(size, size).T.ravel()
  code = (other + 2 * own) @ digit
  after = plies[code[:, None] + 2 * digit].astype(jnp.int32)  # [B, A]
  wins = connects[(own @ (1 << cells))[:, None] | (1 << cells)]
  outcome = jnp.where(wins, 1, -after - jnp.sign(after))
  outcome = jnp.where((own + other) > 0, 0, outcome)
  score = goodness(outcome, jnp)
  if not is_stubborn:
    score = jnp.sign(score) + (outcome != 0)  # Taken < lost < won.
  is_best = score == score.max(axis=-1, keepdims=True)
  return jax.random.categorical(rng_key, jnp.where(is_best, 0.0, -jnp.inf))
