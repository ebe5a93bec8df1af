"""Targets by hand: every end, every edge of a window, and two players."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.learn.targets import (
    corrected_horizon,
    make_targets,
    n_step_return,
    was_explored,
)
from mulearn.types import Trajectory


def _moves(reward, value, discount=None, truncated=None):
  """A batch of one sequence; only what targets read."""
  length = len(reward)
  discount = [1.0] * length if discount is None else discount
  truncated = [False] * length if truncated is None else truncated

  def row(x, dtype):
    return jnp.asarray([x], dtype)

  return Trajectory(
      observation=row(range(length), jnp.int32),
      prior_logits=None, invalid=None, policy=None, improvement=None,
      action=None,
      held_out=row([False] * length, bool),
      value=row(value, jnp.float32),
      reward=row(reward, jnp.float32),
      discount=row(discount, jnp.float32),
      truncated=row(truncated, bool),
  )  # fmt: skip


def _targets(moves, unroll_steps=2, td_steps=2, discount=0.5):
  targets = make_targets(
      moves, discount=discount, unroll_steps=unroll_steps, td_steps=td_steps
  )
  return type(targets)(*(np.asarray(x)[0] for x in targets))


def test_returns_by_hand():
  targets = _targets(_moves([1, 2, 4, 8, 0], [90, 91, 16, 32, 64]))
  # R_t + R_{t+1} / 2 + V_{t+2} / 4.
  np.testing.assert_allclose(targets.value, [1 + 1 + 4, 2 + 2 + 8, 4 + 4 + 16])
  np.testing.assert_allclose(targets.reward, [1, 2])
  for mask in (targets.value_mask, targets.policy_mask, targets.reward_mask):
    np.testing.assert_array_equal(mask, 1.0)
  np.testing.assert_array_equal(targets.continues, 1.0)


def test_entry_t_is_the_return_of_observation_t():
  """The clock: observation t is t, and so are its reward and its value."""
  time = np.arange(9.0)
  moves = _moves(100 + time, 1000 + time)
  targets = _targets(moves, unroll_steps=3, td_steps=5, discount=1.0)
  seen = np.asarray(moves.observation)[0]
  for t in range(4):
    expected = sum(100 + s for s in range(t, t + 5)) + 1000 + t + 5
    assert targets.value[t] == expected, seen[t]
  np.testing.assert_array_equal(targets.reward, 100 + time[:3])


def test_values_look_past_the_unrolled_window():
  moves = _moves([0, 0, 0, 0, 0], [0, 0, 0, 0, 4.0])
  assert _targets(moves).value[2] == 1.0
  moves = _moves([0, 0, 0, 4.0, 0], [0] * 5)
  assert _targets(moves).value[2] == 2.0


def test_terminal_reward_counts_where_the_window_starts_on_it():
  # The game ends with the first move; another game follows.
  moves = _moves([1, 7, 7, 7, 7], [9, 9, 9, 9, 9], discount=[0, 1, 1, 1, 1])
  targets = _targets(moves)
  np.testing.assert_array_equal(targets.value, [1, 0, 0])
  np.testing.assert_array_equal(targets.reward, [1, 0])
  np.testing.assert_array_equal(targets.continues, [0, 0])
  np.testing.assert_array_equal(targets.value_mask, [1, 1, 1])
  np.testing.assert_array_equal(targets.reward_mask, [1, 1])
  np.testing.assert_array_equal(targets.policy_mask, [1, 0, 0])


def test_states_behind_the_end_are_absorbing():
  moves = _moves([1, 2, 7, 7, 7], [9, 9, 9, 9, 9], discount=[1, 0, 1, 1, 0])
  targets = _targets(moves)
  np.testing.assert_array_equal(targets.value, [1 + 1, 2, 0])
  np.testing.assert_array_equal(targets.reward, [1, 2])
  np.testing.assert_array_equal(targets.continues, [1, 0])
  np.testing.assert_array_equal(targets.policy_mask, [1, 1, 0])


def test_an_end_beyond_the_unrolled_window_cuts_the_return():
  moves = _moves([1, 2, 4, 8, 7], [9] * 5, discount=[1, 1, 1, 0, 1])
  targets = _targets(moves)
  np.testing.assert_array_equal(targets.value[2], 4 + 4)
  np.testing.assert_array_equal(targets.policy_mask, 1.0)


def test_truncation_bootstraps_and_teaches_nothing_beyond():
  # Cut after move 1; its value stands for what would have come.
  moves = _moves(
      [1, 2, 7, 7, 7],
      [9, 6, 9, 9, 9],
      truncated=[False, True, False, False, False],
  )
  targets = _targets(moves)
  np.testing.assert_array_equal(targets.value[:2], [1 + 3, 6])
  np.testing.assert_array_equal(targets.value_mask, [1, 1, 0])
  np.testing.assert_array_equal(targets.policy_mask, [1, 1, 0])
  # The cut move itself was made: its reward is known, and the game went on.
  np.testing.assert_array_equal(targets.reward, [1, 2])
  np.testing.assert_array_equal(targets.reward_mask, [1, 1])
  np.testing.assert_array_equal(targets.continues, [1, 1])


def test_window_that_starts_on_a_cut_move():
  moves = _moves(
      [5, 7, 7, 7, 7], [6, 9, 9, 9, 9], truncated=[True] + [False] * 4
  )
  targets = _targets(moves)
  assert targets.value[0] == 6 and targets.reward[0] == 5
  np.testing.assert_array_equal(targets.value_mask, [1, 0, 0])
  np.testing.assert_array_equal(targets.reward_mask, [1, 0])
  np.testing.assert_array_equal(targets.policy_mask, [1, 0, 0])


def test_the_next_games_end_is_not_this_ones():
  # Cut after move 0; the next game ends with its first move.
  moves = _moves(
      [1, 7, 7, 7, 7],
      [6, 9, 9, 9, 9],
      discount=[1, 0, 1, 1, 1],
      truncated=[True] + [False] * 4,
  )
  targets = _targets(moves)
  np.testing.assert_array_equal(targets.value_mask, [1, 0, 0])
  np.testing.assert_array_equal(targets.reward_mask, [1, 0])
  assert targets.continues[0] == 1


def test_game_that_ends_with_the_last_allowed_move_has_ended():
  moves = _moves(
      [1, 7, 7, 7, 7],
      [6, 9, 9, 9, 9],
      discount=[0, 1, 1, 1, 1],
      truncated=[True] + [False] * 4,
  )
  targets = _targets(moves)
  np.testing.assert_array_equal(targets.value, [1, 0, 0])
  np.testing.assert_array_equal(targets.value_mask, 1)
  np.testing.assert_array_equal(targets.continues, [0, 0])


def test_wrong_length_is_named():
  with pytest.raises(ValueError, match="of 4 entries.*2 bootstrapped.*need 5"):
    _targets(_moves([0] * 4, [0] * 4))


@dataclasses.dataclass(frozen=True)
class _Position:
  """A node of a small game: who moves, and (reward to the mover, next)."""

  player: int
  moves: tuple = ()


def _minimax(position):
  """Value for the player to move, and the best line from here."""
  if not position.moves:
    return 0.0, []
  best, line = -np.inf, []
  for reward, following in position.moves:
    value, rest = _minimax(following)
    sign = 1.0 if following.player == position.player else -1.0
    if reward + sign * value > best:
      best = reward + sign * value
      sign = 0.0 if not following.moves else sign
      line = [(reward, sign), *rest]
  return best, line


_END = _Position(0)
_ALTERNATING = _Position(0, (
    (0.0, _Position(1, ((3.0, _END), (1.0, _END)))),
    (1.0, _Position(1, ((0.0, _Position(0, ((2.0, _END),))), (1.0, _END)))),
))  # fmt: skip
# Player 0 moves twice in a row, then player 1 twice.
_AGAIN = _Position(0, (
    (1.0, _Position(0, (
        (2.0, _Position(1, (
            (1.0, _Position(1, ((5.0, _END), (4.0, _END)))),
        ))),
        (0.5, _Position(1, ((1.0, _END),))),
    ))),
))  # fmt: skip


@pytest.mark.parametrize("tree", [_ALTERNATING, _AGAIN])
def test_two_players_agree_with_minimax(tree):
  """Returns along the best line are the minimax values for who is to move."""
  value, line = _minimax(tree)
  padding = 8 - len(line)
  rewards = [r for r, _ in line] + [7.0] * padding
  signs = [s for _, s in line] + [1.0] * padding
  returns = n_step_return(
      jnp.asarray([rewards]),
      jnp.asarray([signs]),
      jnp.full((1, 8), 9.0),
      jnp.zeros((1, 8), bool),
      num_steps=5,
  )
  assert float(returns[0, 0]) == pytest.approx(value)
  # By hand: 1 - (1 - 0) = 0 (the other line gives -3); 1 + .5 - 1 = .5.
  assert value == {_ALTERNATING: 0.0, _AGAIN: 0.5}[tree]


def test_bootstrap_of_two_players_keeps_its_sign():
  returns = n_step_return(
      jnp.asarray([[0.0, 0.0, 0.0, 0.0]]),
      jnp.asarray([[-1.0, -1.0, -1.0, 1.0]]),
      jnp.asarray([[0.0, 0.0, 0.0, 0.6]]),
      jnp.zeros((1, 4), bool),
      num_steps=3,
  )
  np.testing.assert_allclose(returns, [[-0.6]])


def test_lambda_returns_by_hand():
  """G_t = R_t + g ((1 - l) V_{t+1} + l G_{t+1}), from V at the window's end."""
  moves = _moves([1, 2, 4], [90, 8, 16])
  half = np.float32(0.5)
  returns = n_step_return(
      moves.reward, half * moves.discount, moves.value, moves.truncated,
      num_steps=2, trace_decay=0.25,
  )  # fmt: skip
  later = 2 + 0.5 * 16
  np.testing.assert_allclose(returns, [[1 + 0.5 * (0.75 * 8 + 0.25 * later)]])


