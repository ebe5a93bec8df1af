"""An episode of a text game, with a game and a language model made for it."""

import jax
import numpy as np
import pytest

from mulearn.checkpoint import CheckpointError
from mulearn.env.base import FOLD_SEEDS
from mulearn.explore import __main__ as main
from mulearn.explore import text_episode
from mulearn.explore.record import TextSight
from mulearn.prior.base import UniformPrior


def test_a_text_game_is_recorded(
    text_agent, make_text_pool, language_shares, rooms
):
  pool = make_text_pool()
  episode = text_episode.play_episode(
      text_agent, pool, jax.random.key(0), game=3, num_simulations=6
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
    total = sum(language_shares[: len(room.commands)])
    said = {n.label: n.language for n in moves}
    for command, share in zip(room.commands, language_shares):
      assert said[command] == pytest.approx(share / total, abs=1e-5)
    assert sum(n.visits for n in moves) == 6
    below = [n for n in step.nodes if n.parent > 0]
    assert all(0.0 < n.language <= 1.0 for n in below)
    assert step.trust == pytest.approx(0.25, abs=1e-5)


def test_without_a_language_model_none_is_told_of(text_agent, make_text_pool):
  text_agent.prior = UniformPrior()
  episode = text_episode.play_episode(
      text_agent, make_text_pool(), jax.random.key(0), game=0, num_simulations=6,
      max_steps=1,
  )  # fmt: skip
  [step] = episode.steps
  assert step.trust is None
  assert all(n.language is None for n in step.nodes if n.parent == 0)
  assert episode.ending == "cut before the end, score 0.50"


def test_numbers_that_make_no_sense_are_refused(text_agent, make_text_pool):
  key = jax.random.key(0)
  for wrong in ({"num_simulations": 0}, {"max_steps": 0}, {"game": 1000}):
    with pytest.raises(ValueError, match=" is (0|1000); "):
      text_episode.play_episode(
          text_agent, make_text_pool(), key, **({"game": 0} | wrong)
      )


def test_an_agent_comes_back_as_it_was(text_agent, text_workdir, rooms):
  found = text_episode.restore_agent(text_workdir)
  jax.tree.map(
      np.testing.assert_array_equal, found.networks, text_agent.networks
  )
  assert isinstance(found.prior, UniformPrior)
  assert found.config.prior.kind == "uniform"
  text_agent.prior = UniformPrior()
  key = jax.random.key(0)
  np.testing.assert_array_equal(
      found.plan(key, rooms[:1]).policy, text_agent.plan(key, rooms[:1]).policy
  )


def test_what_is_no_run_of_a_study_is_said(text_workdir, capsys):
  with pytest.raises(CheckpointError, match="'odd' is no arm.*plain"):
    odd = text_workdir.parent.parent / "odd" / "seed_0"
    (odd / "checkpoints").mkdir(parents=True)
    text_episode.restore_agent(odd)
  missing = text_workdir.with_name("seed_1")
  with pytest.raises(CheckpointError, match="seed_1 holds no run"):
    text_episode.restore_agent(missing)
  assert not missing.exists()
  assert main.main([f"--workdir={text_workdir.parent.parent}"]) == 1
  assert "of one run of a finished study" in capsys.readouterr().err
