"""Each player at positions where it is known what it must do."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.board_agent import BoardAgent
from mulearn.env.games import make_environment
from mulearn.evaluate import players, playouts, solver

GAME = make_environment("tic_tac_toe")
WINS = (0, 3, 1, 4)  # X wins at 2; at 5 O would win.
MUST_BLOCK = (0, 4, 1)  # O has to play 2.
LOST = (0, 1, 4)  # O blocks at 8, and X then wins in two ways.


@pytest.fixture(scope="module")
def table():
  return solver.tic_tac_toe()


def _moves(player, states, num=40):
  """What a player ever plays at one position."""
  act = [int(player(jax.random.key(i), states)[0]) for i in range(num)]
  return set(act)


def test_random_plays_every_legal_move(board_states):
  assert _moves(players.random_player(GAME), board_states(WINS)) == {
      2, 5, 6, 7, 8
  }  # fmt: skip


@pytest.mark.parametrize(
    "num_plies, moves, played",
    [
        (1, WINS, {2}),
        (1, MUST_BLOCK, {2, 3, 5, 6, 7, 8}),  # One ply sees no threat.
        (2, MUST_BLOCK, {2}),
        (2, LOST, {8}),
        (4, LOST, {2, 3, 5, 6, 7, 8}),  # All is lost, so all is the same.
        (3, (0, 1), {2, 3, 4, 5, 6, 7, 8}),
        (5, (0, 1), {3, 4, 6}),  # The three moves that win by force.
    ],
)
def test_minimax_sees_as_far_as_it_looks(
    board_states, num_plies, moves, played
):
  player = players.minimax_player(GAME, num_plies)
  assert _moves(player, board_states(moves)) == played


def test_minimax_to_the_end_is_the_solved_game(table):
  late = np.flatnonzero((table.moves >= 0).sum(axis=1) >= 5)
  states = jax.tree.map(lambda x: x[late], table.states(GAME))
  values = jax.jit(
      jax.vmap(lambda s: players.action_values(GAME, s, num_plies=4))
  )(states)
  np.testing.assert_array_equal(values.max(axis=1), table.value[late])
  best = values == values.max(axis=1, keepdims=True)
  np.testing.assert_array_equal(best, table.optimal[late])


def test_playouts_of_decided_and_of_open_games(board_states):
  def mean(*moves):
    states = jax.tree.map(
        lambda x: jnp.repeat(x, 4000, axis=0), board_states(moves)
    )
    values = playouts.playout(GAME, jax.random.key(0), states)
    assert set(np.unique(values)) <= {-1.0, 0.0, 1.0}
    return float(values.mean())

  assert mean(0, 3, 1, 4, 2) == 0.0  # Over.
  # Random games: X wins .585, O .288.
  assert mean() == pytest.approx(0.585 - 0.288, abs=0.04)
  # The same seen by the second player is worth as much less.
  assert mean(4) == pytest.approx(-0.478, abs=0.06)


def test_search_with_playouts_wins_and_blocks(board_states):
  player = players.playout_player(GAME, 64)
  states = board_states(WINS, MUST_BLOCK)
  for i in range(5):
    assert player(jax.random.key(i), states).tolist() == [2, 2]


def test_perfect_play_is_all_the_optimal_moves_and_no_other(
    table, board_states
):
  player = players.perfect_player(table, GAME)
  assert _moves(player, board_states(())) == set(range(9))
  assert _moves(player, board_states((4,))) == {0, 2, 6, 8}
  states = table.states(GAME)
  action = player(jax.random.key(0), states)
  assert table.optimal[np.arange(4520), action].all()


def test_an_agent_plays_what_it_plans():
  class Agent:

    def plan(self, rng_key, states, num_simulations=None):
      said.append((rng_key, states, num_simulations))
      return types.SimpleNamespace(action="action")

  said = []
  assert players.agent_player(Agent(), 7)("key", "states") == "action"
  assert players.agent_player(Agent())("key", "states") == "action"
  assert said == [("key", "states", 7), ("key", "states", None)]


def test_the_bare_policy_is_the_likeliest_legal_move(
    board_config, make_board_networks, board_states
):
  agent = BoardAgent(board_config("world"), make_board_networks("world"))
  states = board_states((), (4,), WINS)
  played = players.policy_player(agent)(jax.random.key(0), states)
  node = agent.glance(states)
  invalid = np.asarray(node.invalid)
  assert not invalid[np.arange(3), played].any() and invalid.sum() == 5
  chosen = np.asarray(node.prior_logits)[np.arange(3), played]
  valid = np.where(invalid, -np.inf, node.prior_logits)
  np.testing.assert_array_equal(chosen, valid.max(axis=1))


@pytest.mark.parametrize(
    "make, says",
    [
        (players.minimax_player, "minimax:1"),
        (players.playout_player, "rollouts:64"),
    ],
)
def test_a_player_that_cannot_think_is_refused(make, says):
  with pytest.raises(ValueError, match=says):
    make(GAME, 0)
