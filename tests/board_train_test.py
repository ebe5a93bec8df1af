"""The loop of a board: it is examined, and continues to the last bit."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import mulearn
from mulearn import board_train, train
from mulearn.checkpoint import CheckpointError
from mulearn.config import Config
from mulearn.metrics import read_json_lines
from mulearn.train import Hooks


class _Record:
  """Notes what is written."""

  def __init__(self):
    self.lines = []

  def write(self, step, values):
    self.lines.append({"step": step, **jax.tree.map(float, dict(values))})


def _train(config, workdir, stop_at=None):
  record, rounds = _Record(), []

  def should_stop():
    rounds.append(1)
    return len(rounds) == stop_at

  hooks = Hooks(record, should_stop)
  return board_train.train(config, workdir, begin=lambda _: hooks), record


def _arrays(run):
  return jax.tree.map(np.asarray, (run.state, run.memory, run.lanes))


@pytest.fixture(scope="module")
def config(board_config):
  """A run with all that a checkpoint of a board can hold."""
  config = board_config("world")
  config.replay.prioritised = True
  config.replay.reanalysed_per_env_step = 0.5
  config.learn.target_decay = 0.9
  config.learn.consistency_weight = 1.0
  return config


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("whole")
  results = board_train.run_experiment(config, workdir)
  return results, workdir


def test_it_learns_and_is_examined_at_both_ends(whole):
  results, workdir = whole
  assert results["env_steps"] == 64 and results["updates"] == 3 * 2
  assert [p["env_steps"] for p in results["curve"]] == [0, 32, 64]
  assert results["final"] == results["curve"][-1]
  assert results["worst_of_last_quarter"] == results["final"]["optimal_rate"]
  assert results["seconds"] >= results["final"]["seconds"] > 0.0
  lines = list(read_json_lines(workdir / "metrics.jsonl"))
  seen = [line["env_steps"] for line in lines if "optimal_rate" in line]
  assert seen == [0, 32, 64]
  assert sum("loss/value" in line for line in lines) == 3
  written = json.loads((workdir / "results.json").read_text())
  assert written == json.loads(json.dumps(results))


@pytest.fixture(scope="module")
def rarely(config):
  """The run, saved where it stops."""
  return dataclasses.replace(config, checkpoint_every_seconds=1e9)


@pytest.fixture(scope="module")
def unstopped(rarely, tmp_path_factory):
  return _train(rarely, tmp_path_factory.mktemp("unstopped"))


@pytest.mark.parametrize("stop_at", [1, 3])
def test_stopped_and_continued_is_the_same_to_the_last_bit(
    rarely, unstopped, tmp_path, stop_at
):
  expected, full = unstopped
  record = _Record()
  with pytest.raises(train.Interrupted):
    board_train.train(
        rarely, tmp_path, begin=lambda _: Hooks(record, _after(stop_at))
    )
  run, rest = _train(rarely, tmp_path)
  jax.tree.map(np.testing.assert_array_equal, _arrays(run), _arrays(expected))
  assert record.lines + rest.lines == full.lines
  assert [p["optimal_rate"] for p in run.curve] == [
      p["optimal_rate"] for p in expected.curve
  ]


def _after(count):
  calls = []

  def stop():
    calls.append(1)
    return len(calls) >= count

  return stop


def test_the_same_command_again_only_reads(whole, config):
  results, workdir = whole
  before = (workdir / "metrics.jsonl").read_text()
  again = board_train.run_experiment(config, workdir)
  assert again == results
  assert (workdir / "metrics.jsonl").read_text() == before


def test_a_memory_that_is_never_enough_is_refused(config, tmp_path):
  replay = dataclasses.replace(config.replay, min_size=65)
  with pytest.raises(
      ValueError, match="min_size is 65, but replay.capacity 64"
  ):
    _train(dataclasses.replace(config, replay=replay), tmp_path)


def test_a_memory_shorter_than_a_round_is_refused(config, tmp_path):
  lanes = config.env.num_lanes
  plies = config.replay.capacity // lanes + 1
  self_play = dataclasses.replace(config.self_play, num_plies=plies)
  with pytest.raises(
      ValueError,
      match=f"leaves {plies - 1} moves to each of {lanes} lanes.*num_plies"
      f" {plies} of them: make it {plies * lanes} at least",
  ):
    _train(dataclasses.replace(config, self_play=self_play), tmp_path)


def test_another_config_leaves_the_run_as_it_is(whole, config):
  results, workdir = whole
  wider = dataclasses.replace(config.model, width=24)
  with pytest.raises(CheckpointError, match="another config"):
    board_train.run_experiment(
        dataclasses.replace(config, model=wider), workdir
    )
  written = json.loads((workdir / "config.json").read_text())
  assert written == json.loads(json.dumps(results["config"]))


def test_a_run_is_restored_as_an_agent(whole, board_states):
  _, workdir = whole
  agent = mulearn.restore_agent(workdir)
  assert int(agent.config.num_steps) == 64
  plan = agent.plan(jax.random.key(0), board_states((), (4,)))
  assert plan.action.shape == (2,) and plan.policy.shape == (2, 9)
  again = mulearn.restore_agent(str(workdir)).plan(
      jax.random.key(0), board_states((), (4,)), num_simulations=4
  )
  np.testing.assert_array_equal(plan.policy, again.policy)


def test_the_best_is_kept_beside_the_newest(whole):
  results, workdir = whole
  [name] = [p.name for p in (workdir / "best").iterdir()]
  curve = results["curve"]
  best = max(curve, key=lambda point: point["optimal_rate"])
  assert int(name) == best["env_steps"]
  agent = mulearn.restore_agent(workdir, best=True)
  newest = mulearn.restore_agent(workdir)
  assert jax.tree.structure(agent.networks) == jax.tree.structure(
      newest.networks
  )


def test_an_agent_needs_no_more_of_a_run_than_its_parameters(whole, tmp_path):
  _, workdir = whole
  shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
  values = json.loads((tmp_path / "config.json").read_text())
  values["replay"]["capacity"] *= 2  # As if replay were laid out otherwise.
  (tmp_path / "config.json").write_text(json.dumps(values))
  jax.tree.map(
      np.testing.assert_array_equal,
      mulearn.restore_agent(tmp_path).networks,
      mulearn.restore_agent(workdir).networks,
  )
  values["model"]["width"] *= 2
  (tmp_path / "config.json").write_text(json.dumps(values))
  with pytest.raises(CheckpointError, match="another config"):
    mulearn.restore_agent(tmp_path)


def test_an_older_checkpoint_is_restored_by_its_step(config, tmp_path):
  config = dataclasses.replace(config, num_checkpoints=10)
  board_train.run_experiment(config, tmp_path)
  names = [p.name for p in (tmp_path / "checkpoints").iterdir()]
  steps = sorted({int(name.partition(".")[0]) for name in names})
  assert len(steps) == 4 and steps[-1] == 64
  newest, same, older = (
      jax.tree.leaves(mulearn.restore_agent(tmp_path, step).networks)
      for step in (None, 64, steps[0])
  )
  jax.tree.map(np.testing.assert_array_equal, same, newest)
  assert any((a != b).any() for a, b in zip(older, newest))
  with pytest.raises(CheckpointError, match="no checkpoint of step 65"):
    mulearn.restore_agent(tmp_path, 65)


def test_what_is_no_run_cannot_be_restored(tmp_path):
  with pytest.raises(CheckpointError, match="holds no run on a board"):
    mulearn.restore_agent(tmp_path)
  with pytest.raises(AttributeError, match="no_such_name"):
    mulearn.no_such_name  # noqa: B018


def test_a_game_that_nobody_can_examine_is_said_at_once(config, tmp_path):
  env = dataclasses.replace(config.env, name="backgammon")
  config = dataclasses.replace(config, env=env)
  with pytest.raises(ValueError, match="backgammon.*tic_tac_toe"):
    board_train.run_experiment(config, tmp_path)


def test_configs_come_back_from_json(config):
  values = json.loads(json.dumps(dataclasses.asdict(config)))
  assert board_train.config_from_dict(Config, values) == config


def test_one_command_is_one_run(config, tmp_path):
  several = dataclasses.replace(config, num_seeds=2)
  with pytest.raises(ValueError, match="num_seeds is 2"):
    board_train.run_experiment(several, tmp_path)


def test_agents_are_kept_at_points_ever_further_apart(config, tmp_path):
  config = dataclasses.replace(
      config, eval_every=16, eval_growth=3.0, keep_agents=True
  )
  results = board_train.run_experiment(config, tmp_path)
  steps = [point["env_steps"] for point in results["curve"]]
  assert steps == [0, 16, 48, 64]
  agents = board_train.restore_agents(tmp_path)
  assert list(agents) == steps
  first, *_, last = (jax.tree.leaves(a.networks) for a in agents.values())
  newest = jax.tree.leaves(mulearn.restore_agent(tmp_path).networks)
  jax.tree.map(np.testing.assert_array_equal, last, newest)
  assert any((a != b).any() for a, b in zip(first, last))


def test_growing_points_come_once_where_rounds_step_over_them(board_config):
  config = board_config("simulator")  # Rounds of 16 moves.
  config.eval_every, config.eval_growth = 16, 1.5
  rounds = range(0, 161, 16)
  due = [now for now in rounds if board_train._num_points(config, now) >
         board_train._num_points(config, now - 16)]  # fmt: skip
  # 16, 24, 36, 54, 81, 121.5 in the rounds that end on them or behind them.
  assert due == [16, 32, 48, 64, 96, 128]


def test_a_run_that_kept_no_agents_is_told(whole):
  with pytest.raises(CheckpointError, match="config.keep_agents=true"):
    board_train.restore_agents(whole[1])
