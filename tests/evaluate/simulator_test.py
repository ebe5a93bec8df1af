"""Search through the true game: the table is as good as the game itself."""

import copy
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.act.agent import make_networks as make_fresh
from mulearn.evaluate import simulator
from mulearn.evaluate.play import Situation, play
from mulearn.prior.base import UniformPrior

STARTS = [(20_000 + i, "test", ()) for i in range(3)]


@pytest.fixture
def agent(tiny_config, make_networks, phrases):
  """Trusts networks with arbitrary opinions; discount .9, 24 simulations."""
  config = copy.deepcopy(tiny_config)
  config.search.num_eval_simulations = 24
  config.search.max_depth = 4
  config.learn.discount = 0.9
  return Agent(config, make_networks(), phrases, UniformPrior())


@pytest.fixture
def situations(play_corridor):
  return [Situation(h, play_corridor(h).observation) for h in STARTS]


def _whole_table(agent, play_corridor):
  """Every position of the games, by brute force and without an `Explorer`."""
  order = [
      (seed, fold, commands)
      for seed, fold, _ in STARTS
      for length in range(5)
      for commands in itertools.product(("go left", "go right", "wait"),
                                        repeat=length)
  ]  # fmt: skip
  rows, steps = {}, []
  for history in order:
    try:
      step = play_corridor(history)
    except RuntimeError:
      continue
    parent = (*history[:2], history[2][:-1])
    if history[2] and parent not in rows:
      continue  # Behind an inadmissible command.
    if history[2]:
      allowed = play_corridor(parent).observation.commands
      if history[2][-1] not in allowed:
        continue
    rows[history] = len(rows)
    steps.append(step)
  over = np.array([s.terminated or s.truncated for s in steps])
  numbers, prior = agent.observe(
      [s.observation for s in steps], batch_size=len(steps)
  )
  node, _ = agent.glance(numbers, prior)
  children = np.full((len(rows), 8), -1, np.int32)
  for (seed, fold, commands), row in rows.items():
    for slot, command in enumerate(steps[row].observation.commands):
      child = (seed, fold, (*commands, command))
      children[row, slot] = row if over[row] else rows[child]
  return rows, simulator.TableModel(
      prior_logits=node.prior_logits,
      invalid=node.invalid,
      value=jnp.where(over, 0.0, node.value),
      reward=jnp.array([s.reward for s in steps], jnp.float32),
      discount=jnp.where(over, 0.0, 0.9).astype(jnp.float32),
      children=jnp.asarray(children),
  )


def test_search_by_exploring_equals_search_by_knowing(
    agent, pool, situations, play_corridor
):
  player = simulator.simulator_player(agent, pool, batch_size=3)
  key = jax.random.key(4)
  picks = player(key, situations)
  rows, table = _whole_table(agent, play_corridor)
  slot, parents, _ = simulator._search(
      table,
      key,
      np.array([rows[h] for h in STARTS], np.int32),
      config=agent.config.search,
  )
  assert (np.asarray(parents) == -1).all()  # Nothing was missing there.
  expected = [
      s.observation.commands[i] for s, i in zip(situations, np.asarray(slot))
  ]
  assert picks == expected
  # It explored what search wanted, each position once, and not the whole game.
  assert len(set(pool.branched)) == len(pool.branched) < len(rows)


def test_explored_positions_are_those_of_the_game(agent, pool, play_corridor):
  rows, whole = _whole_table(agent, play_corridor)
  explorer = simulator.Explorer(agent, pool)
  histories = sorted(rows)
  found = explorer.rows(histories)
  table = explorer.table()
  known = np.array([rows[h] for h in histories])
  for name in ("prior_logits", "invalid", "value", "reward", "discount"):
    np.testing.assert_allclose(
        np.asarray(getattr(table, name))[found],
        np.asarray(getattr(whole, name))[known],
        atol=1e-5,
        err_msg=name,
    )
  ended = [play_corridor(h).terminated for h in histories]
  assert (np.asarray(table.discount)[found][ended] == 0.0).all()


def test_finished_games_are_not_played_on(
    agent, pool, situations, play_corridor
):
  """The pool refuses a history that goes on; here some games do end."""
  near = [
      (20_001, "test", ("go right",)),
      (20_000, "test", ("go left", "go left")),
      (20_000, "test", ("wait", "wait", "wait")),
  ]
  waiting = [Situation(h, play_corridor(h).observation) for h in near]
  player = simulator.simulator_player(agent, pool, batch_size=3)
  player(jax.random.key(0), waiting)
  ends = [h for h in pool.branched if play_corridor(h).terminated]
  cut = [h for h in pool.branched if play_corridor(h).truncated]
  assert ends and cut
  for end in ends + cut:
    beyond = [h for h in pool.branched if h[:2] == end[:2] and h != end
              and h[2][: len(end[2])] == end[2]]  # fmt: skip
    assert not beyond


def test_the_true_game_is_won_without_an_opinion(agent, pool):
  """Untrained heads say nothing: the rewards of the game decide."""
  agent.networks = make_fresh(agent.config, jax.random.key(0))
  agent.config.search.num_eval_simulations = 64
  agent.config.search.value_scale = 5.0
  player = simulator.simulator_player(agent, pool, batch_size=3)
  outcomes = play(
      player, pool, range(3), fold="test", seeds=[h[0] for h in STARTS],
      rng_key=jax.random.key(0),
  )  # fmt: skip
  assert all(o.success for o in outcomes), outcomes


def test_a_smaller_batch_chooses_alike(agent, pool, situations):
  player = simulator.simulator_player(agent, pool, batch_size=3)
  together = player(jax.random.key(1), situations)
  alone = [player(jax.random.key(1), [s])[0] for s in situations]
  assert together == alone


def test_unknown_positions_are_worth_nothing(agent, play_corridor):
  _, table = _whole_table(agent, play_corridor)
  node = table.at(jnp.array([-1, 0]))
  assert float(node.value[0]) == float(node.reward[0]) == 0.0
  assert float(node.discount[0]) == 0.0 and float(node.discount[1]) > 0.0
  below = table.step(jax.random.key(0), jnp.array([-1]), jnp.array([0]))
  assert int(below.state[0]) == -1
