"""The parts of a run on a board."""

import jax
import numpy as np
import pytest

from mulearn import board_run
from mulearn.replay.buffer import num_moves


def test_a_round_moves_every_lane_and_learns(board_config):
  config = board_config("world")
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  before = jax.tree.map(np.array, run.state.params)
  assert board_run.moves_per_round(config) == 16
  assert board_run.updates_per_round(config) == 2
  key = jax.random.key(2)
  board_run.play_and_learn(run, key, key, num_updates=0)
  metrics = board_run.play_and_learn(run, key, key, num_updates=2)
  assert run.env_steps == 32 == int(num_moves(run.memory))
  assert int(run.state.step) == 2 and "loss/policy" in metrics
  changed = jax.tree.map(lambda a, b: (a != b).any(), before, run.state.params)
  # The other layers lie behind heads that begin at zero.
  assert np.mean(jax.tree.leaves(changed)) > 0.5
  assert run.agent.networks is run.state.params


def test_a_ratio_that_is_not_whole_is_told(board_config):
  config = board_config("world")
  config.learn.updates_per_env_step = 0.1
  with pytest.raises(ValueError, match="is 1.6; a whole number"):
    board_run.updates_per_round(config)
