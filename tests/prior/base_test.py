"""Priors without a language model: no opinion, and a wrong one."""

import dataclasses

import numpy as np
import pytest

from mulearn.prior import base


class _Counting:
  """Gives a prior that says which command it meant."""

  def __call__(self, observations):
    return [
        np.log(np.arange(1, n + 1) / (n * (n + 1) / 2)).astype(np.float32)
        for n in (len(o.commands) for o in observations)
    ]


@pytest.fixture
def many(rooms):
  """Observations with 12 commands each."""
  commands = tuple(f"press {i:02}" for i in range(12))
  return [
      dataclasses.replace(rooms[0], prompt=f"Room {i}.", commands=commands)
      for i in range(20)
  ]


def test_no_opinion_is_zeros(rooms):
  rows = base.UniformPrior()(rooms)
  for room, row in zip(rooms, rows):
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row, np.zeros(len(room.commands)))


def test_adversary_permutes_and_does_nothing_else(many):
  wrong = base.ShuffledPrior(_Counting())(many)
  moved = 0
  for row, right in zip(wrong, _Counting()(many)):
    np.testing.assert_array_equal(np.sort(row), np.sort(right))
    moved += (row != right).any()
  assert moved == 20
  assert len({tuple(row) for row in wrong}) == 20


def test_adversary_is_consistent(many):
  """The same text gets the same wrong advice, whenever and beside whatever."""
  one = base.ShuffledPrior(_Counting())(many)
  two = base.ShuffledPrior(_Counting())(many[::-1])[::-1]
  for x, y in zip(one, two):
    np.testing.assert_array_equal(x, y)


def test_padding_is_zeros_after_the_end():
  rows = [np.array([-1.0, -2.0]), np.array([-3.0])]
  np.testing.assert_array_equal(
      base.pad(rows, 3), [[-1.0, -2.0, 0.0], [-3.0, 0.0, 0.0]]
  )
  assert base.pad(rows, 3).dtype == np.float32
