"""Playing: every game once, and players that are what they say."""

import jax
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.env.base import GameSpec
from mulearn.env.gold import GoldSource
from mulearn.env.pool import TextPool
from mulearn.evaluate import play as play_lib

SEEDS = [20_000 + i for i in (3, 0, 1, 4, 2, 9, 6)]


def _play(player, pool, lanes=(2, 5), seeds=SEEDS, key=0, **kwargs):
  return play_lib.play(
      player, pool, lanes, fold="test", seeds=seeds,
      rng_key=jax.random.key(key), **kwargs,
  )  # fmt: skip


def _right(rng_key, situations):
  del rng_key
  return ["go right"] * len(situations)


def _wait(rng_key, situations):
  del rng_key
  return [
      "wait" if "wait" in s.observation.commands else "go left"
      for s in situations
  ]


def test_every_seed_is_played_once_and_in_order(pool):
  counts = []
  outcomes = _play(_right, pool, on_finish=counts.append)
  assert [o.seed for o in outcomes] == SEEDS
  assert sorted(pool.started) == sorted((s, "test") for s in SEEDS)
  assert set(pool.lanes) == {2, 5}
  assert counts[-1] == len(SEEDS) and counts == sorted(counts)
  for outcome in outcomes:
    # Games of odd seeds begin a cell nearer to the goal.
    length = 3 - outcome.seed % 2
    assert outcome.commands == ("go right",) * length
    assert outcome.success and outcome.score == 1.0


@pytest.mark.parametrize("lanes", [(0,), tuple(range(20))])
def test_any_number_of_lanes_will_do(pool, lanes):
  assert _play(_right, pool, lanes) == _play(_right, type(pool)())


def test_games_that_are_cut_are_finished(pool):
  for outcome in _play(_wait, pool):
    assert len(outcome.commands) == 4 and not outcome.success


def test_situations_are_of_the_right_games(pool, play_corridor):
  def check(rng_key, situations):
    for s in situations:
      assert play_corridor(s.history).observation == s.observation
    return _right(rng_key, situations)

  _play(check, pool)


def test_random_player_is_a_function_of_the_key(pool):
  random = play_lib.random_player()
  one, two, other = (_play(random, pool, key=k) for k in (0, 0, 1))
  assert one == two != other


def test_random_player_is_fair(pool, play_corridor):
  observation = play_corridor((20_000, "test", ())).observation
  situation = play_lib.Situation((20_000, "test", ()), observation)
  picks = play_lib.random_player()(jax.random.key(0), [situation] * 3000)
  for command in observation.commands:
    assert picks.count(command) / 3000 == pytest.approx(1 / 3, abs=0.04)


class _Prior:
  """Likes to go right: twice as much as anything else."""

  def __call__(self, observations):
    rows = []
    for o in observations:
      weights = np.array([1.0 + (c == "go right") for c in o.commands])
      rows.append(np.log(weights / weights.sum()).astype(np.float32))
    return rows


def test_language_model_alone_is_greedy_or_sampled(pool, play_corridor):
  greedy = play_lib.prior_player(_Prior(), sample=False)
  assert all(o.success for o in _play(greedy, pool))
  observation = play_corridor((20_000, "test", ())).observation
  situation = play_lib.Situation((20_000, "test", ()), observation)
  sampled = play_lib.prior_player(_Prior(), sample=True)
  picks = sampled(jax.random.key(0), [situation] * 1000)
  assert picks.count("go right") / 1000 == pytest.approx(0.5, abs=0.05)


@pytest.fixture
def agent(tiny_config, make_networks, phrases):
  return Agent(tiny_config, make_networks(), phrases, _Prior())


def test_policy_player_plays_the_heads_favourite(agent, pool, play_corridor):
  player = play_lib.policy_player(agent, batch_size=3)
  histories = [(20_000 + i, "test", ()) for i in (0, 1)]
  observations = [play_corridor(h).observation for h in histories]
  situations = list(map(play_lib.Situation, histories, observations))
  picks = player(jax.random.key(0), situations)
  numbers, prior = agent.observe(observations, batch_size=2)
  _, head = agent.glance(numbers, prior)
  for pick, observation, row in zip(picks, observations, np.asarray(head)):
    count = len(observation.commands)
    assert pick == observation.commands[row[:count].argmax()]
    assert (row[count:] < row[:count].min()).all()


def test_search_player_plays_whole_games(agent, pool):
  player = play_lib.search_player(agent, batch_size=3)
  one = _play(player, pool, lanes=(0, 1, 2))
  two = _play(player, pool, lanes=(0, 1, 2))
  assert one == two and len(one) == len(SEEDS)
  # Evaluation leaves the vocabulary of imagination alone.
  assert not np.asarray(agent.phrases.arrays()[1]).any()


def test_gold_player_succeeds_on_real_games():
  spec = GameSpec("twc", (("numLocations", 1), ("numItemsToPutAway", 1)), 12)
  seeds = [20_000, 20_001, 20_002]
  with TextPool(spec, 2, 1) as pool:
    outcomes = _play(play_lib.gold_player(spec), pool, (0, 1), seeds)
  assert all(o.success and o.score == 1.0 for o in outcomes)
  with GoldSource(spec) as source:
    for outcome in outcomes:
      path = source.path(outcome.seed, "test")
      assert outcome.commands == path.commands
