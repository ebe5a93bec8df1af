"""Bugs of peers in replay and targets, each with its number in our list.

2. Replay index, bootstrap and recurrent window described different states
   (LightZero #501, EfficientZero #34): golden alignment on an environment whose
   observation is the time step, through replay and targets together.
4. The sign of two players was wrong where one moves twice (muzero-general #108,
   alpha-zero-general #18): a game that is not alternating, against its score
   (and `two_players_test.py`).
5. A terminal reward was lost if a window starts on it, truncation was taken for
   termination (Stoix `ff_mz`): every window of one episode of either kind, and
   any row of episodes against the definition.
7. Replay grew for ever (EfficientZero #26): the memory is as large as made.
"""

from conformance import broken
from conformance.subject import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.learn.targets import make_targets
from mulearn.types import Trajectory

U, N = 2, 3
LENGTH = U + N + 1


def _clock(times, episode=6, terminal=True):
  """Moves `[1, T]` of endless episodes; observation = time, reward likewise.

  The value stored at time t is 1000 + t, so a bootstrap tells whose it is.
  """
  times = np.asarray(times)[None]
  last = times % episode == episode - 1
  plain = np.zeros(times.shape, np.float32)
  flag = np.zeros(times.shape, bool)
  return Trajectory(
      observation=times.astype(np.int32),
      prior_logits=plain, invalid=flag, policy=plain, improvement=plain,
      value=1000 + times.astype(np.float32),
      action=times.astype(np.int32),
      reward=times.astype(np.float32),
      discount=np.float32(~last) if terminal else plain + 1,
      truncated=flag if terminal else last,
      held_out=flag,
  )  # fmt: skip


def _expected(start, episode, terminal, discount):
  """What a window from time `start` must be taught, by following the clock."""
  end = start + episode - 1 - start % episode  # The episode's last move.
  rows = []
  for t in range(start, start + U + 1):
    if t > end:
      rows.append(("absorbed", 0.0) if terminal else ("unknown", None))
      continue
    total, factor = 0.0, 1.0
    for s in range(t, t + N + 1):
      if s == t + N or (s == end and not terminal):
        total += factor * (1000 + s)  # The bootstrap.
        break
      total += factor * s
      factor *= discount
      if s == end:
        break
    rows.append(("alive", total))
  return rows, end


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("start", range(7))
def test_rows_2_and_5_every_window_of_an_episode(start, terminal):
  """Rows 2 and 5: with what is masked behind an end."""
  moves = _clock(np.arange(start, start + LENGTH), terminal=terminal)
  targets = make_targets(
      jax.tree.map(jnp.asarray, moves), discount=0.5, unroll_steps=U, td_steps=N
  )
  rows, end = _expected(start, 6, terminal, 0.5)
  for k, (kind, value) in enumerate(rows):
    assert targets.policy_mask[0, k] == (kind == "alive")
    assert targets.value_mask[0, k] == (kind != "unknown")
    if kind != "unknown":
      assert float(targets.value[0, k]) == pytest.approx(value)
    if k < U and kind != "unknown":
      reward = start + k if kind == "alive" else 0.0
      assert float(targets.reward[0, k]) == reward
      goes_on = not (terminal and start + k >= end)
      assert targets.continues[0, k] == goes_on
      assert targets.reward_mask[0, k] == 1.0


def check_alignment(make_replay, targets, terminal):
  """Row 2: from the ring, wherever the window lies in it."""
  replay = make_replay(_example(), 16, LENGTH, 128)
  memory = replay.init()
  for t in range(41):  # Round the ring more than twice.
    memory = replay.add(memory, _clock([t], terminal=terminal))
  sample = replay.sample(memory, jax.random.key(0))
  returns = targets(
      sample.reward, 0.5 * sample.discount, sample.value, sample.truncated, N
  )
  seen = np.asarray(sample.observation)
  assert len(set(seen[:, 0])) > 5 and seen.min() >= 41 - 16
  np.testing.assert_array_equal(np.diff(seen, axis=1), 1)
  np.testing.assert_array_equal(sample.action, seen)
  np.testing.assert_array_equal(sample.value, 1000 + seen)
  for row, returned in zip(seen, np.asarray(returns)):
    expected = [
        _expected(int(t), 6, terminal, 0.5)[0][0][1] for t in row[: U + 1]
    ]
    np.testing.assert_allclose(returned, expected, rtol=1e-6)


@pytest.mark.parametrize("terminal", [True, False])
def test_row_2_replay_and_targets_speak_of_the_same_states(
    make_replay, targets, terminal
):
  check_alignment(make_replay, targets, terminal)


def test_row_2_values_of_other_moves_are_found():
  """Row 2: the same check, with the bug of peers in the replay."""
  with pytest.raises(AssertionError):
    check_alignment(
        broken.REPLAY["values of other moves"], TARGETS["mulearn"], True
    )


