"""Board games: positions a person can check."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import board


def _play(environment, actions):
  state = environment.init(jax.random.key(0))
  step = jax.jit(environment.step)
  for action in actions:
    state = step(state, action)
  return state


@pytest.mark.parametrize(
    "make, actions",
    [
        (board.tic_tac_toe, (0, 3, 1, 4, 2)),
        (board.tic_tac_toe, (8, 0, 3, 1, 4, 2)),
    ],
)
def test_reward_is_the_winners_who_just_moved(make, actions):
  environment = make()
  before = _play(environment, actions[:-1])
  after = environment.step(before, actions[-1])
  assert environment.terminated(after) and not environment.terminated(before)
  assert environment.reward(before) == 0.0
  assert environment.reward(after) == 1.0
  assert after.rewards[environment.current_player(before)] == 1.0
  assert after.rewards.sum() == 0.0


def test_draw_gives_nothing():
  environment = board.tic_tac_toe()
  state = _play(environment, (0, 1, 2, 4, 3, 5, 7, 6, 8))
  assert environment.terminated(state)
  assert environment.reward(state) == 0.0


def test_taken_square_is_invalid_and_costs_the_player_who_takes_it():
  environment = board.tic_tac_toe()
  state = _play(environment, (4,))
  np.testing.assert_array_equal(
      environment.invalid(state), np.arange(environment.num_actions) == 4
  )
  state = environment.step(state, 4)
  assert environment.terminated(state)
  assert environment.reward(state) == -1.0


def test_observation_is_the_view_of_the_player_to_move():
  environment = board.tic_tac_toe()
  view = environment.observation(_play(environment, (4,)))
  assert view[1, 1, 0] == 0.0 and view[1, 1, 1] == 1.0
  assert view.sum() == 1.0


def test_othello_is_won_by_stones_and_a_pass_is_the_last_resort():
  game = board.othello()
  step = jax.jit(jax.vmap(game.step))

  @jax.jit
  @jax.vmap
  def look(state):
    return game.invalid(state), game.observation(state), game.reward(state)

  rng = np.random.default_rng(0)
  states = jax.vmap(game.init)(jax.random.split(jax.random.key(0), 64))
  num_passes, results = 0, set()
  invalid, before, _ = map(np.asarray, look(states))
  while not states.terminated.all():
    going_on = ~np.asarray(states.terminated)
    passes = going_on & ~invalid[:, 64]
    num_passes += passes.sum()
    assert invalid[passes, :64].all()  # Only who cannot move may pass.
    action = np.where(invalid, -1.0, rng.random(invalid.shape)).argmax(axis=1)
    states = step(states, jnp.asarray(action))
    invalid, after, reward = map(np.asarray, look(states))
    np.testing.assert_array_equal(after[passes], before[passes][..., ::-1])
    before = after
    ended = going_on & np.asarray(states.terminated)
    other, own = after.sum(axis=(1, 2)).T  # Seen from behind: who moved is 1.
    np.testing.assert_array_equal(reward[ended], np.sign(own - other)[ended])
    results |= set(reward[ended])
  assert num_passes > 10 and {-1.0, 1.0} <= results


def test_go_takes_what_has_no_liberty_and_counts_area():
  """A corner is taken; then both pass, and white's one stone and komi win."""
  game = board.go_9x9()
  state = _play(game, (0, 1, 40, 9))
  view = game.observation(state)  # Black's.
  assert view[4, 4, 0] and not view[0, 0, :2].any()
  np.testing.assert_array_equal(np.argwhere(view[..., 1]), [[0, 1], [1, 0]])
  invalid = game.invalid(state)
  # The corner is an eye of white's: black has no liberty there.
  np.testing.assert_array_equal(np.flatnonzero(invalid), [0, 1, 9, 40])
  state = game.step(game.step(state, 81), 81)
  assert game.terminated(state) and game.reward(state) == 1.0


def test_gardner_chess_begins_with_five_pawns_and_a_knight():
  """Squares are counted up the files: a pawn stands on the second of each."""
  game = board.gardner_chess()
  state = game.init(jax.random.key(0))
  assert game.num_actions == 25 * 49
  moves = np.flatnonzero(~np.asarray(game.invalid(state)))
  assert [move // 49 for move in moves] == [1, 5, 5, 6, 11, 16, 21]
  step = jax.jit(game.step)
  assert game.current_player(step(state, moves[0])) != state.current_player
  state = step(state, moves[1])
  assert not game.terminated(state) and not game.invalid(state).all()
