"""Learning on several devices: what they share, and what is each one's own."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
import numpy as np
import pytest

from mulearn import board_run
from mulearn import config as c
from mulearn import run as run_lib
from mulearn.learn.step import learn_from_replay
from mulearn.model.phrases import PhraseTable
from mulearn.parallel.mesh import make_mesh, shard_key
from mulearn.replay import buffer
from mulearn.replay.buffer import replay_of


def _board_config():
  return c.Config(
      num_steps=256,
      env=c.EnvConfig(name="tic_tac_toe", step_limit=9, num_lanes=8),
      model=c.ModelConfig(
          kind="simulator", width=16, num_bins=11, max_return=1.0
      ),
      search=c.SearchConfig(num_simulations=2, max_considered=4, max_depth=2),
      self_play=c.SelfPlayConfig(num_plies=12, opening_plies=3),
      replay=c.ReplayConfig(capacity=128, batch_size=8),
      learn=c.LearnConfig(
          unroll_steps=0, td_steps=2, discount=1.0, updates_per_env_step=1 / 48
      ),
  )


def test_four_devices(run_on_devices):
  """See `_on_four_devices`, which needs a process of its own."""
  assert run_on_devices(4, __file__) == "passed"


@pytest.mark.parametrize("num_shards", [1, 4])
def test_a_part_of_the_replay_has_the_rings_of_the_whole(num_shards):
  config = _board_config().replay
  part, num_lanes = buffer.split(config, 8, num_shards)
  assert num_lanes == 8 // num_shards
  assert part.capacity // num_lanes == config.capacity // 8
  assert part.batch_size * num_shards == config.batch_size


def test_one_shard_keeps_the_key_it_was_given():
  """Else a run on one device would not be what it was."""
  key = jax.random.key(3)
  assert shard_key(key, make_mesh(jax.devices()[:1])) is key


def _on_four_devices():
  mesh = make_mesh()
  assert mesh.shape["data"] == 4
  state = _check_round(mesh)
  _check_gradients(mesh, state)
  _check_text(mesh)
  print("passed")


def _check_round(mesh):
  """A round of play and two updates, of each device's own lanes."""
  config = _board_config()
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  metrics = board_run.play_and_learn(
      run, jax.random.key(2), jax.random.key(3), num_updates=2
  )
  assert int(run.state.step) == 2
  _assert_alike_everywhere(run.state)
  moves = run.memory.experience
  assert moves.action.sharding.spec == PartitionSpec("data")
  held = jax.tree.map(lambda x: np.asarray(x)[:, :12], moves)
  ended = (held.discount == 0.0) | held.truncated
  assert int(metrics["games"]) == ended.sum() > 0
  # Two lanes a device: with one key for all, every device would play the same.
  actions = held.action.reshape(4, 2, 12)
  assert len({a.tobytes() for a in actions}) == 4
  np.testing.assert_allclose(held.policy.sum(-1), 1.0, rtol=1e-4)
  return jax.device_get(run.state)


def _check_gradients(mesh, state):
  """Gradients of the parts, averaged, are those of the whole batch."""
  config = _board_config()
  learner = board_run.learner_of(config)
  keys = jax.random.split(jax.random.key(5), 8)
  batch = jax.tree.map(
      lambda x: jnp.zeros((8, 3, *x.shape), x.dtype),
      board_run._example_move(config),
  )
  batch = batch._replace(
      observation=jax.random.bernoulli(keys[0], 0.5, batch.observation.shape),
      policy=jax.nn.softmax(jax.random.normal(keys[1], batch.policy.shape)),
      action=jax.random.randint(keys[2], batch.action.shape, 0, 9),
      reward=jax.random.normal(keys[3], batch.reward.shape),
      discount=-jnp.ones(batch.discount.shape),
  )
  weights = jnp.linspace(0.5, 1.5, 8)
  whole, _ = jax.jit(learner.train_step)(state, batch, weights)
  data, everywhere = PartitionSpec("data"), PartitionSpec()
  learner = dataclasses.replace(learner, axis="data")
  step = jax.shard_map(
      lambda *arguments: learner.train_step(*arguments)[0],
      mesh=mesh,
      in_specs=(everywhere, data, data),
      out_specs=everywhere,
      check_vma=False,
  )
  parts = jax.jit(step)(state, batch, weights)
  moved = 0.0
  for x, y, z in zip(*map(jax.tree.leaves, (whole, parts, state))):
    np.testing.assert_allclose(x, y, atol=2e-6)
    moved = max(moved, float(abs(x - z).max()))
  assert moved > 1e-5


def _check_text(mesh):
  """The optimiser steps of a text game keep one set of parameters."""
  config = c.Config(
      env=c.EnvConfig(num_lanes=8),
      model=c.ModelConfig(
          width=16, max_facts=4, num_slots=4, num_imagined=2, max_phrases=64,
          num_bins=11,
      ),
      replay=c.ReplayConfig(capacity=128, batch_size=8),
      learn=c.LearnConfig(
          unroll_steps=1, td_steps=1, updates_per_env_step=0.25
      ),
  )  # fmt: skip
  fresh = functools.partial(run_lib.fresh, config)
  where = run_lib.layout(jax.eval_shape(fresh, jax.random.key(0)), mesh)
  state, memory = jax.jit(fresh, out_shardings=where)(jax.random.key(0))
  rewards = jax.random.normal(jax.random.key(1), memory.experience.reward.shape)
  memory = memory.replace(
      experience=memory.experience._replace(reward=rewards),
      is_full=memory.is_full | True,
  )
  phrases = (
      jax.random.normal(jax.random.key(2), (64, PhraseTable.width)),
      jnp.ones(64, bool),
  )
  state, memory, metrics = learn_from_replay(
      state, memory, jax.random.key(3), phrases,
      num_updates=run_lib.updates_per_act(config),
      replay=replay_of(config, 4), mesh=mesh,
      **run_lib.learn_settings(config),
  )  # fmt: skip
  assert int(state.step) == 2 and np.isfinite(metrics["loss"])
  _assert_alike_everywhere(state)


def _assert_alike_everywhere(tree):
  for leaf in jax.tree.leaves(tree):
    first, *others = (np.asarray(s.data) for s in leaf.addressable_shards)
    assert len(others) == 3
    for other in others:
      np.testing.assert_array_equal(first, other)


if __name__ == "__main__":
  _on_four_devices()
