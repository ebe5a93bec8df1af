"""Games of one player: steps a person can check, and what a time limit is."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import solo
from mulearn.env.base import PackageNotFoundError


def _at(game, **values):
  """A state of the game with some of gymnax's numbers set."""
  state = game.init(jax.random.key(0))
  values = {name: jnp.float32(value) for name, value in values.items()}
  return state._replace(game=state.game.replace(**values))


def test_a_push_of_the_cart_is_as_the_equations_say():
  """Barto et al. 1983, with gym's constants: 10 N on 1.1 kg for 20 ms."""
  game = solo.GAMES["cartpole"]()
  still = _at(game, x=0.0, x_dot=0.0, theta=0.0, theta_dot=0.0)
  after = jax.jit(game.step)(still, jnp.int32(1))
  turning = -(10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1))
  gliding = 10 / 1.1 - 0.05 * turning / 1.1
  np.testing.assert_allclose(
      game.observation(after), [0.0, 0.02 * gliding, 0.0, 0.02 * turning],
      rtol=1e-5,
  )  # fmt: skip
  assert game.reward(after) == 1.0 and not game.terminated(after)


def test_a_time_limit_ends_no_episode():
  """A pole that is held up stays up, beyond the 500 steps of gym."""
  game = solo.GAMES["cartpole"]()

  def hold(state, _):
    x, x_dot, theta, theta_dot = game.observation(state)
    lean = theta + theta_dot + 0.1 * x + 0.2 * x_dot
    state = game.step(state, (lean > 0).astype(jnp.int32))
    return state, (game.reward(state), game.terminated(state))

  start = game.init(jax.random.key(0))
  _, (rewards, over) = jax.jit(lambda s: jax.lax.scan(hold, s, None, 600))(
      start
  )
  assert not over.any() and (rewards == 1.0).all()


def test_the_pendulum_takes_a_torque_between_minus_one_and_one():
  game = solo.GAMES["pendulum"]()
  assert game.action_size == 1 and game.num_actions == 0
  hanging = _at(game, theta=np.pi / 2, theta_dot=0.0)
  step = jax.jit(game.step)
  whole = step(hanging, jnp.ones(1))
  # Gravity 3 g / 2 l and torque 3 u / m l^2 with u = 2, for 50 ms.
  np.testing.assert_allclose(
      whole.game.theta_dot, (15.0 + 3.0 * 2.0) * 0.05, rtol=1e-5
  )
  np.testing.assert_allclose(
      game.reward(whole), -((np.pi / 2) ** 2 + 0.001 * 4.0), rtol=1e-5
  )
  beyond = step(hanging, jnp.full(1, 3.0))
  np.testing.assert_array_equal(
      game.observation(beyond), game.observation(whole)
  )


@pytest.mark.parametrize(
    "name, num_actions, planes",
    [("asterix", 5, 4), ("freeway", 3, 7), ("space_invaders", 4, 6)],
)
def test_games_of_minatar_keep_the_shape_of_their_states(
    name, num_actions, planes
):
  game = solo.GAMES[name]()
  assert game.num_actions == num_actions
  assert game.observation_shape == (10, 10, planes)
  state = jax.eval_shape(game.init, jax.random.key(0))
  after = jax.eval_shape(game.step, state, jnp.int32(num_actions - 1))
  assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == (
      jax.tree.map(lambda x: (x.shape, x.dtype), state)
  )
  view = jax.eval_shape(game.observation, after)
  assert view.shape == game.observation_shape and view.dtype == jnp.bool_


def test_a_cannon_that_fires_hits_invaders_until_one_hits_it():
  game = solo.GAMES["space_invaders"]()

  def fire(state, _):
    state = game.step(state, jnp.int32(3))
    return state, (game.reward(state), game.terminated(state))

  @jax.jit
  def play(key):
    return jax.lax.scan(fire, game.init(key), None, 200)

  state, (rewards, over) = play(jax.random.key(0))
  end = int(np.argmax(over))
  assert end > 0 and over[end:].all() and not rewards[end + 1 :].any()
  assert set(np.unique(rewards)) == {0.0, 1.0}
  assert game.observation(state)[9].any()


def test_chance_is_another_at_every_step_and_the_same_again():
  game = solo.GAMES["cartpole"]()
  states = [game.init(jax.random.key(3))]
  for _ in range(3):
    states.append(game.step(states[-1], jnp.int32(0)))
  keys = {tuple(np.asarray(state.chance)) for state in states}
  assert len(keys) == 4
  again = game.step(game.init(jax.random.key(3)), jnp.int32(0))
  jax.tree.map(np.testing.assert_array_equal, again, states[1])


def test_a_game_that_a_traced_program_made_is_of_use_to_others():
  made = []

  def make(rng_key):
    made.append(solo.GAMES["breakout"]())
    return made[0].init(rng_key)

  state = jax.eval_shape(make, jax.random.key(0))
  after = jax.eval_shape(made[0].step, state, jnp.int32(1))
  assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)


def test_a_missing_package_is_said_with_its_remedy(monkeypatch):
  monkeypatch.setitem(sys.modules, "gymnax", None)
  with pytest.raises(PackageNotFoundError, match=r"mulearn\[solo\].*JAX below"):
    solo.GAMES["cartpole"]()
