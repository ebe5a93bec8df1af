"""Learning on a board: steps are counted, and what is taught is learned."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mulearn import board_run
from mulearn.config import SelfPlayConfig
from mulearn.replay.buffer import replay_of


@pytest.fixture
def make_config(board_config):
  """kind of model -> a run of whole games, whose rounds are one program."""

  def make(kind):
    config = board_config(kind)
    config.self_play = SelfPlayConfig(num_plies=16)
    config.learn = dataclasses.replace(config.learn, learning_rate=3e-3)
    return config

  return make


@pytest.mark.parametrize("kind", ["simulator", "world"])
def test_the_same_games_again_and_again_are_learned(kind, make_config):
  config = make_config(kind)
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  metrics = board_run.play_and_learn(
      run, jax.random.key(2), jax.random.key(3), num_updates=1
  )
  learner, replay = board_run.learner_of(config), replay_of(config)
  learn = jax.jit(
      lambda state, memory, key: learner.learn(
          state, memory, key, replay=replay, num_updates=120
      )
  )
  state, memory, later = learn(run.state, run.memory, jax.random.key(4))
  state, _, later = learn(state, memory, jax.random.key(5))
  assert int(state.step) == 241
  assert later["loss/value"] < 0.8 * metrics["loss/value"]
  assert all(np.isfinite(v) for v in jax.tree.leaves(later))


def test_weights_of_a_batch_scale_its_loss(make_config):
  config = make_config("simulator")
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  for _ in range(3):
    board_run.play_and_learn(
        run, jax.random.key(2), jax.random.key(3), num_updates=1
    )
  sample = replay_of(config).sample(run.memory, jax.random.key(0))
  step = jax.jit(board_run.learner_of(config).train_step)
  _, once = step(run.state, sample.trajectory, jnp.ones(4))
  _, twice = step(run.state, sample.trajectory, 2.0 * jnp.ones(4))
  np.testing.assert_allclose(twice["loss"], 2.0 * once["loss"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["simulator", "world"])
def test_parts_of_a_batch_add_up_to_its_gradient(kind, make_config):
  config = make_config(kind)
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  key, rule = jax.random.key(2), optax.sgd(0.1)
  for _ in range(9):  # Until games end, and heads have an opinion of it.
    board_run.play_and_learn(run, key, key, num_updates=1)
  sample = replay_of(config).sample(run.memory, jax.random.key(0))
  state = dataclasses.replace(run.state, opt_state=rule.init(run.state.params))
  weights, found = jnp.array([0.5, 1.0, 2.0, 0.0]), []
  for count in (1, 4):
    learn = dataclasses.replace(config.learn, num_microbatches=count)
    learner = dataclasses.replace(
        board_run.learner_of(config), config=learn, optimizer=rule
    )
    found.append(jax.jit(learner.train_step)(state, sample.trajectory, weights))
  (whole, metrics), (parts, same) = found
  assert jax.tree.structure(metrics) == jax.tree.structure(same)
  assert metrics["value_error"].shape == (4,) and metrics["grad_norm"] > 0.01
  for name, value in metrics.items():
    np.testing.assert_allclose(
        same[name], value, rtol=1e-3, atol=1e-6, err_msg=name
    )
  jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
      parts.params,
      whole.params,
  )


def test_parts_that_do_not_divide_a_batch_are_named(board_config):
  config, key = board_config("simulator"), jax.random.key(0)
  config.learn = dataclasses.replace(config.learn, num_microbatches=3)
  run = board_run.begin(config, key, key)
  with pytest.raises(ValueError, match="is 3, which does not divide the 4"):
    board_run.play_and_learn(run, key, key, num_updates=1)


def test_old_moves_are_taught_shorter_returns(board_config):
  """With V = 8 at every move and no rewards, a return tells its horizon."""
  config = board_config("simulator")
  config.learn = dataclasses.replace(
      config.learn, correction_steps=10, explored_below=0.0, discount=0.5
  )
  learner = board_run.learner_of(config)
  fresh = jax.jit(lambda key: board_run.fresh(config, key, key))
  state, memory, _ = fresh(jax.random.key(0))
  ones = jnp.ones((1, 3))
  moves = jax.tree.map(
      lambda x: jnp.zeros((1, 3, *x.shape[2:]), x.dtype), memory.experience
  )._replace(value=8 * ones, discount=ones, born=jnp.array([[5, 0, 0]]))

  @jax.jit
  def error(step):
    now = dataclasses.replace(state, step=step)
    loss = learner.objective(now, moves, jnp.ones(1))
    return loss(state.params)[1]["value_error"]

  # Heads begin without opinions: the error is the target.
  for step, expected in ((14, 0.25 * 8), (15, 0.5 * 8), (1000, 0.5 * 8)):
    np.testing.assert_array_equal(error(jnp.int32(step)), [expected])


def test_a_correction_needs_moves_that_have_an_age(board_config):
  key, config = jax.random.key(0), board_config("world")
  config.learn.correction_steps = 10
  config.replay.data = "games"
  with pytest.raises(ValueError, match="correction_steps is 10.*'games'"):
    board_run.begin(config, key, key)
