"""Demonstrations as sequences: slots, returns, ends, and who may learn."""

import dataclasses

import jax
import numpy as np
import pytest

from mulearn import run
from mulearn.learn.imitate import encode_episode
from mulearn.prior.base import UniformPrior
from mulearn.replay.episodes import Episode, Step


def _episode(rooms, seed=3, terminal=True, **recorded):
  """Through three rooms; the second and the last command are rewarded."""
  actions = ("take hat", "go west", "put hat in box")
  steps = [
      Step(
          room,
          action=action,
          reward=reward,
          discount=0.0 if t == 2 and terminal else 1.0,
          is_first=t == 0,
          **{name: values[t] for name, values in recorded.items()},
      )
      for t, (room, action, reward) in enumerate(
          zip(rooms, actions, (0.0, 0.5, 1.0))
      )
  ]
  last = Step(rooms[0], discount=0.0, is_last=True, is_terminal=terminal)
  return Episode("twc", "train", seed, (*steps, last))


@pytest.fixture
def encode(phrases, tiny_config):
  """(episode, prior) -> trajectory, with the tiny config (discount .95)."""

  def encode(episode, prior=UniformPrior()):
    return encode_episode(episode, phrases, prior, tiny_config)

  return encode


def test_the_given_command_is_policy_and_action(encode, rooms, phrases):
  moves = encode(_episode(rooms))
  slots = [1, 1, 2]  # Of the sorted commands of each room.
  np.testing.assert_array_equal(moves.policy, np.eye(8)[slots])
  texts = [phrases.text(n) for n in moves.action.command]
  assert texts == ["take hat", "go west", "put hat in box"]
  chosen = moves.observation.commands[np.arange(3), slots]
  np.testing.assert_array_equal(moves.action.command, chosen)
  np.testing.assert_array_equal(moves.invalid.sum(-1), [6, 5, 4])
  vocabulary = np.asarray(phrases.arrays()[1])
  assert vocabulary[chosen].all()


def test_values_are_returns(encode, rooms):
  moves = encode(_episode(rooms))
  np.testing.assert_array_equal(moves.reward, np.float32([0.0, 0.5, 1.0]))
  expected = [0.95 * (0.5 + 0.95), 0.5 + 0.95, 1.0]
  np.testing.assert_allclose(moves.value, expected, rtol=1e-6)


@pytest.mark.parametrize("terminal", [True, False])
def test_an_end_is_a_discount_and_a_cut_is_not(encode, rooms, terminal):
  moves = encode(_episode(rooms, terminal=terminal))
  np.testing.assert_array_equal(moves.discount, [1, 1, 0 if terminal else 1])
  np.testing.assert_array_equal(moves.truncated, [False, False, not terminal])


@pytest.mark.parametrize("seed, held_out", [(0, True), (5, True), (7, False)])
def test_some_seeds_are_held_out_from_the_policy(encode, rooms, seed, held_out):
  moves = encode(_episode(rooms, seed=seed))
  np.testing.assert_array_equal(moves.held_out, held_out)


def test_recorded_play_keeps_its_policies_and_values(encode, rooms):
  policy = ((0.25, 0.75), (0.5, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4))
  moves = encode(_episode(rooms, policy=policy, value=(0.1, None, 0.3)))
  for t, row in enumerate(policy):
    np.testing.assert_allclose(moves.policy[t, : len(row)], row)
    assert not moves.policy[t, len(row) :].any()
  np.testing.assert_allclose(moves.value, [0.1, 0.5 + 0.95, 0.3], rtol=1e-6)


def test_prior_stands_at_its_slots(encode, rooms):
  def prior(observations):
    return [-np.arange(1.0, len(o.commands) + 1) for o in observations]

  moves = encode(_episode(rooms), prior)
  for row, room in zip(moves.prior_logits, rooms):
    count = len(room.commands)
    np.testing.assert_array_equal(row[:count], -np.arange(1.0, count + 1))
    assert not row[count:].any()
  np.testing.assert_array_equal(moves.action.prior, [-2.0, -2.0, -3.0])


def test_shapes_are_those_that_replay_stores(encode, rooms, tiny_config):
  moves = encode(_episode(rooms))
  example = run._example_move(tiny_config)
  for name, field in example._asdict().items():
    ours = getattr(moves, name)
    for x, y in zip(*map(jax.tree.leaves, (field, ours)), strict=True):
      assert y.shape == (3, *x.shape) and y.dtype == x.dtype, name


def test_unknown_command_is_an_error(encode, rooms):
  episode = _episode(rooms)
  wrong = dataclasses.replace(episode.steps[0], action="fly home")
  episode = dataclasses.replace(episode, steps=(wrong, *episode.steps[1:]))
  with pytest.raises(ValueError):
    encode(episode)
