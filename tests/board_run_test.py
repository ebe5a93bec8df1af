"""The parts of a run on a board."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from mulearn import board_run, train
from mulearn.parallel.mesh import make_mesh
from mulearn.replay.buffer import num_moves


def test_a_round_moves_every_lane_and_learns(board_config):
  config = board_config("world")
  config.learn.explored_below = 2.0  # Of the mode, which no move has.
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  before = jax.tree.map(np.array, run.state.params)
  assert board_run.moves_per_round(config) == 16
  assert board_run.updates_per_round(config) == 2
  key = jax.random.key(2)
  board_run.play_and_learn(run, key, key, num_updates=0)
  metrics = board_run.play_and_learn(run, key, key, num_updates=2)
  assert run.env_steps == 32 == int(num_moves(run.memory))
  assert int(run.state.step) == 2 and "loss/policy" in metrics
  assert metrics["explored"] == 1.0
  changed = jax.tree.map(lambda a, b: (a != b).any(), before, run.state.params)
  # The other layers lie behind heads that begin at zero.
  assert np.mean(jax.tree.leaves(changed)) > 0.5
  assert run.agent.networks is run.state.params


def test_what_was_sampled_is_done_remembered_and_learned(board_config):
  """A pendulum: the torque that moved it is one of the slots."""
  config = board_config("sampled")
  config.env.name, config.model.num_samples = "pendulum", 6
  config.replay.reanalysed_per_env_step, config.learn.td_steps = 0.25, 1
  config.learn.explored_below = 0.0
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  key = jax.random.key(2)
  metrics = board_run.play_and_learn(run, key, key, num_updates=2)
  assert np.isfinite(metrics["loss/policy"]) and int(run.state.step) == 2
  moves = jax.tree.map(lambda x: np.array(x)[:, :4], run.memory.experience)
  assert moves.actions.shape == (4, 4, 6, 1)
  np.testing.assert_allclose(moves.policy.sum(axis=-1), 1.0, rtol=1e-5)
  shown = np.all(moves.actions == moves.action[:, :, None], axis=-1)
  # What was searched again was sampled again: up to 4 of 16 moves.
  assert 12 <= shown.any(axis=-1).sum() < 16
  # gymnax: 3 g / 2 l sin(theta) + 3 u / m l^2, for 50 ms.
  _, sine, speed = np.moveaxis(moves.observation, -1, 0)
  faster = (15.0 * sine + 3.0 * 2.0 * moves.action[..., 0]) * 0.05
  np.testing.assert_allclose(
      speed[:, 1:], np.clip(speed + faster, -8.0, 8.0)[:, :-1], atol=1e-4
  )


def test_nearly_all_targets_may_be_searched_again(board_config):
  """199 for each move played: 99.5 % of all searches."""
  config = board_config("world")
  config.replay.reanalysed_per_env_step = 199.0
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  key = jax.random.key(2)
  board_run.play_and_learn(run, key, key, num_updates=0)
  before = np.array(run.memory.experience.value)
  board_run.play_and_learn(run, key, jax.random.key(3), num_updates=2)
  held = int(num_moves(run.memory)) // len(before)
  after = np.asarray(run.memory.experience.value)
  assert (after != before)[:, : held // 2].all()


@pytest.mark.parametrize(
    "name, kind", [("pendulum", "world"), ("tic_tac_toe", "sampled")]
)
def test_actions_and_agent_have_to_fit(board_config, name, kind):
  config, key = board_config(kind), jax.random.key(0)
  config.env.name = name
  with pytest.raises(ValueError, match=f"'{name}', model.kind '{kind}': games"):
    board_run.begin(config, key, key)


def test_samples_are_not_learned_from_games_of_others(board_config):
  config, key = board_config("sampled"), jax.random.key(0)
  config.env.name, config.replay.data = "pendulum", "games"
  with pytest.raises(ValueError, match="'sampled', which learns from its own"):
    board_run.begin(config, key, key)
  config.replay.data, config.model.proposal = "", "uniform"
  with pytest.raises(ValueError, match="proposal is 'uniform'; it must be"):
    board_run.begin(config, key, key)


@pytest.mark.parametrize(
    "part, changes, says",
    [
        ("self_play", {"temperature": 0.0}, "temperature is 0, which moves"),
        ("search", {"policy": "gumbl"}, "'gumbl'; it must be one of gumbel,"),
    ],
)
def test_a_config_that_cannot_be_says_so(board_config, part, changes, says):
  config, key = board_config("world"), jax.random.key(0)
  changed = dataclasses.replace(getattr(config, part), **changes)
  config = dataclasses.replace(config, **{part: changed})
  with pytest.raises(ValueError, match=says):
    run = board_run.begin(config, key, key)
    board_run.play_and_learn(run, key, key, num_updates=0)


def test_new_samples_say_nothing_of_what_was_explored(board_config):
  config, key = board_config("sampled"), jax.random.key(0)
  config.env.name, config.learn.explored_below = "pendulum", 0.5
  config.replay.reanalysed_per_env_step = 1.0
  with pytest.raises(ValueError, match="every move looks explored"):
    board_run.begin(config, key, key)


def test_openings_are_made_where_moves_can_be_tried(board_config):
  config, key = board_config("sampled"), jax.random.key(0)
  config.env.name, config.self_play.openings_at_once = "pendulum", True
  with pytest.raises(
      ValueError, match="openings_at_once is True, but model.kind"
  ):
    board_run.begin(config, key, key)


def test_search_may_not_know_what_chance_will_do(board_config):
  config, key = board_config("simulator"), jax.random.key(0)
  config.env.name = "2048"
  with pytest.raises(ValueError, match="'2048' hold what chance will do next"):
    board_run.begin(config, key, key)


def test_no_step_is_made_with_what_is_not_finite(board_config):
  """And the term that was not is named."""
  config = board_config("world")
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  key = jax.random.key(2)
  board_run.play_and_learn(run, key, key, num_updates=2)
  before = jax.tree.map(np.array, run.state)
  moves = run.memory.experience
  run.memory = run.memory.replace(
      experience=moves._replace(reward=moves.reward + np.inf)
  )
  metrics = board_run.play_and_learn(run, key, key, num_updates=2)
  jax.tree.map(np.testing.assert_array_equal, run.state, before)
  assert int(run.state.step) == 2
  with pytest.raises(FloatingPointError, match="loss/value.* is not finite"):
    train.check_finite(metrics)


def test_devices_share_shards_evenly_or_say_so(board_config):
  config = board_config("world")
  mesh = make_mesh(jax.devices()[:1])
  program = board_run.program_of(config, 1, mesh, num_shards=4)
  assert program.shards_a_device == program.num_shards == 4
  assert program.axis == ("data", "shard")
  assert board_run.program_of(config, 1, mesh).axis == "data"
  four = types.SimpleNamespace(shape={"data": 4})
  with pytest.raises(ValueError, match="num_shards is 6, which 4 devices"):
    board_run.program_of(config, 1, four, num_shards=6)


def test_a_run_keeps_its_shards_where_the_devices_can(board_config, caplog):
  key = jax.random.key(0)
  run = board_run.begin(board_config("world"), key, key)
  run._divide(4)
  assert run.num_shards == 4
  run.agent.mesh = types.SimpleNamespace(shape={"data": 8})
  run.num_shards = 8
  with caplog.at_level("WARNING", logger="absl"):
    run._divide(4)
  assert run.num_shards == 8 and "goes on with 8" in caplog.text


def test_a_ratio_that_is_not_whole_is_told(board_config):
  config = board_config("world")
  config.learn.updates_per_env_step = 0.1
  with pytest.raises(ValueError, match="is 1.6; a whole number"):
    board_run.updates_per_round(config)
  assert board_run.reanalysed_per_round(config) == 0
  for ratio, count in ((0.5, 8), (199.0, 199 * 16)):  # 99.5 % of all targets.
    config.replay.reanalysed_per_env_step = ratio
    assert board_run.reanalysed_per_round(config) == count
  config.replay.reanalysed_per_env_step = 0.01
  with pytest.raises(ValueError, match="reanalysed_per_env_step x .* is 0.16"):
    board_run.reanalysed_per_round(config)


@pytest.mark.parametrize(
    "part, field",
    [
        ("replay", "reanalysed_per_env_step"),
        ("learn", "consistency_weight"),
        ("model", "prefix_moves"),
    ],
)
def test_what_needs_a_learned_world_says_so(board_config, part, field):
  key = jax.random.key(0)
  config = board_config("simulator")
  setattr(getattr(config, part), field, 0.5)
  with pytest.raises(ValueError, match=f"{part}.{field} is 0.5 .*'simulator'"):
    board_run.begin(config, key, key)
  config.model.kind = "world"
  if part == "model":
    with pytest.raises(ValueError, match="prefix_moves is 0.5.*a game of two"):
      board_run.begin(config, key, key)
    config.env.name, config.model.prefix_moves = "catch", 2
  board_run.begin(config, key, key)


def test_efficientzero_plays_and_learns(board_config):
  """Value prefix, consistency, correction and Reanalyse in one program."""
  config = board_config("world")
  config.env.name, config.model.prefix_moves = "catch", 2
  config.self_play.num_plies = 8
  config.learn.correction_steps, config.learn.consistency_weight = 1, 2.0
  config.replay.reanalysed_per_env_step = 0.25
  key = jax.random.key(0)
  run = board_run.begin(config, key, key)
  before = np.array(run.state.params.reward.kernel[...])
  for _ in range(2):
    metrics = board_run.play_and_learn(run, key, key, num_updates=2)
  assert metrics["loss/reward"] > 0.0 < metrics["loss/consistency"]
  assert (run.state.params.reward.kernel[...] != before).any()
  # Moves carry the number of optimiser steps before them.
  born = run.memory.experience.born
  np.testing.assert_array_equal(born, [[0] * 8 + [2] * 8] * 4)
