"""What is examined on Hex, and the player that never errs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env.games import make_environment
from mulearn.evaluate import hex as hex_lib
from mulearn.evaluate import hex_solution, solver


def _play(environment, players, num_games, rng_key):
  """Whether the first of two players wins each game."""
  rng_key, start_key = jax.random.split(rng_key)
  step = jax.jit(jax.vmap(environment.step))
  state = jax.vmap(environment.init)(jax.random.split(start_key, num_games))
  won = np.zeros(num_games)
  for ply in range(environment.num_actions):
    rng_key, act_key = jax.random.split(rng_key)
    state = step(state, players[ply % 2](act_key, state))
    won += np.asarray(state.reward) * (1 if ply % 2 == 0 else -1)
  assert state.over.all()
  return won > 0


def _random(environment):
  def act(rng_key, state):
    invalid = jax.vmap(environment.invalid)(state)
    return jax.random.categorical(rng_key, jnp.where(invalid, -jnp.inf, 0.0))

  return jax.jit(act)


@pytest.mark.parametrize("name, num_rows", [("hex_3", 4520), ("hex_4", 4096)])
def test_the_table_fits_the_environment(name, num_rows):
  environment, table = make_environment(name), solver.TABLES[name]()
  assert len(table.moves) == num_rows
  states = table.states(environment)
  assert not jax.vmap(environment.terminated)(states).any()
  view = np.asarray(jax.vmap(environment.observation)(states))
  assert len(np.unique(view.reshape(num_rows, -1), axis=0)) == num_rows
  invalid = np.asarray(jax.vmap(environment.invalid)(states))
  assert not (table.optimal & invalid).any() and table.optimal.any(axis=1).all()
  np.testing.assert_array_equal(
      view.sum(axis=(1, 2, 3)), (table.moves >= 0).sum(axis=1)
  )
  # Whoever is lost cannot err, nor can who wins by a move that ends the game
  # be said to lose.
  assert (table.optimal | invalid)[table.value < 0].all()
  step = jax.vmap(environment.step)
  for cell in range(environment.num_actions):
    after = step(states, jnp.full(num_rows, cell))
    wins = np.asarray(after.reward) == 1.0
    assert (table.value[wins] == 1).all() and table.optimal[wins, cell].all()


@pytest.mark.parametrize("name", ["hex_3", "hex_4"])
def test_the_truth_of_a_position_is_that_of_the_table(name):
  environment, table = make_environment(name), solver.TABLES[name]()
  value, optimal = hex_lib.truth(environment, table.states(environment))
  np.testing.assert_array_equal(value, table.value)
  np.testing.assert_array_equal(optimal, table.optimal)


def test_a_sample_is_spread_over_the_numbers_of_stones():
  solution = hex_solution.solve(3)
  drawn = hex_lib.sample(solution, 500, seed=0)
  numbers = np.bincount(hex_solution.num_stones(drawn))
  np.testing.assert_array_equal(numbers[:2], [1, 9])
  assert numbers.sum() == 500 and numbers[3:].min() == 70
  again = hex_lib.sample(solution, 500, seed=0)
  np.testing.assert_array_equal(drawn.own, again.own)
  assert (hex_lib.sample(solution, 500, seed=1).own != drawn.own).any()
  whole = hex_lib.sample(solution, 4520, seed=0)
  assert len(whole.own) == 4520


@pytest.mark.parametrize("is_stubborn", [True, False])
def test_the_perfect_player_wins_what_is_won(is_stubborn):
  environment = make_environment("hex_3")
  perfect = hex_lib.perfect_player(environment, is_stubborn=is_stubborn)
  random = _random(environment)
  key = jax.random.key(0)
  assert _play(environment, (perfect, random), 64, key).all()
  assert _play(environment, (perfect, perfect), 64, key).all()
  # Second, it takes what is given away.
  assert not _play(environment, (random, perfect), 256, key).all()


@pytest.mark.parametrize("is_stubborn", [True, False])
def test_the_perfect_player_plays_the_best_moves_of_the_table(is_stubborn):
  environment, table = make_environment("hex_3"), solver.TABLES["hex_3"]()
  solution = hex_solution.solve(3)
  positions = hex_lib.Positions(*map(np.concatenate, zip(*solution.positions)))
  outcomes = solution.outcomes(positions)
  player = hex_lib.perfect_player(environment, is_stubborn=is_stubborn)
  states = table.states(environment)
  rows = np.arange(len(table.moves))
  chosen = []
  for seed in range(8):
    action = np.asarray(player(jax.random.key(seed), states))
    assert table.optimal[rows, action].all()
    chosen.append(outcomes[rows, action])
  longest = np.where(outcomes < 0, outcomes, 99).min(axis=1)
  soonest = np.where(outcomes > 0, outcomes, 99).min(axis=1)
  best = np.where(soonest < 99, soonest, longest)
  assert (np.stack(chosen) == best).all() == is_stubborn


def test_states_of_another_board_are_refused():
  with pytest.raises(ValueError, match="size is 7"):
    hex_lib.perfect_player(make_environment("hex_7"))
