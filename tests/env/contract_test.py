"""What every environment must hold to, whatever it is made of."""

import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import base, board, catch, gold, journal, solo, text, worker

_SEEDS = (("train", 5), ("dev", 10_005), ("test", 20_005))
_BOARDS = (
    "tic_tac_toe", "connect_four", "othello", "hex_3", "hex_11", "go_9x9",
    "gardner_chess",
)  # fmt: skip
_SOLO = ("cartpole", "breakout", "catch")  # `solo_test.py` has the others.
# Moves that no game of go and chess outlasts, by the planes of an observation.
_LONGEST = {17: 163, 115: 257}
# For what holds of boards alone.
on_boards = pytest.mark.parametrize(
    "environment", _BOARDS, indirect=True, scope="module"
)


@pytest.fixture
def game(spec, jvm) -> base.TextGame:
  """Every text game in turn."""
  return text.TextWorldGame(spec, jvm)


@pytest.fixture(scope="module", params=_BOARDS + _SOLO)
def environment(request) -> base.Environment:
  """Device-resident environments in turn: every board, Hex in two sizes."""
  return (board.GAMES | solo.GAMES)[request.param]()


def _wander(game, seed, fold, num_steps, salt=0):
  """Plays random admissible commands; returns the steps and the commands."""
  rng = random.Random(f"{seed} {salt}")
  steps, commands = [game.reset(seed, fold)], []
  while len(commands) < num_steps and not steps[-1].terminated:
    commands.append(rng.choice(steps[-1].observation.commands))
    steps.append(game.step(commands[-1]))
  return steps, tuple(commands)


@pytest.mark.parametrize("fold, seed", _SEEDS)
def test_replay_repeats_every_step(game, fold, seed):
  steps, commands = _wander(game, seed, fold, 15)
  _wander(game, seed, fold, 10, salt="another way in between")
  again = [game.reset(seed, fold)] + [game.step(c) for c in commands]
  assert again == steps
  assert worker.replay(game, (seed, fold, commands)) == steps[-1]


def test_seeds_and_folds_make_different_games(game):
  starts = {game.reset(seed, fold).observation for fold, seed in _SEEDS}
  assert len(starts) == len(_SEEDS)


def test_observation_is_well_formed(game):
  for step in _wander(game, 3, "train", 25)[0]:
    observation = step.observation
    assert list(observation.commands) == sorted(set(observation.commands))
    assert len(set(observation.facts)) == len(observation.facts)
    assert len(observation.facts) <= journal.MAX_FACTS
    assert "\n" not in observation.task
    assert observation.task in observation.prompt
    assert f"task: {observation.task}" in observation.facts


def test_all_commands_offered_are_accepted(game):
  steps, commands = _wander(game, 2, "train", 6)
  assert not steps[-1].terminated
  for command in steps[-1].observation.commands:
    worker.replay(game, (2, "train", commands + (command,)))


def test_inadmissible_command_is_named_and_changes_nothing(game):
  start = game.reset(4, "train")
  with pytest.raises(ValueError, match="'fly home'.*look around"):
    game.step("fly home")
  assert game.step("look around").observation.prompt == start.observation.prompt


def test_truncates_exactly_at_the_step_limit(game, spec):
  step = game.reset(1, "train")
  for _ in range(spec.step_limit):
    assert not step.truncated
    step = game.step("look around")
  assert step.truncated and not step.terminated and not step.success
  with pytest.raises(RuntimeError, match="over"):
    game.step("look around")


def test_rewards_sum_to_the_best_score(game):
  for seed in range(4):
    steps, _ = _wander(game, seed, "train", 25)
    total = sum(step.reward for step in steps)
    best = max(step.score for step in steps)
    np.testing.assert_allclose(total, best, atol=1e-12)
    assert all(step.reward >= 0.0 for step in steps)
    assert all(0.0 <= step.score <= 1.0 for step in steps)


def test_prompt_holds_no_memory_of_commands(game):
  start = game.reset(6, "train").observation
  later = game.step("look around").observation
  assert later.prompt == start.prompt
  assert later.facts != start.facts


def test_tried_is_what_was_given_where_all_looked_the_same(game):
  num_tried = 0
  for seed in range(3):
    steps, commands = _wander(game, seed, "train", 20)
    seen = [step.observation for step in steps]
    for t, now in enumerate(seen):
      given = {
          command
          for before, command in zip(seen[:t], commands)
          if before.prompt == now.prompt and before.commands == now.commands
      }
      assert set(now.tried) == given <= set(now.commands)
      assert len(now.tried) == len(given)
      num_tried += len(given)
  assert num_tried > 5


