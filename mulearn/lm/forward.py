"""The compiled steps of scoring, in few shapes: prefix, rows, vocabulary."""

from collections.abc import Sequence

import jax
from jax import Array
import numpy as np

from mulearn.lm.attention import Prefix
from mulearn.lm.decoder import Decoder

# Logits made at once, 64 MB: 256 positions of a vocabulary of 49,152.
_NUM_LOGITS = 1 << 24
# Prefixes are padded to a multiple of so many tokens.
_PREFIX_STEP = 128


def compute_prefix(decoder: Decoder, tokens: Sequence[int]) -> Prefix | None:
  """Computes the keys and values of a prefix.

  Args:
    decoder: the decoder.
    tokens: any number of token ids.

  Returns:
    The prefix, padded so that prefixes of like length share compiled programs;
    None if there are no tokens.
  """
  if not tokens:
    return None
  length = -(-len(tokens) // _PREFIX_STEP) * _PREFIX_STEP
  padded = np.zeros((1, length), np.int32)
  padded[0, : len(tokens)] = tokens
  prefix = _keys_values(
      decoder,
      padded,
      np.arange(length, dtype=np.int32)[None],
      np.tril(np.ones((1, length, length), bool)),
  )
  return prefix._replace(length=np.int32(len(tokens)))


@jax.jit
def _keys_values(
    decoder: Decoder, tokens: Array, positions: Array, mask: Array
) -> Prefix:
  return decoder(tokens, positions, mask)[1]


@jax.jit
def hidden_states(
    decoder: Decoder,
    tokens: Array,
    positions: Array,
    mask: Array,
    prefix: Prefix | None,
) -> Array:
  """Returns hidden states `[B * L, D]` of packed rows after a prefix."""
  start = 0 if prefix is None else prefix.length
  hidden, _ = decoder(tokens, positions + start, mask, prefix)
  return hidden.reshape(-1, hidden.shape[-1])


def predictions(
    decoder: Decoder,
    hidden: np.ndarray,
    rows: Sequence[int],
    targets: Sequence[int],
) -> np.ndarray:
  """Returns log-probabilities of tokens after positions.

  Args:
    decoder: unembeds.
    hidden: `[N, D]`.
    rows: `M` ascending or repeated indices into `hidden`.
    targets: `M` token ids.

  Returns:
    `[M]`, float64.
  """
  rows, targets = np.asarray(rows), np.asarray(targets)
  values = np.empty(len(rows))
  start = 0
  largest = 1 << (_NUM_LOGITS // decoder.config.vocab_size).bit_length() - 1
  largest = min(max(largest, 16), 256)
  while start < len(hidden):
    left = len(hidden) - start
    size = largest // 4 if left <= largest // 4 else largest
    chunk = np.zeros((size, hidden.shape[1]), np.float32)
    part = hidden[start : start + size]
    chunk[: len(part)] = part
    inside = np.flatnonzero((rows >= start) & (rows < start + size))
    # As many as a power of two, so that few programs are compiled.
    num_asked = 1 << (max(len(inside), size) - 1).bit_length()
    asked = np.zeros((2, num_asked), np.int32)
    asked[:, : len(inside)] = rows[inside] - start, targets[inside]
    found = _log_probs(decoder, chunk, *asked)
    values[inside] = np.asarray(found)[: len(inside)]
    start += size
  return values


@jax.jit
def _log_probs(
    decoder: Decoder, hidden: Array, rows: Array, targets: Array
) -> Array:
  """Returns nats `[M]` of targets `[M]` after rows `[M]` of `[N, D]`."""
  logits = decoder.unembed(hidden)
  return logits[rows, targets] - jax.nn.logsumexp(logits, axis=-1)[rows]
