"""A recorded episode, held against the rules and against its own search."""

import jax
import numpy as np
import pytest

import mulearn
from mulearn.env.games import make_environment
from mulearn.explore import board_episode

NUM_SIMULATIONS = 12


@pytest.fixture(scope="module")
def agents(board_workdir):
  kinds = ("world", "simulator")
  return {kind: mulearn.restore_agent(board_workdir(kind)) for kind in kinds}


@pytest.fixture(scope="module")
def episodes(agents):
  return {
      kind: board_episode.play_episode(
          agent, jax.random.key(3), num_simulations=NUM_SIMULATIONS
      )
      for kind, agent in agents.items()
  }


def _chosen(step):
  [node] = [n for n in step.nodes if n.parent == 0 and n.chosen]
  return node


@pytest.mark.parametrize("kind", ["world", "simulator"])
def test_the_boards_follow_from_the_moves(episodes, kind):
  episode = episodes[kind]
  sights = [*(step.sight for step in episode.steps), episode.last]
  assert set(sights[0].stones) == {0}
  for i, step in enumerate(episode.steps):
    assert step.mover == i % 2
    stones = list(step.sight.stones)
    cell = _chosen(step).cell
    stones[cell] = step.mover + 1
    assert tuple(stones) == sights[i + 1].stones
    assert sights[i + 1].last == cell
    assert step.over == (i == len(episode.steps) - 1)
  last = episode.steps[-1]
  assert last.reward == (0.0 if episode.ending == "draw" else 1.0)
  if last.reward:
    assert episode.ending == f"{'XO'[last.mover]} won"


@pytest.mark.parametrize("kind", ["world", "simulator"])
def test_a_search_is_told_whole(episodes, kind):
  for step in episodes[kind].steps:
    root, *others = step.nodes
    moves = [node for node in others if node.parent == 0]
    free = [i for i, stone in enumerate(step.sight.stones) if not stone]
    assert sorted(node.cell for node in moves) == free
    assert root.visits == NUM_SIMULATIONS == sum(n.visits for n in moves)
    for total in (sum(n.prior for n in moves), sum(n.policy for n in moves)):
      assert total == pytest.approx(1.0, abs=1e-5)
    assert all(n.policy is None and n.visits for n in others if n.parent > 0)
    assert step.judged == root.judged
    visited = sum(n.visits > 0 for n in others)
    assert visited + step.left_out == NUM_SIMULATIONS


def test_rules_imagine_nothing_wrong_and_a_fresh_model_does(episodes):
  for step in episodes["simulator"].steps:
    for node in step.nodes[1:]:
      assert not node.illegal and node.seen is None
      if node.visits:
        assert node.really_ends == node.ends
  nodes = [n for step in episodes["world"].steps for n in step.nodes[1:]]
  assert any(n.illegal for n in nodes)
  assert any(n.really_ends and not n.ends for n in nodes)
  assert all(n.seen is None for n in nodes if n.illegal)
  assert any(abs(n.seen - n.judged) > 0.01 for n in nodes if n.seen is not None)


def test_what_is_seen_is_what_the_network_says_there(agents, episodes):
  agent, step = agents["world"], episodes["world"].steps[0]
  game, play = agent.environment, jax.jit(agent.environment.step)
  for node in (n for n in step.nodes[1:] if n.seen is not None):
    state, above = game.init(jax.random.key(0)), node
    line = [node]
    while step.nodes[above.parent].parent >= 0:
      above = step.nodes[above.parent]
      line.append(above)
    for move in reversed(line):
      state = play(state, move.cell)
    value = 0.0
    if not game.terminated(state):
      batch = jax.tree.map(lambda x: x[None], state)
      value = float(agent.glance(batch).value[0]) * (-1.0) ** len(line)
    assert node.seen == pytest.approx(value, abs=1e-5)
    assert node.really_ends == bool(game.terminated(state))


def test_the_walk_stands_still_where_a_move_is_illegal():
  game = make_environment("tic_tac_toe")
  state = game.init(jax.random.key(0))
  # 0, then 0 again (illegal), then 4 below that; 4 beside; an unused row.
  parents = np.array([-1, 0, 1, 2, 1, -1])
  actions = np.array([-1, 0, 0, 4, 4, -1])
  states, illegal, over = board_episode._walk(
      state, parents, actions, game=game
  )
  assert illegal.tolist()[:5] == [False, False, True, True, False]
  assert not over.any()
  seen = np.asarray(jax.vmap(game.observation)(states)).sum(axis=(1, 2, 3))
  assert seen.tolist()[:5] == [0, 1, 1, 1, 2]


def test_the_seed_decides_and_the_episode_can_be_cut(agents):
  first, again = (
      board_episode.play_episode(
          agents["world"], jax.random.key(3), max_steps=3,
          num_simulations=NUM_SIMULATIONS,
      )
      for _ in range(2)
  )  # fmt: skip
  assert first == again
  assert len(first.steps) == 3 and first.ending == "cut before the end"


def test_noise_is_on_request(agents, monkeypatch):
  asked, agent = [], agents["world"]
  plan = agent.plan

  def spy(rng_key, state, num_simulations, *, deterministic):
    asked.append((num_simulations, deterministic))
    return plan(rng_key, state, num_simulations)

  monkeypatch.setattr(agent, "plan", spy)
  for how in ({}, {"deterministic": False}):
    board_episode.play_episode(
        agent, jax.random.key(0), max_steps=1,
        num_simulations=NUM_SIMULATIONS, **how,
    )  # fmt: skip
  assert asked == [(NUM_SIMULATIONS, True), (NUM_SIMULATIONS, False)]


def test_numbers_that_make_no_sense_are_refused(agents):
  key = jax.random.key(0)
  with pytest.raises(ValueError, match="max_steps is 0"):
    board_episode.play_episode(agents["world"], key, max_steps=0)
  with pytest.raises(ValueError, match="num_simulations is 0"):
    board_episode.play_episode(agents["world"], key, num_simulations=0)


def test_an_ending_names_the_winner(episodes):
  board = episodes["world"].board

  def ending(reward, is_over):
    facts = board_episode.Facts(None, None, None, reward, is_over)
    moment = board_episode.Moment(None, 0, episodes["world"].last, facts)
    return board_episode.how_it_ended(board, 1, moment)

  assert (ending(1.0, True), ending(-1.0, True)) == ("O won", "X won")
  assert (ending(0.0, True), ending(0.0, False)) == (
      "draw",
      "cut before the end",
  )
