"""Worlds whose latents are boards: moves are written where they are done."""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run
from mulearn.act import board_agent
from mulearn.model import board_windows


@pytest.fixture
def config(board_config):
  config = board_config("world")
  config.model.window, config.model.channels = 2, 3
  config.learn.consistency_weight = 2.0
  return config


def test_writing_is_the_transpose_of_reading():
  rngs, shape = nnx.Rngs(0), (4, 5, 3)
  reads = board_windows.Windows(shape, 2, 7, rngs=rngs)
  writes = board_windows.WindowWriter(shape, 2, 7, rngs=rngs)
  writes.look.kernel[...] = reads.look.kernel[...]
  board = jax.random.normal(jax.random.key(0), (6, 60))
  features = jax.random.normal(jax.random.key(1), (6, 3 * 4 * 7))
  np.testing.assert_allclose(
      jnp.sum(reads(board) * features), jnp.sum(board * writes(features)),
      rtol=1e-5,
  )  # fmt: skip


def test_written_out_once_it_says_the_same(config):
  networks = board_agent.make_networks(config, jax.random.key(0))
  latent = jax.random.uniform(jax.random.key(1), (5, 27), minval=-1.0)
  action = jnp.array([0, 4, 8, 2, 2])
  ready = board_windows.spread_out(networks)
  assert networks.write.spread is None and ready.write.spread is not None
  jax.tree.map(
      np.testing.assert_array_equal,
      ready.dynamics(latent, action),
      networks.dynamics(latent, action),
  )


def test_what_a_move_changes_is_seen_near_its_mark(config):
  """Nothing but windows carries a move's mark from cell to cell."""
  networks = board_agent.make_networks(config, jax.random.key(0))
  marks = jnp.zeros((9, 3, 3, 3)).at[0, 0, 0].set(1.0).reshape(9, 27)
  networks.move.embedding[...] = marks
  latent = jax.random.uniform(jax.random.key(1), (2, 27), minval=-1.0)
  corner, unmarked = (
      networks.imagine(latent, jnp.full(2, a))[0].reshape(2, 3, 3, 3)
      for a in (0, 1)
  )
  changed = jnp.any(corner != unmarked, axis=(0, 3))
  expected = np.zeros((3, 3), bool)
  expected[:2, :2] = True
  np.testing.assert_array_equal(changed, expected)
  assert jnp.abs(corner).max() <= 1.0


def test_imagined_boards_become_those_that_come(config):
  config.model.window, config.model.channels = 3, 4
  config.env.num_lanes, config.num_steps = 32, 1024
  config.replay.capacity, config.replay.batch_size = 1024, 64
  config.learn.learning_rate, config.learn.updates_per_env_step = 3e-3, 0.25
  key = jax.random.key(0)
  run = board_run.begin(config, key, key)
  board_run.play_and_learn(run, key, key, num_updates=0)
  losses = []
  for i in range(7):
    keys = jax.random.split(jax.random.fold_in(key, i))
    metrics = board_run.play_and_learn(run, *keys, num_updates=32)
    losses.append(float(metrics["loss/consistency"]))
  assert losses[-1] < 0.25 * losses[0], losses


def test_a_map_needs_a_board(config):
  config.env.name = "cartpole"
  with pytest.raises(ValueError, match=r"window is 2, .*\(4,\): windows need"):
    board_agent.make_networks(config, jax.random.key(0))
