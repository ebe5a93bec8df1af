"""Catch: what the wind does, and what a policy is worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import catch

_NUM = (catch.ROWS - 1) * catch.COLUMNS**3  # Positions.


@pytest.fixture(scope="module")
def game():
  return catch.Catch()


def _state(**fields):
  state = catch.Catch().init(jax.random.key(0))
  return state._replace(**{k: jnp.int32(v) for k, v in fields.items()})


@pytest.mark.parametrize(
    "gold, plain, paid", [(3, 0, 0.3), (0, 3, 0.1), (3, 3, 0.4), (0, 4, 0.0)]
)
def test_balls_that_land_on_the_paddle_are_paid(
    game, monkeypatch, gold, plain, paid
):
  monkeypatch.setattr(catch, "WIND", 0.0)
  state = _state(gold=gold, plain=plain, paddle=2, row=catch.ROWS - 2)
  after = game.step(state, jnp.int32(2))  # To the right, to column 3.
  assert float(after.reward) == pytest.approx(paid) and bool(
      game.terminated(after)
  )
  early = game.step(state._replace(row=jnp.int32(0)), jnp.int32(2))
  assert float(early.reward) == 0.0 and not bool(game.terminated(early))


def test_the_wind_blows_as_often_as_it_should(game):
  keys = jax.random.split(jax.random.key(1), 20_000)
  after = jax.vmap(
      lambda key: game.step(
          _state(gold=2, plain=0, paddle=3, row=0)._replace(
              chance=jax.random.key_data(key)
          ),
          jnp.int32(1),
      )
  )(keys)
  side = catch.WIND / 2
  counts = np.bincount(np.asarray(after.gold), minlength=5) / len(keys)
  np.testing.assert_allclose(counts[1:4], [side, 1 - 2 * side, side], atol=0.01)
  counts = np.bincount(np.asarray(after.plain), minlength=5) / len(keys)
  # At the wall it stays, where it is blown against it.
  np.testing.assert_allclose(counts[:2], [1 - side, side], atol=0.01)
  assert (np.asarray(after.paddle) == 3).all()


def test_positions_are_all_that_call_for_a_decision(game):
  states = game.positions()
  views = np.asarray(jax.vmap(game.observation)(states))
  assert views.shape == (_NUM, *game.observation_shape) and _NUM == 625
  assert len(np.unique(views.reshape(_NUM, -1), axis=0)) == _NUM
  assert not np.asarray(jax.vmap(game.terminated)(states)).any()


def test_the_last_move_by_hand(game):
  """Both balls in column 3 and the paddle beside them: only moving pays."""
  states = game.positions()
  here = np.flatnonzero(
      (np.asarray(states.row) == catch.ROWS - 2)
      & (np.asarray(states.gold) == 3)
      & (np.asarray(states.plain) == 3)
      & (np.asarray(states.paddle) == 2)
  )
  side, still = catch.WIND / 2, 1.0 - catch.WIND
  worth = 0.4 * np.array([[0.0, side, still]])
  np.testing.assert_allclose(game.worth().action_values[here], worth)


def test_the_exact_return_is_that_of_games_played(game):
  """Of a random policy, over 20,000 games."""
  rng = np.random.default_rng(0)
  policy = rng.dirichlet(np.ones(3), size=_NUM)
  exact = game.worth(policy).mean_return
  table = jnp.log(jnp.asarray(policy)).reshape(
      catch.ROWS - 1, *[catch.COLUMNS] * 3, 3
  )

  def play(rng_key):
    state = game.init(rng_key)

    def move(state, key):
      place = (state.row, state.gold, state.plain, state.paddle)
      state = game.step(state, jax.random.categorical(key, table[place]))
      return state, state.reward

    keys = jax.random.split(rng_key, catch.ROWS - 1)
    return jax.lax.scan(move, state, keys)[1].sum()

  keys = jax.random.split(jax.random.key(0), 20_000)
  earned = np.asarray(jax.jit(jax.vmap(play))(keys))
  error = earned.std() / np.sqrt(len(earned))
  assert abs(earned.mean() - exact) < 4.0 * error
  assert exact < game.worth().mean_return


def test_the_best_policy_is_worth_the_best_value(game):
  best = game.worth()
  policy = np.eye(3)[best.action_values.argmax(axis=-1)]
  found = game.worth(policy)
  assert found.mean_return == pytest.approx(best.mean_return)
  np.testing.assert_allclose(found.action_values, best.action_values)