@pytest.mark.parametrize("trace_decay, expected", [(0.0, 1 + 8 / 2), (1.0, 6)])
def test_lambda_has_one_step_and_n_steps_at_its_ends(trace_decay, expected):
  moves = _moves([1, 2, 0], [90, 8, 16])
  returns = n_step_return(
      moves.reward, 0.5 * moves.discount, moves.value, moves.truncated,
      num_steps=2, trace_decay=trace_decay,
  )  # fmt: skip
  np.testing.assert_allclose(returns, [[expected]])


def test_a_return_ends_before_an_explored_move():
  """What came of a random move is no verdict on the position before it."""
  moves = _moves([1, 2, 4, 8, 16], [90, 91, 92, 93, 94])
  explored = jnp.asarray([[False, True, False, False, False]])
  targets = make_targets(
      moves, discount=0.5, unroll_steps=2, td_steps=2, explored=explored
  )
  np.testing.assert_allclose(
      targets.value[0], [1 + 91 / 2, 91, 4 + 8 / 2 + 94 / 4]
  )
  # But the model still learns what the move leads to.
  np.testing.assert_array_equal(targets.reward, [[1, 2]])
  np.testing.assert_array_equal(targets.reward_mask, 1.0)
  np.testing.assert_array_equal(targets.policy_mask, 1.0)


