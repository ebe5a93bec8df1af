"""Worlds whose latents are boards: moves are written where they are done."""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run
from mulearn.act import board_agent
from mulearn.learn.losses import consistency
from mulearn.model import board_kinds, board_windows


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
  _, back = jax.vjp(reads, jnp.zeros((6, 60)))
  features = jax.random.normal(jax.random.key(1), (6, 3 * 4 * 7))
  np.testing.assert_allclose(back(features)[0], writes(features), atol=1e-5)


def test_written_out_once_it_says_the_same(config):
  leaves, tree = jax.tree.flatten(
      board_kinds.make_networks(config, jax.random.key(0))
  )
  keys = jax.random.split(jax.random.key(1), len(leaves))
  networks = tree.unflatten(  # Untrained heads would say nothing.
      0.3 * jax.random.normal(key, x.shape) for key, x in zip(keys, leaves)
  )
  ready = board_windows.spread_out(networks)
  planes = jax.random.bernoulli(jax.random.key(2), 0.3, (5, 3, 3, 2))
  action = jnp.array([0, 4, 8, 2, 2])

  def says(networks):
    latent = networks.represent(planes)
    return networks.predict(latent), networks.dynamics(latent, action)

  jax.tree.map(np.testing.assert_array_equal, says(ready), says(networks))


def test_a_search_writes_windows_out_in_its_own_precision(config):
  config.model.dtype = "bfloat16"
  networks = board_kinds.make_networks(config, jax.random.key(0))
  model = board_agent.BoardSettings.from_config(config).model(networks)
  for windows in (model.networks.read, model.networks.write):
    assert windows.spread.dtype == jnp.bfloat16
  assert networks.read.spread is None


def test_rewards_may_be_a_sum_beside_maps(config):
  config.env.name, config.model.prefix_moves = "breakout", 5
  networks = board_kinds.make_networks(config, jax.random.key(0))
  latent = jnp.zeros((2, 10 * 10 * 3))
  state, reward, _ = networks.dynamics(
      networks.reward.begin(latent), jnp.zeros(2, jnp.int32)
  )
  assert state.latent.shape == latent.shape and reward.shape == (2, 11)


def test_what_a_move_changes_is_seen_near_its_mark(config):
  """Nothing but windows carries a move's mark from cell to cell."""
  networks = board_kinds.make_networks(config, jax.random.key(0))
  marks = jnp.zeros((9, 3, 3, 3)).at[0, 0, 0].set(1.0).reshape(9, 27)
  networks.move.embedding[...] = marks
  latent = jax.random.uniform(jax.random.key(1), (2, 27), minval=-1.0)
  corner, elsewhere = (
      networks.imagine(latent, jnp.full(2, a))[0].reshape(2, 3, 3, 3)
      for a in (0, 1)
  )
  changed = jnp.any(corner != elsewhere, axis=(0, 3))
  expected = np.zeros((3, 3), bool)
  expected[:2, :2] = True
  np.testing.assert_array_equal(changed, expected)


def test_imagined_boards_become_those_that_come(config):
  config.model.window, config.model.channels = 3, 4
  config.env.num_lanes, config.num_steps = 32, 1024
  config.replay.capacity, config.replay.batch_size = 1024, 64
  config.learn.learning_rate, config.learn.updates_per_env_step = 3e-3, 0.25
  config.learn.td_steps = 1  # One round is long enough to learn from.
  key = jax.random.key(0)
  run = board_run.begin(config, key, key)
  losses = []
  for i in range(7):
    keys = jax.random.split(jax.random.fold_in(key, i))
    metrics = board_run.play_and_learn(run, *keys, num_updates=32)
    losses.append(float(metrics["loss/consistency"]))
  assert losses[-1] < 0.35 * losses[0], losses
  # What becomes of a board is nearer to that than to what becomes of others.
  networks, environment = run.state.params, run.agent.environment
  before, action = run.lanes.state, jnp.argmin(
      jax.vmap(environment.invalid)(run.lanes.state), axis=-1
  )  # fmt: skip
  after = jax.vmap(environment.step)(before, action)
  seen = [jax.vmap(environment.observation)(s) for s in (before, after)]
  old, real = map(networks.represent, seen)
  imagined, _ = networks.imagine(old, action)
  apart = jax.vmap(consistency, in_axes=(None, 0))
  others = jnp.stack([jnp.roll(real, i, axis=0) for i in range(1, len(real))])
  assert consistency(imagined, real).mean() < 0.5 * apart(
      imagined, others
  ).mean()  # fmt: skip
