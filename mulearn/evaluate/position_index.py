"""Which row of a solved table a state of the environment is, on the device.

A position is known by its observation, which on a board says all there is to
know. 64 bits of a random linear hash stand for it (Carter and Wegman 1979,
"Universal classes of hash functions"): the table's own positions are checked
to differ in them, and every position of play is in the table.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.base import Environment
from mulearn.evaluate.solver import Table
from mulearn.types import Array


class PositionIndex:
  """The rows of a table's positions.

  Attributes:
    table: the solved game.
    environment: its rules.
  """

  def __init__(self, table: Table, environment: Environment):
    """Hashes all positions.

    Args:
      table: with every position at which a move is to be made.
      environment: whose observations tell the positions apart.

    Raises:
      ValueError: two positions of the table look alike.
    """
    self.table, self.environment = table, environment
    size = int(np.prod(environment.observation_shape))
    multipliers = np.random.default_rng(0).integers(0, 2**32, (size, 2))
    self._multipliers = jnp.asarray(multipliers, jnp.uint32)
    words = _hash(table.states(environment), self._multipliers, environment)
    high, low = np.asarray(words).T
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    if ((high[1:] == high[:-1]) & (low[1:] == low[:-1])).any():
      raise ValueError(
          "Two positions of the table have the same observation; the"
          " environment's observation must tell all positions apart."
      )
    self._sorted = jax.tree.map(jnp.asarray, (high, low, order))
    # The most positions that share a high word: one, or very few.
    self._width = int(np.unique(high, return_counts=True)[1].max())

  def rows(self, states: Any) -> Array:
    """The row of each state `[B, ...]`, -1 where it is not in the table."""
    words = _hash(states, self._multipliers, self.environment)
    return _find(words, *self._sorted, width=self._width)

  def truth(self, states: Any) -> tuple[np.ndarray, np.ndarray]:
    """Value `[B]` and optimal moves `[B, A]` of states; see `known_rows`."""
    rows = np.asarray(self.known_rows(states))
    return self.table.value[rows], self.table.optimal[rows]

  def known_rows(self, states: Any) -> Array:
    """As `rows`, where each game that still goes on has to be in the table.

    Raises:
      ValueError: one is not.
    """
    rows = self.rows(states)
    over = jax.vmap(self.environment.terminated)(states)
    missing = int(jnp.sum((rows < 0) & ~over))
    if missing:
      raise ValueError(
          f"{missing} positions are not in the table of {len(self.table.moves)}"
          " positions; play needs a table that holds every position of the"
          " game that can be reached."
      )
    return rows


@functools.partial(jax.jit, static_argnames="environment")
def _hash(states, multipliers, environment) -> Array:
  """`[B, ...]` to words `[B, 2]`, the high one and the low one."""
  planes = jax.vmap(environment.observation)(states)
  planes = planes.reshape(planes.shape[0], -1).astype(jnp.uint32)
  return jnp.sum(planes[..., None] * multipliers, axis=1, dtype=jnp.uint32)


@functools.partial(jax.jit, static_argnames="width")
def _find(words, high, low, order, *, width) -> Array:
  start = jnp.searchsorted(high, words[:, 0])
  near = jnp.minimum(start[:, None] + jnp.arange(width), len(high) - 1)
  hit = (high[near] == words[:, :1]) & (low[near] == words[:, 1:])
  rows = jnp.take_along_axis(order[near], hit.argmax(1)[:, None], 1)[:, 0]
  return jnp.where(hit.any(axis=1), rows, -1)