def _define(reward, discount, value, truncated, t, n):
  """The return of entry `t`, word for word."""
  total, factor = 0.0, 1.0
  for s in range(t, t + n):
    if truncated[s]:
      return total + factor * value[s]
    total += factor * reward[s]
    factor *= discount[s]
    if factor == 0.0:
      return total
  return total + factor * value[t + n]


_SEEDS = st.integers(0, 2**32 - 1)


def _draw(seed, length=12):
  """Rewards, discounts, values and cuts of a lane with many ends."""
  rng = np.random.default_rng(seed)
  reward, value = rng.normal(size=(2, length))
  turn = rng.choice([-0.9, 0.9], length)
  discount = np.where(rng.random(length) < 0.25, 0.0, turn)
  truncated = (rng.random(length) < 0.25) & (discount != 0.0)
  moves = (np.float32(reward), np.float32(discount), np.float32(value))
  return [x[None] for x in (*moves, truncated)]


def check_definition(targets, seed, num_steps):
  """Row 5: ends, cuts, edges and turns in every order."""
  moves = _draw(seed)
  returns = np.asarray(targets(*moves, num_steps))[0]
  rows = [x[0] for x in moves]
  expected = [_define(*rows, t, num_steps) for t in range(12 - num_steps)]
  np.testing.assert_allclose(returns, expected, atol=1e-5)


@given(seed=_SEEDS, num_steps=st.sampled_from([1, 3, 5]))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_row_5_any_row_of_episodes_follows_the_definition(
    targets, seed, num_steps
):
  check_definition(targets, seed, num_steps)


@pytest.mark.parametrize("name", broken.TARGETS)
def test_rows_2_4_and_5_wrong_targets_are_found(name):
  """Rows 2, 4 and 5: the same check, with the bugs of peers."""
  with pytest.raises(AssertionError):
    for seed in range(4):
      check_definition(broken.TARGETS[name], seed, 3)


@given(seed=_SEEDS, end=st.integers(0, 5))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_row_5_nothing_behind_an_end_counts(targets, seed, end):
  """Row 5: neither behind a termination nor behind a cut."""
  moves = _draw(seed)
  reward, discount, value, truncated = moves
  for is_end in (True, False):
    discount[:, end] = 0.0 if is_end else -0.9
    truncated[:, end] = not is_end
    plain = np.asarray(targets(*moves, 5))[0]
    other = [np.array(x) for x in _draw(seed + 1)]
    for mine, strange in zip(moves, other):
      strange[:, : end + 1] = mine[:, : end + 1]
    changed = np.asarray(targets(*other, 5))[0]
    np.testing.assert_array_equal(plain[: end + 1], changed[: end + 1])
    if is_end:  # Also where the window starts on it.
      np.testing.assert_allclose(plain[end], reward[0, end], rtol=1e-6)
    else:  # A cut is not an end: the value stands for what was not played.
      value[:, end] += 1.0
      more = np.asarray(targets(*moves, 5))[0]
      np.testing.assert_allclose(more[end] - plain[end], 1.0, rtol=1e-4)


def test_row_4_a_player_who_moves_twice_keeps_the_sign(targets):
  """Row 4: players 0, 0, 1, 0, 1, 1 move; the score is known to both."""
  players = [0, 0, 1, 0, 1, 1]
  rewards = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]  # To the player who moved.
  signs = [1.0 if a == b else -1.0 for a, b in zip(players, players[1:])]
  score = sum(r if p == 0 else -r for r, p in zip(rewards, players))
  # With five steps the last reward is beyond the window: it is bootstrapped.
  for last in (32.0, 1005.0):
    returns = targets(
        np.float32([rewards]),
        np.float32([signs + [0.0]]),
        np.float32([[0, 0, 0, 0, 0, last]]),
        np.zeros((1, 6), bool),
        5,
    )
    assert float(returns[0, 0]) == score + 32.0 - last


def check_memory(make_replay):
  """Row 7: adding for ever changes neither shapes nor bytes."""
  replay = make_replay(_example(), 16, LENGTH, 4)
  memory = replay.init()
  shapes = jax.tree.map(lambda x: (x.shape, x.dtype), memory)
  for t in range(50):
    memory = replay.add(memory, _clock([t]))
  assert jax.tree.map(lambda x: (x.shape, x.dtype), memory) == shapes
  seen = replay.sample(memory, jax.random.key(0)).observation
  assert seen.min() >= 50 - 16 and seen.max() == 49


def test_row_7_memory_does_not_grow(make_replay):
  check_memory(make_replay)


def test_row_7_a_memory_that_grows_is_found():
  """Row 7: the same check, with the bug of peers."""
  with pytest.raises(AssertionError):
    check_memory(broken.REPLAY["all that ever was"])


def _example():
  return jax.tree.map(lambda x: jnp.asarray(x[0, 0]), _clock([0]))
