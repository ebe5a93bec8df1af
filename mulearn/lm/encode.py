"""Texts to vectors: the mean of a layer's hidden states."""

from collections.abc import Sequence
import functools

import jax
from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm import pack
from mulearn.lm.decoder import Decoder
from mulearn.lm.model import LanguageModel


def encode(
    model: LanguageModel,
    texts: Sequence[str],
    layer: int | None = None,
    max_tokens: int = 512,
) -> np.ndarray:
  """Encodes texts as the mean over their tokens of a layer's hidden states.

  Equal texts are computed once; short ones share rows. The first token of a
  row is an attention sink with a norm of thousands, so the token that begins a
  text (or, without one, separates documents) is put before each text and left
  out of its mean.

  Args:
    model: the language model.
    texts: any number of texts.
    layer: the hidden states after so many blocks, 1 to `num_layers`; None
      takes two thirds of them.
    max_tokens: of a longer text only the beginning counts.

  Returns:
    `[N, D]`, float32; zeros for an empty text.

  Raises:
    ValueError: the layer does not exist.
  """
  num_layers = model.config.num_layers
  layer = -(-2 * num_layers // 3) if layer is None else layer
  if not 1 <= layer <= num_layers:
    raise ValueError(f"layer {layer} is not between 1 and {num_layers}.")
  distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
  segments = []
  for text in distinct:
    tokens = model.tokenizer.encode(text)[:max_tokens]
    segments.append(pack.chain([model.tokenizer.start_id] + tokens))
  means = np.zeros((len(segments), model.config.width), np.float32)
  for batch in pack.pack(segments):
    # Padding is nobody's: so large an owner is dropped.
    owner = np.full(batch.tokens.size, batch.tokens.size, np.int32)
    for rank, (i, offset) in enumerate(batch.places):
      owner[offset + 1 : offset + len(segments[i].tokens)] = rank
    pooled = _pool(
        model.params,
        batch.tokens,
        batch.positions,
        batch.mask,
        owner,
        num_layers=layer,
    )
    means[[i for i, _ in batch.places]] = pooled[: len(batch.places)]
  return means[[distinct[text] for text in texts]]


@functools.partial(jax.jit, static_argnames="num_layers")
def _pool(
    decoder: Decoder,
    tokens: Array,
    positions: Array,
    mask: Array,
    owner: Array,
    num_layers: int,
) -> Array:
  """Returns the mean hidden state `[B * L, D]` of each owner's tokens."""
  hidden, _ = decoder(tokens, positions, mask, num_layers=num_layers)
  hidden = hidden.reshape(-1, hidden.shape[-1])
  count = tokens.size
  sums = jax.ops.segment_sum(hidden, owner, count)
  sizes = jax.ops.segment_sum(jnp.ones(count), owner, count)
  return sums / jnp.maximum(sizes, 1.0)[:, None]
