"""Perfect play, exactly: every position of tic-tac-toe, its value, its moves.

A loss that falls says nothing of strength. Here every move that an agent would
make is held against the solved game.
"""

import dataclasses
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.base import Environment
from mulearn.evaluate import hex as hex_lib
from mulearn.evaluate import hex_solution
from mulearn.parallel import hosts
from mulearn.types import Array, Node, Plan

_LINES = (
    (0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8),
    (0, 4, 8), (2, 4, 6),
)  # fmt: skip


class Planner(Protocol):
  """What can be examined: see `act.board_agent.BoardAgent`."""

  @property
  def environment(self) -> Environment:
    """The rules."""

  def plan(
      self, rng_key: Array, state: Any, num_simulations: int | None = None
  ) -> Plan:
    """Searches from states `[B, ...]`; `value` is that of its policy."""

  def glance(self, state: Any) -> Node:
    """What the networks say of states `[B, ...]` without search."""


@dataclasses.dataclass(frozen=True)
class Table:
  """All positions of a game at which a move is to be made, solved.

  Attributes:
    moves: one way to each position, padded with -1, `[N, L]`.
    value: of the game for the player to move, -1, 0 or 1, `[N]`.
    optimal: True for the moves that keep that value, `[N, A]`.
    num_terminal: finished positions, which are not in the table.
  """

  moves: np.ndarray
  value: np.ndarray
  optimal: np.ndarray
  num_terminal: int

  def states(self, environment: Environment) -> Any:
    """The positions as states of the environment, `[N, ...]`."""
    return _replay(jnp.asarray(self.moves), environment)


@functools.cache
def tic_tac_toe() -> Table:
  """Solves tic-tac-toe by minimax: 5,478 positions, 958 of them finished."""
  values: dict[tuple[int, ...], int] = {}  # For the player to move.
  rows: dict[tuple[int, ...], tuple[tuple[int, ...], np.ndarray]] = {}

  def solve(board: tuple[int, ...], moves: tuple[int, ...]) -> int:
    """`board` is +1 where the player to move stands, -1 where the other."""
    key = (len(moves) % 2, *board)
    if key in values:
      return values[key]
    if any(all(board[c] == -1 for c in line) for line in _LINES):
      values[key] = -1
    elif len(moves) == 9:
      values[key] = 0
    else:
      results = np.full(9, -2)
      for cell in range(9):
        if board[cell] == 0:
          after = [-x for x in board]
          after[cell] = -1
          results[cell] = -solve(tuple(after), (*moves, cell))
      values[key] = int(results.max())
      rows[key] = (moves, results == results.max())
    return values[key]

  solve((0,) * 9, ())
  padded = [(*moves, *(-1,) * (9 - len(moves))) for moves, _ in rows.values()]
  return Table(
      moves=np.array(padded, np.int32),
      value=np.array([values[key] for key in rows]),
      optimal=np.stack([optimal for _, optimal in rows.values()]),
      num_terminal=len(values) - len(rows),
  )


@functools.cache
def hex_board(size: int) -> Table:
  """Hex: all positions of 3x3, or a sample of 4x4; see `evaluate.hex`."""
  return Table(*hex_lib.table(size))


TABLES = {
    "tic_tac_toe": tic_tac_toe,
    **{
        f"hex_{size}": functools.partial(hex_board, size)
        for size in hex_solution.SIZES
    },
}


def examine(
    agent: Planner,
    table: Table,
    rng_key: Array,
    *,
    num_simulations: int | None = None,
) -> dict[str, float]:
  """Holds an agent against perfect play at every position of a table.

  Several processes share the positions, and all get what they found.

  Args:
    agent: plans and glances.
    table: the solved game.
    rng_key: consumed by search.
    num_simulations: of each search; the agent's own if None.

  Returns:
    `optimal_rate`, the share of positions whose searched move is optimal;
    `policy_rate`, the same of the bare policy; `value_error`, the mean absolute
    error of the value after search; `sign_rate`, the share of decided positions
    whose searched value has the right sign.
  """
  count = len(table.value)
  mine = hosts.rows_for(count)
  states = jax.tree.map(lambda x: x[mine], table.states(agent.environment))
  plan = agent.plan(rng_key, states, num_simulations)
  node = agent.glance(states)
  logits = np.where(node.invalid, -np.inf, node.prior_logits)
  found = hosts.gather(
      {
          "searched": np.asarray(plan.action),
          "bare": logits.argmax(-1),
          "value": np.asarray(plan.value),
      },
      count,
  )
  rows, value = np.arange(count), found["value"]
  decided = table.value != 0
  return {
      "optimal_rate": float(table.optimal[rows, found["searched"]].mean()),
      "policy_rate": float(table.optimal[rows, found["bare"]].mean()),
      "value_error": float(np.abs(value - table.value).mean()),
      "sign_rate": float((np.sign(value) == table.value)[decided].mean()),
  }


def optimal_rate(
    agent: Planner,
    table: Table,
    rng_key: Array,
    *,
    num_simulations: int | None = None,
) -> float:
  """Share of positions at which the searched move is optimal."""
  found = examine(agent, table, rng_key, num_simulations=num_simulations)
  return found["optimal_rate"]


@functools.partial(jax.jit, static_argnames="environment")
def _replay(moves: Array, environment: Environment) -> Any:
  """Plays lines `[N, L]`, in which -1 is no move."""

  def play_line(line):
    def play(state, move):
      after = environment.step(state, jnp.maximum(move, 0))
      state = jax.tree.map(lambda a, b: jnp.where(move < 0, b, a), after, state)
      return state, None

    return jax.lax.scan(play, environment.init(jax.random.key(0)), line)[0]

  return jax.vmap(play_line)(moves)
