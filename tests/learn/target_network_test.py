"""The target network: a slow average, and what searches if there is one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run
from mulearn.learn import target_network
from mulearn.types import TrainState

KEY = jax.random.key(2)


def test_it_follows_by_its_share():
  params = {"w": jnp.array([2.0, 4.0])}
  target = target_network.begin(params, 0.75)
  assert target["w"] is not params["w"]  # A state is donated whole.
  # 0.75 x (2, 4) + 0.25 x (-2, 0), then 0.75 x (1, 3) + 0.25 x (-6, -4).
  for newest, expected in (([-2, 0], [1, 3]), ([-6, -4], [-0.75, 1.25])):
    params = {"w": jnp.array(newest, jnp.float32)}
    target = target_network.follow(target, params, 0.75)
    np.testing.assert_allclose(target["w"], expected)


def test_without_one_the_newest_parameters_search():
  params = {"w": jnp.zeros(2)}
  assert target_network.begin(params, 0.0) is None
  assert target_network.follow(None, params, 0.0) is None
  assert TrainState(params, None, 0).searcher is params
  assert TrainState(params, None, 0, "target").searcher == "target"


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_target_that_cannot_follow_is_refused(decay):
  with pytest.raises(ValueError, match=f"learn.target_decay is {decay:g}"):
    target_network.begin({}, decay)


def _begin(config):
  config.learn.target_decay = 0.75
  config.learn.td_steps = 1  # One round is long enough to learn from.
  return board_run.begin(config, jax.random.key(0), jax.random.key(1))


def test_a_round_moves_the_target_a_little(board_config):
  run = _begin(board_config("world"))
  for _ in range(3):  # The first step's rate is 0.
    board_run.play_and_learn(run, KEY, KEY, num_updates=1)
  before = jax.tree.map(np.array, run.state.target)
  board_run.play_and_learn(run, KEY, KEY, num_updates=1)
  assert run.agent.networks is run.state.target
  expected = jax.tree.map(
      lambda old, new: 0.75 * old + 0.25 * new, before, run.state.params
  )
  moved = before.legal.bias[...] != run.state.params.legal.bias[...]
  assert np.all(moved)
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
      run.state.target,
      expected,
  )


def test_the_target_plays(board_config, make_board_networks):
  """What is stored depends on it alone, not on the newest parameters."""

  def policies(params, target):
    run = _begin(board_config("world"))
    copies = jax.tree.map(jnp.copy, (params, target))  # A state is donated.
    # Placed as before, it is of the same program.
    params, target = jax.device_put(copies, run.state.step.sharding)
    run.state = dataclasses.replace(run.state, params=params, target=target)
    board_run.play_and_learn(run, KEY, KEY, num_updates=1)
    return np.asarray(run.memory.experience.policy)

  one, two = (make_board_networks("world", seed) for seed in (0, 5))
  np.testing.assert_array_equal(policies(one, two), policies(two, two))
  assert (policies(one, one) != policies(one, two)).any()