def test_the_end_after_an_explored_move_is_still_an_end():
  moves = _moves([0, 1, 9, 9, 9], [90, 91, 92, 93, 94], [-1, 0, -1, -1, -1])
  explored = jnp.asarray([[False, True, False, False, False]])
  targets = make_targets(
      moves, discount=1.0, unroll_steps=2, td_steps=2, explored=explored
  )
  np.testing.assert_allclose(targets.value[0], [-91, 91, 0])
  np.testing.assert_array_equal(targets.continues, [[1, 0]])


def test_the_horizon_shrinks_with_age_from_all_steps_to_one():
  """Ye et al. 2021: l = clip(5 - floor(age / (.3 T)), 1, 5), with T = 100."""
  age = jnp.array([0, 29, 30, 59, 60, 119, 120, 1000])
  found = corrected_horizon(age, num_steps=5, steps=30)
  np.testing.assert_array_equal(found, [5, 5, 4, 4, 3, 2, 1, 1])


def test_each_return_ends_at_its_horizon_in_the_value_of_search():
  moves = _moves([1, 2, 4, 8, 16, 0], [90, 32, 64, 16, 48, 80])
  targets = make_targets(
      moves, discount=0.5, unroll_steps=2, td_steps=3,
      horizon=jnp.array([[1, 3, 2]]),
  )  # fmt: skip
  np.testing.assert_allclose(
      targets.value[0],
      [1 + 32 / 2, 2 + 4 / 2 + 8 / 4 + 48 / 8, 4 + 8 / 2 + 48 / 4],
  )
  np.testing.assert_array_equal(targets.reward, [[1, 2]])


