"""Packing: every token once, seeing its ancestors and nobody else."""

import numpy as np
import pytest

from mulearn.lm import pack


def test_trie_shares_beginnings():
  segment, paths = pack.trie([1, 2], [[5, 6, 9], [5, 7, 9], [5, 9], [5]])
  # Tokens: context 1 2, then 5, 6 and 7; the last token of each is not needed.
  assert segment.tokens == [1, 2, 5, 6, 7]
  assert segment.parents == [-1, 0, 1, 2, 2]
  assert paths == [[1, 2, 3], [1, 2, 4], [1, 2], [1]]


def test_segments_in_a_row_are_strangers():
  tree = pack.Segment([1, 2, 3, 4], [-1, 0, 1, 1])
  (batch,) = pack.pack([tree, pack.chain([5, 6])])
  places = dict(batch.places)
  a, b = places[0], places[1]
  assert batch.tokens.ravel()[a : a + 4].tolist() == [1, 2, 3, 4]
  assert batch.positions.ravel()[a : a + 4].tolist() == [0, 1, 2, 2]
  assert batch.positions.ravel()[b : b + 2].tolist() == [0, 1]
  seen = [np.flatnonzero(batch.mask[0, a + i]) - a for i in range(4)]
  assert [s.tolist() for s in seen] == [[0], [0, 1], [0, 1, 2], [0, 1, 3]]
  assert np.flatnonzero(batch.mask[0, b + 1]).tolist() == [b, b + 1]


@pytest.mark.parametrize("seed", range(5))
def test_every_segment_is_placed_once_in_a_known_shape(seed):
  rng = np.random.default_rng(seed)
  sizes = rng.integers(1, rng.choice([20, 100, 700]), rng.integers(1, 60))
  segments = [pack.chain(rng.integers(1, 99, size).tolist()) for size in sizes]
  placed = []
  for batch in pack.pack(segments):
    assert batch.tokens.shape in pack.SHAPES
    used = np.zeros(batch.tokens.size, int)
    for i, offset in batch.places:
      end = offset + len(segments[i].tokens)
      assert batch.tokens.ravel()[offset:end].tolist() == segments[i].tokens
      assert (
          offset // batch.tokens.shape[1] == (end - 1) // batch.tokens.shape[1]
      )
      used[offset:end] += 1
      placed.append(i)
    assert used.max() == 1
    assert batch.mask.any(axis=-1).all(), "padding sees itself"
  assert sorted(placed) == list(range(len(segments)))


def test_little_is_wasted_on_equal_segments():
  segments = [pack.chain([1] * 90)] * 32
  tokens = sum(batch.tokens.size for batch in pack.pack(segments))
  assert tokens <= 1.1 * 32 * 90


def test_no_segments():
  assert not list(pack.pack([]))


def test_too_long():
  with pytest.raises(ValueError, match="3000 tokens"):
    list(pack.pack([pack.chain([1] * 3000)]))
