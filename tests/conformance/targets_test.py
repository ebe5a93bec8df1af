"""Bugs of peers in replay and targets, each with its number in our list.

2. Replay index, bootstrap and recurrent window described different states
   (LightZero #501, EfficientZero #34): golden alignment on an environment whose
   observation is the time step, through replay and targets together.
4. The sign of two players was wrong where one moves twice (muzero-general #108,
   alpha-zero-general #18): a game that is not alternating, against its score.
5. A terminal reward was lost if a window starts on it, truncation was taken for
   termination (Stoix `ff_mz`): every window of one episode of either kind.
7. Replay grew for ever (EfficientZero #26): the memory is as large as made.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import ReplayConfig
from mulearn.learn.targets import make_targets
from mulearn.replay.buffer import make_replay
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


def test_row_2_replay_and_targets_speak_of_the_same_states():
  config = ReplayConfig(capacity=16, batch_size=128)
  replay = make_replay(config, 1, LENGTH)
  example = jax.tree.map(lambda x: jnp.asarray(x[0, 0]), _clock([0]))
  memory, add = replay.init(example), jax.jit(replay.add)
  for t in range(41):  # Round the ring more than twice.
    memory = add(memory, _clock([t]))
  sample = replay.sample(memory, jax.random.key(0)).trajectory
  targets = make_targets(sample, discount=0.5, unroll_steps=U, td_steps=N)
  seen = np.asarray(sample.observation)
  assert len(set(seen[:, 0])) > 5
  np.testing.assert_array_equal(sample.action, seen)
  for i, start in enumerate(seen[:, 0]):
    rows, _ = _expected(int(start), 6, True, 0.5)
    expected = [value for _, value in rows]
    np.testing.assert_allclose(targets.value[i], expected, rtol=1e-6)


def test_row_4_a_player_who_moves_twice_keeps_the_sign():
  """Players 0, 0, 1, 0, 1, 1 move; the score is known to both."""
  players = [0, 0, 1, 0, 1, 1]
  rewards = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]  # To the player who moved.
  signs = [1.0 if a == b else -1.0 for a, b in zip(players, players[1:])]
  signs += [0.0]
  moves = _clock(np.arange(6))._replace(
      reward=np.float32([rewards]), discount=np.float32([signs])
  )
  targets = make_targets(moves, discount=1.0, unroll_steps=0, td_steps=5)
  # With five steps the last reward is beyond the window: bootstrap it.
  bootstrap = moves._replace(value=np.float32([[0, 0, 0, 0, 0, 32.0]]))
  full = make_targets(bootstrap, discount=1.0, unroll_steps=0, td_steps=5)
  score = sum(r if p == 0 else -r for r, p in zip(rewards, players))
  assert float(full.value[0, 0]) == score
  assert float(targets.value[0, 0]) == score + 32.0 - 1005.0


def test_row_7_memory_does_not_grow():
  config = ReplayConfig(capacity=16, batch_size=4, prioritised=True)
  replay = make_replay(config, 1, LENGTH)
  example = jax.tree.map(lambda x: jnp.asarray(x[0, 0]), _clock([0]))
  memory, add = replay.init(example), jax.jit(replay.add)
  shapes = jax.tree.map(lambda x: (x.shape, x.dtype), memory)
  for t in range(50):
    memory = add(memory, _clock([t]))
  assert jax.tree.map(lambda x: (x.shape, x.dtype), memory) == shapes
