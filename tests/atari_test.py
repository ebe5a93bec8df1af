"""The experiment `atari`: two steps from pixels, with all of EfficientZero."""

import importlib.util
import json
import pathlib

import pytest

from mulearn import board_train


def test_two_steps_are_played_and_learned(tmp_path):
  pytest.importorskip("ale_py", reason="needs ale-py, the extra atari")
  root = pathlib.Path(__file__).parent.parent
  spec = importlib.util.spec_from_file_location(
      "atari_config", root / "experiments" / "atari" / "config.py"
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config("pong")
  config.num_steps, config.eval_every = 48, 48
  config.env.num_lanes = config.env.num_eval_lanes = 2
  config.env.step_limit = 24
  config.self_play.num_plies = 12
  config.model.channels, config.model.width = 4, 8
  config.model.prefix_moves = 2
  config.search.num_simulations = config.search.num_eval_simulations = 2
  config.replay.capacity, config.replay.batch_size = 48, 2
  config.replay.min_size = 24
  config.replay.reanalysed_per_env_step = 1 / 12
  config.learn.unroll_steps = config.learn.td_steps = 2
  config.learn.updates_per_env_step = 1 / 24
  results = board_train.run_experiment(config, tmp_path)
  assert results["env_steps"] == 48 and results["updates"] == 2
  assert [point["env_steps"] for point in results["curve"]] == [0, 48]
  assert results["final"]["mean_length"] == 24
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  learned = [x for x in map(json.loads, lines) if "loss" in x]
  assert len(learned) == 2
  for line in learned:
    assert {"loss/reward", "loss/consistency", "loss/value"} < set(line)
