"""Recorded episodes as an endless stream of fixed-length windows.

A Grain pipeline: episodes -> this process's share -> encoded (kept in memory)
-> pass after pass, each in a new order -> one random window of `T` consecutive
steps of each -> batched. Nothing but the seed, the share and the state of the
iterator decides what comes next, and that state is a small JSON dictionary to
keep in a checkpoint.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import operator
import sys
from typing import NamedTuple

import grain
import jax
import numpy as np

from mulearn.replay.episodes import Episode
from mulearn.types import PyTree

Encode = Callable[[Episode], PyTree]


class Windows(NamedTuple):
  """Windows of episodes, and which of their steps are real.

  Attributes:
    sequence: what `encode` made of the steps, a pytree of `[B, T, ...]`.
    valid: False past the end of an episode, where `sequence` repeats the last
      entry, `[B, T]`.
  """

  sequence: PyTree
  valid: np.ndarray


def windows(
    source: Sequence[Episode],
    *,
    window: int,
    batch_size: int,
    seed: int,
    encode: Encode,
    shard_index: int | None = None,
    shard_count: int | None = None,
) -> grain.IterDataset[Windows]:
  """Streams batches of random windows, for ever.

  Every pass over the data takes one window of each episode, in a new order.
  A window starts at any move of its episode with the same probability. Iterate
  over the result; its iterator's `get_state()` and `set_state(state)` stop and
  continue the stream exactly.

  Args:
    source: random access to the episodes, for instance `demonstrations.read`.
    window: steps of a window, `T`.
    batch_size: windows of a batch, `B`, in this process.
    seed: decides the order and the starts.
    encode: turns an episode into a pytree of arrays `[steps, ...]`, where
      `steps` counts the final observation or leaves it out; called once for
      each episode.
    shard_index: which share this process reads; `jax.process_index()` unless
      given.
    shard_count: number of shares; `jax.process_count()` unless given.

  Returns:
    A Grain dataset of `Windows`.

  Raises:
    ValueError: if an argument is out of range, or this share has no episode.
  """
  shard_index = jax.process_index() if shard_index is None else shard_index
  shard_count = jax.process_count() if shard_count is None else shard_count
  _check(len(source), window, batch_size, shard_index, shard_count)
  share = range(shard_index, len(source), shard_count)
  encoded = _Encoded(source, encode, share)
  dataset = (
      grain.MapDataset.source(_Passes(encoded, seed))
      .seed(seed)
      .random_map(lambda episode, rng: _random_window(episode, window, rng))
      .batch(batch_size, drop_remainder=True)
  )
  # The episodes are in memory: threads would only contend for the interpreter.
  return dataset.to_iter_dataset(
      grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
  )


class _EncodedEpisode(NamedTuple):
  """An episode as arrays `[steps, ...]`, and its number of moves."""

  sequence: PyTree
  num_moves: int


@dataclasses.dataclass(frozen=True)
class _Encoded:
  """The encoded episodes of one share, each made when it is first asked for."""

  source: Sequence[Episode]
  encode: Encode
  indices: range
  cache: dict[int, _EncodedEpisode] = dataclasses.field(default_factory=dict)

  def __len__(self) -> int:
    return len(self.indices)

  def __getitem__(self, index: int) -> _EncodedEpisode:
    index = self.indices[operator.index(index)]
    if index not in self.cache:
      episode = self.source[index]
      sequence = jax.tree.map(np.asarray, self.encode(episode))
      _check_length(sequence, episode)
      self.cache[index] = _EncodedEpisode(sequence, episode.num_moves)
    return self.cache[index]


class _Passes:
  """Endless passes over the episodes, each in an order of its own.

  The order is a function of the seed and the index alone, as Grain wants it.
  Grain's own shuffle takes 0.4 ms an element where there are but a hundred,
  several times what all the rest takes.
  """

  def __init__(self, episodes: _Encoded, seed: int):
    self._episodes = episodes
    self._seed = seed
    self._order = functools.lru_cache(maxsize=4)(self._draw_order)

  def __len__(self) -> int:
    return sys.maxsize

  def __getitem__(self, index: int) -> _EncodedEpisode:
    number, place = divmod(operator.index(index), len(self._episodes))
    return self._episodes[self._order(number)[place]]

  def _draw_order(self, number: int) -> np.ndarray:
    """The order of pass `number`: a permutation, `[episodes]`."""
    rng = np.random.default_rng((self._seed, number))
    return rng.permutation(len(self._episodes))


def _random_window(
    episode: _EncodedEpisode, window: int, rng: np.random.Generator
) -> Windows:
  """Cuts `window` steps from a random move on, repeating the last entry."""
  steps = np.arange(window) + rng.integers(episode.num_moves)
  length = jax.tree.leaves(episode.sequence)[0].shape[0]
  indices = np.minimum(steps, length - 1)
  sequence = jax.tree.map(lambda x: x[indices], episode.sequence)
  return Windows(sequence, steps < length)


def _check_length(sequence: PyTree, episode: Episode) -> None:
  """Checks that `encode` kept the steps of an episode."""
  lengths = {x.shape[0] if x.ndim else None for x in jax.tree.leaves(sequence)}
  allowed = {episode.num_moves, episode.num_moves + 1}
  if len(lengths) != 1 or not lengths <= allowed:
    raise ValueError(
        f"`encode` returned leading axes of {lengths} for an episode of"
        f" {episode.num_moves} moves: every leaf must have {allowed}, the moves"
        " without or with the final observation."
    )


def _check(
    num_episodes: int,
    window: int,
    batch_size: int,
    shard_index: int,
    shard_count: int,
) -> None:
  """Checks the numbers given to `windows`."""
  if window < 1 or batch_size < 1:
    raise ValueError(
        f"window={window} and batch_size={batch_size} must be at least 1."
    )
  if not 0 <= shard_index < shard_count:
    raise ValueError(
        f"shard_index={shard_index} must be in [0, shard_count={shard_count})."
    )
  if num_episodes <= shard_index:
    raise ValueError(
        f"Share {shard_index} of {shard_count} is empty: there are only"
        f" {num_episodes} episodes. Record at least {shard_count}, or read with"
        " fewer processes."
    )
