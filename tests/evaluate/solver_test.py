"""The solver against what is known, and examinations of known players."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.board_agent import BoardAgent
from mulearn.env.games import make_environment
from mulearn.evaluate import solver

GAME = make_environment("tic_tac_toe")


@pytest.fixture(scope="module")
def table():
  return solver.tic_tac_toe()


def _row(table, moves):
  """The row of the position that these moves lead to."""
  wanted = [frozenset(moves[::2]), frozenset(moves[1::2])]
  for i, line in enumerate(table.moves.tolist()):
    line = [m for m in line if m >= 0]
    if [frozenset(line[::2]), frozenset(line[1::2])] == wanted:
      return i
  raise AssertionError(f"No position {moves}.")


def test_the_counts_are_those_that_are_known(table):
  assert len(table.moves) == 4520 and table.num_terminal == 958
  assert len(table.moves) + table.num_terminal == 5478
  # By stones on the board, without the finished ones.
  stones = (table.moves >= 0).sum(axis=1)
  known = [1, 9, 72, 252, 756, 1140, 1372, 696, 222]
  np.testing.assert_array_equal(np.bincount(stones), known)


def test_values_a_person_can_check(table):
  assert table.value[_row(table, ())] == 0
  assert table.optimal[_row(table, ())].all()  # Every first move draws.
  corners = [0, 2, 6, 8]
  row = _row(table, (4,))
  assert table.value[row] == 0
  np.testing.assert_array_equal(np.flatnonzero(table.optimal[row]), corners)
  row = _row(table, (0,))  # Against a corner only the centre holds.
  np.testing.assert_array_equal(np.flatnonzero(table.optimal[row]), [4])
  row = _row(table, (0, 3, 1, 4))  # X wins at once, or loses tempo.
  assert table.value[row] == 1 and table.optimal[row, 2]
  row = _row(table, (0, 1, 4))  # O must block, and loses nevertheless.
  assert table.value[row] == -1


def test_the_states_are_those_of_the_environment(table):
  states = table.states(GAME)
  assert not jax.vmap(GAME.terminated)(states).any()
  invalid = np.asarray(jax.vmap(GAME.invalid)(states))
  assert not (table.optimal & invalid).any() and table.optimal.any(axis=1).all()
  stones = np.asarray(jax.vmap(GAME.observation)(states)).sum(axis=(1, 2, 3))
  np.testing.assert_array_equal(stones, (table.moves >= 0).sum(axis=1))


@dataclasses.dataclass
class _Player:
  """Says of each position a fixed move and a value, right or wrong."""

  agent: BoardAgent
  moves: np.ndarray
  values: np.ndarray
  environment = GAME

  def plan(self, rng_key, state, num_simulations=None):
    plan = self.agent.plan(rng_key, state, num_simulations)
    return plan._replace(
        action=jnp.asarray(self.moves), value=jnp.asarray(self.values)
    )

  def glance(self, state):
    return self.agent.glance(state)


def test_the_perfect_player_and_the_worst_are_told_apart(
    table, board_config, make_board_networks
):
  agent = BoardAgent(board_config("world"), make_board_networks("world"))
  key = jax.random.key(0)
  best = _Player(agent, table.optimal.argmax(axis=1), table.value)
  found = solver.examine(best, table, key, num_simulations=2)
  assert found["optimal_rate"] == found["sign_rate"] == 1.0
  assert found["value_error"] == 0.0
  worst = table.optimal.argmin(axis=1)
  rows = np.arange(len(worst))
  expected = table.optimal[rows, worst].mean()
  found = solver.optimal_rate(
      _Player(agent, worst, -table.value), table, key, num_simulations=2
  )
  assert found == expected < 0.3


def test_search_in_the_rules_beats_the_bare_policy(
    table, board_config, make_board_networks
):
  """With untrained networks: the sign of the turn decides it."""
  networks = make_board_networks("simulator")
  networks.policy.kernel[...] *= 0.0
  networks.value.kernel[...] *= 0.0
  networks.value.bias[...] *= 0.0
  config = board_config("simulator")
  config.search.max_considered, config.search.max_depth = 9, 9
  agent = BoardAgent(config, networks)
  found = solver.examine(agent, table, jax.random.key(0), num_simulations=32)
  assert found["optimal_rate"] > 0.9 > 0.7 > found["policy_rate"]
  assert found["sign_rate"] > 0.7 and 0.0 < found["value_error"] < 1.0
