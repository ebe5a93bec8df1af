"""Games of others survive the disk, and fill a replay in order."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds

from mulearn.config import ReplayConfig
from mulearn.env.catch import Catch
from mulearn.replay import buffer, demonstrations, recorded


def _game(number, length, ends=True):
  """Game `number`, whose planes count its moves; it is cut or it ends."""
  rng = np.random.default_rng(number)
  view = np.arange(length + 1)[:, None, None, None] + np.zeros(
      Catch.observation_shape
  )
  discount = np.ones(length, np.float32)
  discount[-1] = 0.0 if ends else 1.0
  return recorded.Played(
      observation=(view + 100 * number).astype(np.float32),
      action=rng.integers(3, size=length).astype(np.int32),
      reward=rng.normal(size=length).astype(np.float32),
      discount=discount,
  )


_GAMES = [_game(0, 3), _game(1, 1, ends=False), _game(2, 5)]


def _write(directory, games):
  view = games[0].observation[0]
  return demonstrations.write(
      directory, games, provenance={}, layout=recorded.layout(view)
  )


def _read(directory):
  return demonstrations.read(directory, layout=recorded.layout())


def _fields(game):
  return dataclasses.asdict(game)


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.uint8])
def test_round_trip_keeps_everything_in_order(tmp_path, dtype):
  games = [
      dataclasses.replace(g, observation=(g.observation % 2).astype(dtype))
      for g in _GAMES
  ]
  source = _read(_write(tmp_path / "data", games))
  assert len(source) == 3
  for i, game in enumerate(games):
    assert source[i].observation.dtype == dtype
    jax.tree.map(
        np.testing.assert_array_equal, _fields(source[i]), _fields(game)
    )


def test_the_files_have_the_fields_of_rl_unplugged(tmp_path):
  directory = _write(tmp_path / "data", _GAMES)
  builder = tfds.builder_from_directory(directory)
  steps = builder.as_data_source("train")[1]["steps"]
  assert set(steps) == {
      *("observation", "action", "reward", "discount"),
      *("is_first", "is_last", "is_terminal"),
  }
  # Cut after its one move: last, and not terminal.
  assert list(steps["is_first"]) == [True, False]
  assert list(steps["is_last"]) == [False, True]
  assert not any(steps["is_terminal"])
  steps = builder.as_data_source("train")[2]["steps"]
  assert list(steps["is_terminal"]) == [False] * 5 + [True]
  assert list(steps["discount"]) == [1, 1, 1, 1, 0, 0]


def test_sets_that_say_only_at_the_last_step_that_a_game_is_over():
  record = recorded.to_record(_GAMES[2])
  record["steps"]["discount"] = np.ones(6)
  record["episode_id"] = 7
  assert list(recorded.from_record(record).discount) == [1, 1, 1, 1, 0]


def test_a_move_is_told_what_was_played_and_what_came_of_it():
  game = dataclasses.replace(
      _GAMES[0],
      action=np.array([2, 0, 1]),
      reward=np.array([1.0, 2.0, 4.0], np.float32),
  )
  found = recorded.moves(game, num_actions=3, discount=0.5)
  np.testing.assert_array_equal(found.policy, np.eye(3)[[2, 0, 1]])
  np.testing.assert_allclose(found.value, [1 + 0.5 * (2 + 0.5 * 4), 4.0, 4.0])
  assert list(found.discount) == [1, 1, 0] and not found.truncated.any()
  cut = recorded.moves(_game(0, 3, ends=False), num_actions=3, discount=1.0)
  assert list(cut.truncated) == [False, False, True]


def _memory(capacity, lanes=2):
  config = ReplayConfig(capacity=capacity, batch_size=64)
  replay = buffer.make_replay(config, lanes, 2)
  example = jax.tree.map(
      lambda x: jnp.zeros(x.shape[1:], x.dtype),
      recorded.moves(_GAMES[0], 3, 1.0),
  )
  return replay, replay.init(example)


@pytest.mark.parametrize("capacity", [8, 20])
def test_a_replay_is_filled_game_after_game(capacity):
  """9 moves over 2 rings: 4 each, whether the rings are then full or not."""
  replay, memory = _memory(capacity)
  memory = recorded.fill(memory, replay, _GAMES, Catch(), 1.0)
  assert int(buffer.num_moves(memory)) == 8
  times = np.asarray(memory.experience.observation[:, :4, 0, 0, 0])
  np.testing.assert_array_equal(times, [[0, 1, 2, 100], [200, 201, 202, 203]])
  sample = replay.sample(memory, jax.random.key(0))
  pairs = np.asarray(sample.trajectory.observation[..., 0, 0, 0])
  stored = {(0, 1), (1, 2), (2, 100), (200, 201), (201, 202), (202, 203)}
  assert set(map(tuple, pairs)) == stored  # All of them, and no others.


def test_games_that_do_not_fit_are_refused():
  replay, memory = _memory(6)
  with pytest.raises(ValueError, match="9 moves; raise config.replay.cap"):
    recorded.fill(memory, replay, _GAMES, Catch(), 1.0)
  other = [dataclasses.replace(_GAMES[0], observation=np.zeros((4, 5)))]
  with pytest.raises(ValueError, match=r"observations \(5,\), and the env"):
    recorded.fill(memory, replay, other, Catch(), 1.0)
  more = [dataclasses.replace(_GAMES[0], action=np.array([0, 3, 0]))]
  with pytest.raises(ValueError, match="3 actions; name the data set"):
    recorded.fill(memory, replay, more, Catch(), 1.0)
