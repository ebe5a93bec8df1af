"""A language model as one object: decoder, tokenizer, and who it is."""

import dataclasses
import functools
import pathlib

from absl import logging
import jax
from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm import files, gguf_model, hugging_face, registry, store, weights
from mulearn.lm.config import DecoderConfig
from mulearn.lm.decoder import Decoder
from mulearn.lm.tensors import Tensor
from mulearn.lm.tokenizer import Tokenizer

# Raise it whenever names or layouts of the cache change; old ones are ignored.
_FORMAT = 4
# GGUF files up to so many bytes are kept converted.
_LARGEST_CACHED = 1 << 30
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
    name_or_path: str | pathlib.Path,
    dtype: str = "float32",
    sharding: weights.Sharding | None = None,
) -> LanguageModel:
  """Loads a language model.

  Args:
    name_or_path: a known model (see `registry.KNOWN_MODELS`), a GGUF file, a
      Hugging Face directory of safetensors, a directory that `save` wrote, or
      `organisation/name` on the Hugging Face hub.
    dtype: `float32`, or `bfloat16` for half the memory and more speed.
    sharding: from a parameter's name and shape to its `jax.sharding.Sharding`;
      arrays are made in it, one at a time. None leaves them on one device.

  Returns:
    The model.

  Raises:
    WeightsError: the weights are missing, damaged or of an unsupported kind.
    ValueError: the dtype is not supported.
  """
  if dtype not in _DTYPES:
    raise ValueError(f"dtype {dtype!r} is not one of {_DTYPES}.")
  path = registry.fetch(name_or_path)
  name = str(name_or_path)
  if store.is_saved(path):
    return _restore(path, dtype, sharding, name)
  if path.is_dir():
    checkpoint, digest = hugging_face.read(path), files.sha256_of_all(path)
    return _build(checkpoint, dtype, sharding, digest, name)
  digest = files.sha256(path)
  entry = files.cache_directory() / "lm" / f"{digest}-{_FORMAT}"
  # Reading an entry is a meeting of all processes, of which each may have its
  # own cache and come here at another time.
  is_alone = jax.process_count() == 1
  if is_alone and store.is_saved(entry):
    try:
      model = _restore(entry, dtype, sharding, name)
      return dataclasses.replace(model, sha256=digest)
    except files.WeightsError as error:
      logging.warning("%s It is made again from %s.", error, path)
  checkpoint = gguf_model.read(path)
  if is_alone and path.stat().st_size <= _LARGEST_CACHED:
    checkpoint = _converted(checkpoint, entry)
  return _build(checkpoint, dtype, sharding, digest, name)


def describe(name_or_path: str | pathlib.Path) -> tuple[DecoderConfig, str]:
  """Returns the shape and the hash of what `load` would load, but no arrays.

  Args:
    name_or_path: as for `load`.

  Raises:
    WeightsError: it is missing, damaged or of an unsupported kind.
  """
  path = registry.fetch(name_or_path)
  if store.is_saved(path):
    config, _, digest = store.describe(path)
    return config, digest
  if path.is_dir():
    return hugging_face.read(path).config, files.sha256_of_all(path)
  return gguf_model.read(path).config, files.sha256(path)


def save(model: LanguageModel, directory: str | pathlib.Path) -> None:
  """Writes a model with Orbax, so that `load` reads it from the directory.

  Args:
    model: the model; its arrays may be sharded over processes, which then all
      call this.
    directory: local; a model that is there is replaced.
  """
  arrays = weights.parameter_arrays(model.params)
  store.write(pathlib.Path(directory), model.config, model.tokenizer, arrays)


def _restore(
    path: pathlib.Path,
    dtype: str,
    sharding: weights.Sharding | None,
    name: str,
) -> LanguageModel:
  config, tokenizer, make, digest = store.read(path, dtype, sharding)
  return LanguageModel(config, Decoder(config, make), tokenizer, digest, name)


def _build(
    checkpoint: weights.Checkpoint,
    dtype: str,
    sharding: weights.Sharding | None,
    digest: str,
    name: str,
) -> LanguageModel:
  make = weights.array_maker(checkpoint, dtype, sharding)
  decoder = Decoder(checkpoint.config, make)
  return LanguageModel(
      checkpoint.config, decoder, checkpoint.tokenizer, digest, name
  )


def _converted(
    checkpoint: weights.Checkpoint, entry: pathlib.Path
) -> weights.Checkpoint:
  """Reads all tensors as float32, and keeps them in the cache if it can."""
  arrays = {
      name: weights.checked(
          checkpoint, name, tensor.read(), np.dtype(np.float32)
      )
      for name, tensor in checkpoint.tensors.items()
  }
  try:
    store.write(entry, checkpoint.config, checkpoint.tokenizer, arrays)
  # Orbax raises what it likes; the cache is a convenience.
  except Exception as error:
    logging.warning(
        "converted weights are not cached in %s: %s", entry.parent, error
    )
  tensors = {
      name: Tensor(array.shape, functools.partial(np.asarray, array))
      for name, array in arrays.items()
  }
  return dataclasses.replace(checkpoint, tensors=tensors)


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
