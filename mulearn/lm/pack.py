"""Trees of tokens packed side by side into rows of few fixed shapes.

A segment is a tree: each token names the token it follows. A text is a chain;
a context with all its candidate continuations is a chain that ends in a trie,
in which every distinct beginning occurs once. Segments share a row without
seeing each other, so that little is computed for padding and few shapes are
compiled.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

# (rows, length) of the batches. About 256 tokens already run at the full speed
# of two CPU cores; every further shape costs a compilation.
SHAPES = (
    (1, 32),
    (1, 64),
    (4, 64),
    (1, 96),
    (4, 96),
    (1, 128),
    (2, 128),
    (2, 192),
    (1, 256),
    (1, 512),
    (1, 1024),
    (1, 2048),
)


class Segment(NamedTuple):
  """A tree of tokens in which a parent comes before its children.

  Attributes:
    tokens: token ids.
    parents: index of the token that each token follows, -1 for none.
  """

  tokens: list[int]
  parents: list[int]


class Batch(NamedTuple):
  """Packed rows.

  Attributes:
    tokens: `[B, L]`, int32; padding is 0.
    positions: `[B, L]`, int32, the depth of each token in its tree.
    mask: `[B, L, L]`, bool, True for a token's ancestors and itself.
    places: `(segment, offset)` pairs; a segment's token `i` is found at
      `offset + i` of the rows laid end to end.
  """

  tokens: np.ndarray
  positions: np.ndarray
  mask: np.ndarray
  places: list[tuple[int, int]]


def chain(tokens: Sequence[int]) -> Segment:
  """Returns the segment of a plain sequence."""
  return Segment(list(tokens), list(range(-1, len(tokens) - 1)))


def trie(
    context: Sequence[int], candidates: Sequence[Sequence[int]]
) -> tuple[Segment, list[list[int]]]:
  """Joins a context and its continuations into one tree.

  Args:
    context: token ids, at least one.
    candidates: token ids of each continuation.

  Returns:
    The segment; and for each candidate the index of the token after which each
    of its tokens is predicted. The last token of a candidate predicts nothing
    here and is only in the tree where another candidate needs it.
  """
  tokens, parents = chain(context)
  children: dict[tuple[int, int], int] = {}
  paths = []
  for candidate in candidates:
    node, path = len(context) - 1, []
    for i, token in enumerate(candidate):
      path.append(node)
      if i == len(candidate) - 1:
        break
      if (node, token) not in children:
        children[node, token] = len(tokens)
        tokens.append(token)
        parents.append(node)
      node = children[node, token]
    paths.append(path)
  return Segment(tokens, parents), paths


def pack(segments: Sequence[Segment]) -> Iterator[Batch]:
  """Packs segments, longest first, into batches of `SHAPES`.

  Args:
    segments: in any order; none longer than the longest shape.

  Yields:
    Batches that hold every segment once.

  Raises:
    ValueError: a segment is too long.
  """
  longest = SHAPES[-1][1]
  sizes = [len(segment.tokens) for segment in segments]
  if sizes and max(sizes) > longest:
    raise ValueError(
        f"a segment of {max(sizes)} tokens is longer than a row of {longest};"
        " shorten the text."
    )
  order = sorted(range(len(segments)), key=lambda i: -sizes[i])
  while order:
    fitting = [shape for shape in SHAPES if sizes[order[0]] <= shape[1]]
    layouts = [(shape, _first_fit(order, sizes, shape)) for shape in fitting]
    shape, rows = max(
        layouts,
        key=lambda layout: sum(sizes[i] for row in layout[1] for i in row)
        / _cost(layout[0]),
    )
    placed = {i for row in rows for i in row}
    order = [i for i in order if i not in placed]
    yield _fill(shape, rows, segments)


def _cost(shape: tuple[int, int]) -> float:
  """Returns what a batch costs in tokens: its own, its attention, the call."""
  count, length = shape
  return count * length * (1 + length / 1024) + 32


def _first_fit(
    order: list[int], sizes: list[int], shape: tuple[int, int]
) -> list[list[int]]:
  """Returns the segments of each row, taken in order wherever they fit."""
  count, length = shape
  rows: list[list[int]] = [[] for _ in range(count)]
  free = [length] * count
  for i in order:
    if max(free) < sizes[order[-1]]:
      break
    for row in range(count):
      if sizes[i] <= free[row]:
        rows[row].append(i)
        free[row] -= sizes[i]
        break
  return rows


def _fill(
    shape: tuple[int, int],
    rows: list[list[int]],
    segments: Sequence[Segment],
) -> Batch:
  """Lays segments into rows; padding sees itself only."""
  tokens = np.zeros(shape, np.int32)
  positions = np.zeros(shape, np.int32)
  mask = np.zeros((*shape, shape[1]), bool)
  mask[:] = np.eye(shape[1], dtype=bool)
  places = []
  for b, row in enumerate(rows):
    offset = 0
    for i in row:
      segment = segments[i]
      places.append((i, b * shape[1] + offset))
      end = offset + len(segment.tokens)
      tokens[b, offset:end] = segment.tokens
      for node, parent in enumerate(segment.parents, offset):
        if parent >= 0:
          mask[b, node] |= mask[b, offset + parent]
      positions[b, offset:end] = mask[b, offset:end].sum(-1) - 1
      offset = end
  return Batch(tokens, positions, mask, places)
