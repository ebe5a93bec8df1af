"""A language model as one object: decoder, tokenizer, and who it is."""

import dataclasses
import pathlib

import jax
from jax import Array
import jax.numpy as jnp

from mulearn.lm import files, registry, weights
from mulearn.lm.decoder import Decoder, DecoderConfig
from mulearn.lm.tokenizer import Tokenizer

_DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class LanguageModel:
  """A decoder with its tokenizer.

  Attributes:
    config: the decoder's shape.
    params: the decoder, a pytree.
    tokenizer: text to ids and back.
    sha256: hash of the file that the weights came from.
    name: what was asked for.
  """

  config: DecoderConfig
  params: Decoder
  tokenizer: Tokenizer
  sha256: str
  name: str


def load(
    name_or_path: str | pathlib.Path, dtype: str = "float32"
) -> LanguageModel:
  """Loads a language model.

  Args:
    name_or_path: a known model (see `registry.KNOWN_MODELS`) or a GGUF file.
    dtype: `float32`, or `bfloat16` for half the memory and more speed.

  Returns:
    The model.

  Raises:
    WeightsError: the weights are missing, damaged or of an unsupported kind.
    ValueError: the dtype is not supported.
  """
  if dtype not in _DTYPES:
    raise ValueError(f"dtype {dtype!r} is not one of {_DTYPES}.")
  path = registry.fetch(name_or_path)
  checkpoint, digest = weights.read(path)

  def make(name: str, shape: tuple[int, ...]) -> Array:
    array = checkpoint.arrays[name]
    if array.shape != shape:
      raise files.WeightsError(
          f"{path}: {name!r} has shape {array.shape}, expected {shape} from"
          " the configuration: it is damaged."
      )
    return jnp.asarray(array, dtype)

  decoder = Decoder(checkpoint.config, make)
  return LanguageModel(
      checkpoint.config,
      decoder,
      checkpoint.tokenizer,
      digest,
      str(name_or_path),
  )


def logits(model: LanguageModel, tokens: Array) -> Array:
  """Returns next-token logits of whole sequences.

  Args:
    model: the language model.
    tokens: `[B, L]`, int.

  Returns:
    `[B, L, V]`, float32.
  """
  return _logits(model.params, jnp.asarray(tokens))


@jax.jit
def _logits(decoder: Decoder, tokens: Array) -> Array:
  batch, length = tokens.shape
  positions = jnp.broadcast_to(jnp.arange(length), (batch, length))
  mask = jnp.tril(jnp.ones((length, length), bool))
  mask = jnp.broadcast_to(mask, (batch, length, length))
  hidden, _ = decoder(tokens, positions, mask)
  return decoder.unembed(hidden)