def test_an_end_within_the_horizon_is_still_an_end():
  moves = _moves([1, 2, 4, 8, 16], [90, 32, 64, 16, 48], [1, 0, 1, 1, 1])
  cut = moves._replace(truncated=moves.truncated.at[0, 3].set(True))
  for horizon, first in ((1, 1 + 32), (2, 1 + 2)):
    targets = make_targets(
        cut, discount=1.0, unroll_steps=2, td_steps=2,
        horizon=jnp.array([[horizon, horizon, horizon]]),
    )  # fmt: skip
    # Behind the end nothing; a cut after the next move is beyond one reward.
    np.testing.assert_array_equal(targets.value[0], [first, 2, 0])
    last = n_step_return(
        cut.reward, cut.discount, cut.value, cut.truncated, num_steps=2,
        horizon=jnp.array([[horizon, horizon, horizon]]),
    )[0, 2]  # fmt: skip
    assert last == 4 + 16  # One reward or two: V_3 stands for what was cut.


def _advised(policy, improvement, action):
  """Moves beside what search says of four slots, `[1, T]`."""
  moves = _moves(reward=[0.0] * len(action), value=[0.0] * len(action))
  return moves._replace(
      policy=jnp.array([policy]),
      improvement=jnp.array([improvement]),
      action=jnp.array([action]),
  )


def test_a_move_that_search_advised_against_was_explored():
  moves = _advised(
      [[0.6, 0.4, 0.0, 0.0]] * 3, [[0.0] * 4] * 3, action=[0, 1, 2]
  )
  found = was_explored(moves, share=0.5)
  np.testing.assert_array_equal(found, [[False, False, True]])
  found = was_explored(moves, share=0.9)
  np.testing.assert_array_equal(found, [[False, True, True]])
  assert not was_explored(moves).any()
  shown = jnp.arange(4.0)[None, None, :, None] * jnp.ones((1, 3, 4, 2))
  moved = moves.action[..., None] * jnp.ones(2)
  sampled = moves._replace(actions=shown, action=moved)
  np.testing.assert_array_equal(was_explored(sampled, share=0.9), found)


def test_a_rare_move_that_costs_nothing_was_not_explored():
  moves = _advised(
      [[0.8, 0.1, 0.1, 0.0]] * 3,
      [[0.2, 0.2, -2.0, 0.0]] * 3,  # The last slot is invalid: 0.
      action=[0, 1, 2],
  )
  found = was_explored(moves, nats=1.0)
  np.testing.assert_array_equal(found, [[False, False, True]])
  both = was_explored(moves, share=0.5, nats=1.0)
  np.testing.assert_array_equal(both, [[False, True, True]])
  assert not was_explored(moves, nats=3.0).any()
