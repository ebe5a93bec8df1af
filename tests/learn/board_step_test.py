"""Learning on a board: steps are counted, and what is taught is learned."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run
from mulearn.config import SelfPlayConfig


@pytest.mark.parametrize("kind", ["simulator", "world"])
def test_the_same_games_again_and_again_are_learned(kind, board_config):
  config = board_config(kind)
  config.self_play = SelfPlayConfig(num_plies=16)
  config.learn = dataclasses.replace(config.learn, learning_rate=3e-3)
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  metrics = board_run.play_and_learn(
      run, jax.random.key(2), jax.random.key(3), num_updates=1
  )
  learner, replay = board_run.learner_of(config), board_run.replay_of(config)
  learn = jax.jit(
      lambda state, memory, key: learner.learn(
          state, memory, key, replay=replay, num_updates=60
      )
  )
  state, memory, later = learn(run.state, run.memory, jax.random.key(4))
  state, _, later = learn(state, memory, jax.random.key(5))
  assert int(state.step) == 121
  assert later["loss/value"] < 0.8 * metrics["loss/value"]
  assert all(np.isfinite(v) for v in jax.tree.leaves(later))


def test_weights_of_a_batch_scale_its_loss(board_config):
  config = board_config("simulator")
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  for _ in range(3):
    board_run.play_and_learn(
        run, jax.random.key(2), jax.random.key(3), num_updates=0
    )
  sample = board_run.replay_of(config).sample(run.memory, jax.random.key(0))
  step = jax.jit(board_run.learner_of(config).train_step)
  _, once = step(run.state, sample.trajectory, jnp.ones(4))
  _, twice = step(run.state, sample.trajectory, 2.0 * jnp.ones(4))
  np.testing.assert_allclose(twice["loss"], 2.0 * once["loss"], rtol=1e-6)
