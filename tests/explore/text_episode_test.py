"""An episode of a text game, with a game and a language model made for it."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.checkpoint import Checkpointer, CheckpointError
from mulearn.env.base import FOLD_SEEDS, TextStep
from mulearn.explore import __main__ as main
from mulearn.explore import text_episode
from mulearn.explore.record import TextSight
from mulearn.prior.base import UniformPrior
from mulearn.types import TrainState

LM = (0.5, 0.25, 0.125, 0.125)


class _Prior(UniformPrior):
  """The first command is the likeliest."""

  def __call__(self, observations):
    rows = [np.float32(LM[: len(o.commands)]) for o in observations]
    return [np.log(row / row.sum()) for row in rows]


class _Pool:
  """Every command leads to the next room; the last one is the goal."""

  def __init__(self, rooms):
    self._rooms = rooms
    self.given = []

  def reset(self, starts):
    self.start, self.given = starts, []
    return {0: self._answer()}

  def step(self, commands):
    assert commands[0] in self._rooms[len(self.given)].commands
    self.given.append(commands[0])
    return {0: self._answer()}

  def _answer(self):
    at, end = len(self.given), len(self._rooms) - 1
    done = at == end
    return TextStep(self._rooms[at], float(done), done, False, at / end, done)


@pytest.fixture
def agent(tiny_config, make_networks, phrases, rooms):
  phrases.observe(rooms, learn=True)
  return Agent(tiny_config, make_networks(trust=0.25), phrases, _Prior())


def test_a_text_game_is_recorded(agent, rooms):
  pool = _Pool(rooms)
  episode = text_episode.play_episode(
      agent, pool, jax.random.key(0), game=3, num_simulations=6
  )
  assert pool.start == {0: (FOLD_SEEDS["test"][3], "test")}
  assert episode.ending == "success" and episode.board is None
  assert episode.last == TextSight("tidy up", "You are in the cellar.")
  assert [step.reward for step in episode.steps] == [0.0, 1.0]
  assert [step.over for step in episode.steps] == [False, True]
  for room, step, given in zip(rooms, episode.steps, pool.given):
    assert step.sight.text == room.prompt
    moves = [node for node in step.nodes if node.parent == 0]
    assert sorted(node.label for node in moves) == list(room.commands)
    assert [n.label for n in moves if n.chosen] == [given]
    total = sum(LM[: len(room.commands)])
    said = {n.label: n.language for n in moves}
    for command, share in zip(room.commands, LM):
      assert said[command] == pytest.approx(share / total, abs=1e-5)
    assert sum(n.visits for n in moves) == 6
    below = [n for n in step.nodes if n.parent > 0]
    assert all(0.0 < n.language <= 1.0 for n in below)
    assert step.trust == pytest.approx(0.25, abs=1e-5)


def test_without_a_language_model_none_is_told_of(agent, rooms):
  agent.prior = UniformPrior()
  episode = text_episode.play_episode(
      agent, _Pool(rooms), jax.random.key(0), game=0, num_simulations=6,
      max_steps=1,
  )  # fmt: skip
  [step] = episode.steps
  assert step.trust is None
  assert all(n.language is None for n in step.nodes if n.parent == 0)
  assert episode.ending == "cut before the end, score 0.50"


def test_numbers_that_make_no_sense_are_refused(agent, rooms):
  key = jax.random.key(0)
  for wrong in ({"num_simulations": 0}, {"max_steps": 0}, {"game": 1000}):
    with pytest.raises(ValueError, match=" is (0|1000); "):
      text_episode.play_episode(
          agent, _Pool(rooms), key, **({"game": 0} | wrong)
      )


@pytest.fixture
def workdir(agent, embed, tmp_path, monkeypatch):
  """A finished study of one arm and one seed."""
  config = dataclasses.replace(
      agent.config, arms={"plain": {"prior.kind": "uniform"}}
  )
  results = {"config": dataclasses.asdict(config)}
  (tmp_path / "results.json").write_text(json.dumps(results))
  workdir = tmp_path / "plain" / "seed_0"
  table, texts = agent.phrases.save()
  state = TrainState(agent.networks, (), np.zeros((), np.int32))
  memory = {"moves": np.zeros(3)}
  Checkpointer(workdir / "checkpoints").save(
      5, (state, memory, table), {"phrases": texts}
  )

  class Language:

    def __init__(self, unused_config):
      self.raw_scores = lambda: None
      self.embedding = lambda unused_config: embed

  monkeypatch.setattr(text_episode.build, "Language", Language)
  return workdir


def test_an_agent_comes_back_as_it_was(agent, workdir, rooms):
  found = text_episode.restore_agent(workdir)
  jax.tree.map(np.testing.assert_array_equal, found.networks, agent.networks)
  assert isinstance(found.prior, UniformPrior)
  assert found.config.prior.kind == "uniform"
  agent.prior = UniformPrior()
  key = jax.random.key(0)
  np.testing.assert_array_equal(
      found.plan(key, rooms[:1]).policy, agent.plan(key, rooms[:1]).policy
  )


def test_what_is_no_run_of_a_study_is_said(workdir, capsys):
  with pytest.raises(CheckpointError, match="'odd' is no arm.*plain"):
    odd = workdir.parent.parent / "odd" / "seed_0"
    (odd / "checkpoints").mkdir(parents=True)
    text_episode.restore_agent(odd)
  missing = workdir.with_name("seed_1")
  with pytest.raises(CheckpointError, match="seed_1 holds no run"):
    text_episode.restore_agent(missing)
  assert not missing.exists()
  assert main.main([f"--workdir={workdir.parent.parent}"]) == 1
  assert "of one run of a finished study" in capsys.readouterr().err
