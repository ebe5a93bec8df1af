"""How likely texts are: the one path of training and of evaluation."""

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
from jax import Array
import jax.numpy as jnp

from mulearn.lm import text_data
from mulearn.lm.decoder import Decoder
from mulearn.lm.model import LanguageModel
from mulearn.lm.text_data import Rows

# Positions of a row unembedded at once: logits of a whole batch are large.
_CHUNK = 64


class Perplexity(NamedTuple):
  """How well a model predicts.

  Attributes:
    nats: mean negative log-probability of a token.
    num_tokens: tokens predicted.
  """

  nats: float
  num_tokens: int

  @property
  def perplexity(self) -> float:
    """`exp(nats)`, finite."""
    return math.exp(min(self.nats, 700.0))


def log_probs(decoder: Decoder, rows: Rows, *, scan: bool = False) -> Array:
  """Returns the log-probability of each target, `[B, L]`, float32.

  Args:
    decoder: the decoder.
    rows: packed examples; none sees another.
    scan: see `Decoder.__call__`; for gradients.
  """
  same = rows.segments[:, :, None] == rows.segments[:, None, :]
  batch, length = rows.tokens.shape
  mask = same & jnp.tril(jnp.ones((length, length), bool))
  hidden, _ = decoder(rows.tokens, rows.positions, mask, scan=scan)
  chunk = min(length, _CHUNK)
  missing = -length % chunk

  @jax.checkpoint
  def predict(part: tuple[Array, Array]) -> Array:
    hidden, targets = part
    logits = decoder.unembed(hidden)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)
    return chosen[..., 0] - jax.nn.logsumexp(logits, axis=-1)

  parts = jax.tree.map(
      lambda x: jnp.pad(x, [(0, 0), (0, missing), (0, 0)][: x.ndim])
      .reshape(batch, -1, chunk, *x.shape[2:])
      .swapaxes(0, 1),
      (hidden, rows.targets),
  )
  parts = jax.lax.map(predict, parts)
  return parts.swapaxes(0, 1).reshape(batch, -1)[:, :length]


def evaluate(
    model: LanguageModel,
    examples: Sequence[str | Mapping[str, Any]],
    *,
    length: int = 512,
    batch_size: int = 4,
) -> Perplexity:
  """Evaluates a model on texts, or on examples as in `text_data`.

  Args:
    model: the language model.
    examples: at least one.
    length: tokens of a row; what is longer is cut into several.
    batch_size: rows computed at once.

  Returns:
    The mean over all tokens that are to be predicted.

  Raises:
    ValueError: there is nothing to predict.
  """
  dicts = [{"text": e} if isinstance(e, str) else e for e in examples]
  encoded = [e for d in dicts for e in text_data.encode(model.tokenizer, d)]
  return of_rows(model.params, text_data.pack(encoded, length), batch_size)


def of_rows(decoder: Decoder, rows: Rows, batch_size: int) -> Perplexity:
  """Evaluates a decoder on packed rows; see `evaluate`."""
  total, count = 0.0, 0.0
  for start in range(0, len(rows.tokens), batch_size):
    part = Rows(*(field[start : start + batch_size] for field in rows))
    # The last batch is filled up with rows that do not count.
    missing = batch_size - len(part.tokens)
    part = Rows(*(jnp.pad(x, ((0, missing), (0, 0))) for x in part))
    nats, weight = _sums(decoder, part)
    total, count = total + float(nats), count + float(weight)
  return Perplexity(total / count, int(count))


@jax.jit
def _sums(decoder: Decoder, rows: Rows) -> tuple[Array, Array]:
  nats = -jnp.sum(log_probs(decoder, rows) * rows.weights)
  return nats, jnp.sum(rows.weights)