@pytest.mark.parametrize("fold, seed", _SEEDS)
def test_gold_path_succeeds_at_its_last_command(game, spec, jvm, fold, seed):
  path = gold.GoldSource(spec, jvm).path(seed, fold)
  step = game.reset(seed, fold)
  for command in path.commands:
    assert not step.terminated
    step = game.step(command)
  assert step.success and step.terminated and not step.truncated
  assert step.score == pytest.approx(1.0)


def test_wrong_fold_of_a_seed_is_refused(game):
  with pytest.raises(ValueError, match="20005.*train"):
    game.reset(20_005, "train")
  with pytest.raises(ValueError, match="'exam'.*train, dev, test"):
    game.reset(0, "exam")


def test_step_before_reset_is_refused(game):
  with pytest.raises(RuntimeError, match="reset"):
    game.step("look around")


def _playout(environment, rng_key, num_steps):
  """Plays random valid actions; returns all states and actions, time first."""

  def play(state, rng_key):
    scores = jax.random.uniform(rng_key, (environment.num_actions,))
    action = jnp.argmax(jnp.where(environment.invalid(state), -1.0, scores))
    following = environment.step(state, action)
    return following, (state, action, following)

  first_key, *keys = jax.random.split(rng_key, num_steps + 1)
  state = environment.init(first_key)
  return jax.lax.scan(play, state, jnp.stack(keys))[1]


@pytest.fixture(scope="module")
def playouts(environment):
  """Random games, longer than any game lasts: arrays `[B, T, ...]`."""
  longest = _LONGEST.get(environment.observation_shape[-1], 130)
  keys = jax.random.split(jax.random.key(0), 32)
  play = jax.vmap(lambda key: _playout(environment, key, longest))
  return jax.jit(play)(keys)


@functools.cache
def _mapped(function):
  return jax.jit(jax.vmap(jax.vmap(function)))


def _map(function, states):
  """Applies an accessor to states `[B, T]`."""
  return np.asarray(_mapped(function)(states))


def test_games_end_by_valid_moves(environment, playouts):
  states, actions, following = playouts
  over = _map(environment.terminated, states)
  invalid = _map(environment.invalid, states)
  chosen = np.take_along_axis(invalid, np.asarray(actions)[..., None], -1)
  assert not chosen.any()
  assert not invalid.all(-1).any()
  assert not over[:, 0].any()
  assert _map(environment.terminated, following)[:, -1].all()
  # But for Catch, in which balls fall as far in every game.
  assert len(set(over.sum(1))) > 1 or isinstance(environment, catch.Catch)


def test_finished_states_absorb(environment, playouts):
  states, _, following = playouts
  over = _map(environment.terminated, states)
  assert (_map(environment.reward, following)[over] == 0).all()
  assert _map(environment.terminated, following)[over].all()
  for accessor in (environment.observation, environment.current_player):
    before, after = _map(accessor, states), _map(accessor, following)
    np.testing.assert_array_equal(before[over], after[over])


@on_boards
def test_rewards_come_once(environment, playouts):
  states, _, following = playouts
  over = _map(environment.terminated, states)
  rewards = _map(environment.reward, following)
  ends = ~over & _map(environment.terminated, following)
  assert (rewards[~ends] == 0).all()
  # A draw gives 0; whoever ends a game otherwise has won it, but in othello
  # and in go, where one may pass or repeat a position and lose.
  can_lose = environment.observation_shape[0] in (8, 9)
  assert 1.0 in rewards[ends]
  assert set(rewards[ends]) <= ({-1.0, 0.0, 1.0} if can_lose else {0.0, 1.0})


@on_boards
def test_players_alternate(environment, playouts):
  states, _, following = playouts
  over = _map(environment.terminated, states)
  turns = _map(environment.current_player, states)
  after = _map(environment.current_player, following)
  assert (after[~over] == 1 - turns[~over]).all()
  assert set(turns[:, 0]) == {0, 1}


def test_batched_equals_single(environment, playouts):
  states, actions, following = playouts

  def pick(states, t):
    return jax.tree.map(lambda x: x[7, t], states)

  step = jax.jit(environment.step)
  for t in (0, 3, 129):
    single = step(pick(states, t), actions[7, t])
    # Where a state is made of real numbers, they are rounded otherwise.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6)
    jax.tree.map(close, single, pick(following, t))


def test_shapes_and_types(environment):
  state = jax.eval_shape(environment.init, jax.random.key(1))
  observation = jax.eval_shape(environment.observation, state)
  assert observation.shape == environment.observation_shape
  assert observation.dtype in (jnp.bool_, jnp.float32)
  invalid = jax.eval_shape(environment.invalid, state)
  assert invalid.shape == (environment.num_actions,)
  assert invalid.dtype == jnp.bool_
  for accessor in (
      environment.reward,
      environment.terminated,
      environment.current_player,
  ):
    assert jax.eval_shape(accessor, state).shape == ()
  assert environment.num_players in (1, 2)
