"""The pool: lanes, histories and branches, all as single games have it."""

import random

import pytest

from mulearn.env import base, text, worker
from mulearn.env import pool as pool_lib


@pytest.fixture(scope="module")
def pool(twc):
  with pool_lib.TextPool(twc, 4, 2, num_spares=2) as lanes:
    yield lanes


def _wander(pool, starts, num_steps):
  """Plays random commands in lanes; returns all answers."""
  rng = random.Random(0)
  answers = [pool.reset(starts)]
  for _ in range(num_steps):
    commands = {
        lane: rng.choice(step.observation.commands)
        for lane, step in answers[-1].items()
    }
    answers.append(pool.step(commands))
  return answers


def test_lanes_play_as_single_games_do(pool, twc, jvm):
  starts = {lane: (lane, "train") for lane in range(4)}
  answers = _wander(pool, starts, 5)
  game = text.TextWorldGame(twc, jvm)
  for lane in range(4):
    seed, fold, commands = pool.history(lane)
    assert (seed, fold) == starts[lane]
    assert answers[0][lane] == game.reset(seed, fold)
    for step, command in zip(answers[1:], commands, strict=True):
      assert step[lane] == game.step(command)


def test_restored_lanes_go_on_as_the_originals(pool):
  answers = _wander(pool, {0: (7, "train"), 1: (8, "train")}, 4)
  histories = {lane: pool.history(lane) for lane in (0, 1)}
  elsewhere = {2: histories[0], 3: histories[1]}
  restored = pool.restore_all(elsewhere)
  assert [restored[2], restored[3]] == [answers[-1][0], answers[-1][1]]
  assert pool.restore(0, *histories[1]) == answers[-1][1]
  assert pool.history(0) == histories[1]
  last = pool.step({lane: "look around" for lane in (0, 1, 3)})
  assert last[0] == last[1] == last[3]


def test_nothing_moves_if_one_command_is_inadmissible(pool):
  pool.reset({0: (0, "train"), 1: (1, "train")})
  with pytest.raises(ValueError, match="'fly home'"):
    pool.step({0: "look around", 1: "fly home"})
  assert pool.history(0) == (0, "train", ())


def test_bad_requests_are_named(pool):
  with pytest.raises(ValueError, match="no lane 4.*0 to 3"):
    pool.reset({4: (0, "train")})
  with pytest.raises(ValueError, match="Seed 5 .*'test'"):
    pool.branch([(5, "test", ())])
  with pytest.raises(ValueError, match="'fly home'"):
    pool.restore(3, 0, "train", ("fly home",))
  with pytest.raises(RuntimeError, match="Lane 3 .*reset"):
    pool.history(3)
  with pytest.raises(ValueError, match="at least 1"):
    pool_lib.TextPool(base.GameSpec("twc", (), 5), 1, 0)


def test_branches_equal_replays_and_leave_lanes_alone(pool, twc, jvm):
  [*_, last] = _wander(pool, {0: (9, "train")}, 3)
  before = pool.history(0)
  game = text.TextWorldGame(twc, jvm)
  path = (9, "train", before[2])
  children = [
      (9, "train", before[2] + (command,))
      for command in last[0].observation.commands
  ]
  requests = [path, *children, (20_003, "test", ()), *children[::-1]]
  expected = [worker.replay(game, request) for request in requests]
  assert pool.branch(requests) == expected
  assert pool.branch(requests[::-1]) == expected[::-1]
  assert pool.history(0) == before
  assert pool.branch([]) == []


def test_branches_that_cannot_be_played_are_refused_and_harmless(pool):
  with pytest.raises(ValueError, match="'fly home'"):
    pool.branch([(0, "train", ()), (0, "train", ("look around", "fly home"))])
  with pytest.raises(RuntimeError, match="over"):
    pool.branch([(0, "train", ("look around",) * 31)])
  [step] = pool.branch([(0, "train", ("look around",))])
  assert step.observation.facts[-1] == "last: look around"


def test_finished_lane_must_be_reset(pool):
  pool.restore(0, 0, "train", ("look around",) * 30)
  with pytest.raises(RuntimeError, match="over"):
    pool.step({0: "look around"})
  pool.reset({0: (1, "train")})
  assert not pool.step({0: "look around"})[0].truncated


def test_settings_that_the_game_refuses():
  spec = base.GameSpec("twc", (("numLocations", 99),), 5)
  with pytest.raises(ValueError, match="numLocations=99"):
    pool_lib.TextPool(spec, 1, 1)
