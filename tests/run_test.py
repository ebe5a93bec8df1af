"""The parts of a run that need no game."""

import dataclasses

import numpy as np
import pytest

from mulearn import run as run_lib
from mulearn.config import (
    Config,
    EnvConfig,
    LearnConfig,
    PriorConfig,
    ReplayConfig,
)
from mulearn.replay.buffer import replay_of


def test_lanes_of_acting_and_of_evaluation_are_apart():
  config = Config(env=EnvConfig(num_lanes=4, num_eval_lanes=3))
  assert list(run_lib.eval_lanes(config)) == [4, 5, 6]


def test_a_game_is_what_the_config_names():
  config = Config(env=EnvConfig(name="coin", params={"a": 1}, step_limit=9))
  spec = run_lib.game_spec(config)
  assert (spec.name, spec.params, spec.step_limit) == ("coin", (("a", 1),), 9)


@pytest.mark.parametrize(
    "lanes, ratio, updates", [(16, 0.5, 8), (2, 0.5, 1), (4, 2.0, 8)]
)
def test_data_and_updates_keep_their_ratio(lanes, ratio, updates):
  config = Config(
      env=EnvConfig(num_lanes=lanes),
      learn=LearnConfig(updates_per_env_step=ratio),
  )
  assert run_lib.updates_per_act(config) == updates


@pytest.mark.parametrize("lanes, ratio", [(3, 0.5), (1, 0.5), (16, 0.0)])
def test_a_ratio_that_does_not_come_out_whole_is_an_error(lanes, ratio):
  config = Config(
      env=EnvConfig(num_lanes=lanes),
      learn=LearnConfig(updates_per_env_step=ratio),
  )
  with pytest.raises(ValueError, match="updates_per_env_step"):
    run_lib.updates_per_act(config)


@pytest.mark.parametrize("lanes, ratio, moves", [(16, 0.0, 0), (100, 0.29, 29)])
def test_reanalysed_moves_keep_their_ratio(lanes, ratio, moves):
  config = Config(
      env=EnvConfig(num_lanes=lanes),
      replay=ReplayConfig(reanalysed_per_env_step=ratio),
  )
  assert run_lib.reanalysed_per_act(config) == moves
  config.replay.reanalysed_per_env_step = 0.005
  with pytest.raises(ValueError, match="reanalysed_per_env_step"):
    run_lib.reanalysed_per_act(config)


def test_arms_that_learn_alike_share_a_compiled_step():
  def optimizer(**prior):
    config = Config(prior=PriorConfig(**prior))
    return run_lib.learn_settings(config)["optimizer"]

  assert optimizer(kind="uniform") is optimizer(kind="language", in_tree=False)
  assert optimizer(learn_trust=False) is not optimizer()
  assert optimizer(fusion="annealed") is not optimizer()
  assert optimizer(trust=0.25) is not optimizer()


def test_what_is_stored_fits_what_is_acted(tiny_config):
  config = dataclasses.replace(tiny_config)
  memory = replay_of(config).init(run_lib._example_move(config))
  experience = memory.experience
  lanes, slots = config.env.num_lanes, config.model.num_slots
  assert experience.policy.shape == (lanes, 64 // lanes, slots)
  assert experience.observation.facts.shape[2:] == (config.model.max_facts,)
  assert experience.action.command.dtype == np.int32
