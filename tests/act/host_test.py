"""Acting in real games: what is stored is what happened."""

import copy
import json

import jax
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.act.host import Actor
from mulearn.config import ModelConfig
from mulearn.env.base import GameSpec, is_held_out
from mulearn.env.pool import TextPool
from mulearn.model.phrases import PhraseTable
from mulearn.prior.base import UniformPrior

SPEC = GameSpec("twc", (("numLocations", 1), ("numItemsToPutAway", 1)), 3)
LANES, GAMES, MOVES = 3, 7, 7


@pytest.fixture(scope="module")
def pool():
  with TextPool(SPEC, LANES + 3, 1) as games:
    yield games


@pytest.fixture(scope="module")
def played(pool, tiny_config, make_networks, embed):
  """A few moves of three lanes, and what the games themselves said."""
  config = copy.deepcopy(tiny_config)
  config.model = ModelConfig(
      width=16, max_facts=16, num_slots=40, num_imagined=4, max_phrases=512,
      num_bins=11,
  )  # fmt: skip
  actor = Actor(pool, num_lanes=LANES, num_games=GAMES)
  phrases = PhraseTable(embed, config.model)
  survey = actor.survey()
  phrases.fit(survey)
  agent = Agent(config, make_networks(), phrases, UniformPrior())
  assert not actor.started
  actor.start(jax.random.key(0))
  before, moves, saved = [], [], []
  for t in range(MOVES):
    before.append([pool.history(lane) for lane in range(LANES)])
    saved.append(json.loads(json.dumps(actor.save())))
    moves.append(actor.act(agent, jax.random.key(100 + t)))
  return actor, agent, survey, before, moves, saved


def test_survey_sees_every_train_game_once(played, pool):
  _, _, survey, *_ = played
  expected = pool.branch([(seed, "train", ()) for seed in range(GAMES)])
  assert survey == [step.observation for step in expected]


def test_moves_are_what_happened(played, pool):
  _, agent, _, before, moves, _ = played
  text = agent.phrases.text
  for histories, move in zip(before, moves):
    for lane, (seed, fold, past) in enumerate(histories):
      row = jax.tree.map(lambda x, i=lane: x[i, 0], move)
      seen, answer = pool.branch(
          [
              (seed, fold, past),
              (seed, fold, (*past, text(int(row.action.command)))),
          ]
      )
      commands = [text(n) for n in row.observation.commands if n]
      assert tuple(commands) == seen.observation.commands
      marked = [c for c, x in zip(commands, row.observation.tried) if x]
      assert set(marked) == set(seen.observation.tried)
      assert row.action.tried == (text(int(row.action.command)) in marked)
      np.testing.assert_array_equal(row.invalid, np.arange(40) >= len(commands))
      assert row.reward == np.float32(answer.reward)
      assert row.discount == (not answer.terminated)
      assert row.truncated == answer.truncated
      assert row.held_out == is_held_out(seed)
      assert row.policy.sum() == pytest.approx(1.0, rel=1e-4)
      assert not row.policy[row.invalid].any()


def test_games_end_and_begin_again(played):
  actor, _, _, before, moves, _ = played
  over = np.array(
      [(m.truncated | (m.discount == 0.0))[:, 0] for m in moves]
  )  # [moves, lanes]
  assert over.any() and not over.all()
  for t in range(MOVES - 1):
    for lane in range(LANES):
      fresh = before[t + 1][lane][2] == ()
      assert fresh == over[t, lane]
  assert len(actor.episodes) == over.sum()
  recent = actor.recent()
  assert recent["episodes"] == over.sum()
  assert 0.0 <= recent["train/success"] <= 1.0
  seeds = {seed for histories in before for seed, *_ in histories}
  assert seeds <= set(range(GAMES)) and len(seeds) > 1


def test_commands_of_acting_enter_the_vocabulary(played):
  _, agent, _, _, moves, _ = played
  vocabulary = np.asarray(agent.phrases.arrays()[1])
  seen = np.concatenate([m.observation.commands.ravel() for m in moves])
  assert vocabulary[seen[seen > 0]].all() and not vocabulary[0]
  assert set(np.flatnonzero(vocabulary)) == set(seen) - {0}


def test_a_restored_actor_goes_on_as_the_first(played, pool):
  _, agent, _, _, moves, saved = played
  again = Actor(pool, num_lanes=LANES, num_games=GAMES)
  again.restore(saved[4])
  assert again.started
  assert again.save()["episodes"] == [tuple(e) for e in saved[4]["episodes"]]
  # Same vocabulary or not, the games go on; compare what decides them.
  for t in range(4, MOVES):
    histories = [pool.history(lane) for lane in range(LANES)]
    assert [[s, f, list(c)] for s, f, c in histories] == saved[t]["lanes"]
    # Give the very commands of the first run.
    texts = [agent.phrases.text(int(n)) for n in moves[t].action.command[:, 0]]
    steps = pool.step(dict(enumerate(texts)))
    _, reset_key = jax.random.split(jax.random.key(100 + t))
    again._advance([steps[lane] for lane in range(LANES)], reset_key)


def test_before_the_first_episode_there_is_nothing_to_report(pool):
  actor = Actor(pool, num_lanes=LANES, num_games=GAMES)
  assert actor.recent() == {} and actor.save() == {"lanes": [], "episodes": []}
  actor.restore({"lanes": [], "episodes": []})
  assert not actor.started
