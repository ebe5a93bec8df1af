"""Weights: what every file format is turned into, and arrays from it.

A reader gives the decoder's configuration, the tokenizer and a tensor for each
of the decoder's names. Arrays are made one tensor at a time, straight into
their sharding, so that no host holds a model that is spread over several.
"""

from collections.abc import Callable, Mapping
import dataclasses
import pathlib

import jax
from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm.config import DecoderConfig
from mulearn.lm.decoder import Decoder, MakeArray
from mulearn.lm.files import WeightsError
from mulearn.lm.tensors import Tensor
from mulearn.lm.tokenizer import Tokenizer

# From a parameter's name and shape to where it lives.
Sharding = Callable[[str, tuple[int, ...]], jax.sharding.Sharding]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """What a weights file or directory holds.

  Attributes:
    path: where it is, for messages.
    config: the decoder's shape.
    tokenizer: the tokenizer.
    tensors: by the decoder's names, in its layouts.
  """

  path: pathlib.Path
  config: DecoderConfig
  tokenizer: Tokenizer
  tensors: Mapping[str, Tensor]


def parameter_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
  """Returns the shape of each parameter of a decoder by name."""
  shapes: dict[str, tuple[int, ...]] = {}

  def note(name: str, shape: tuple[int, ...]) -> np.ndarray:
    shapes[name] = shape
    return np.zeros(())

  Decoder(config, note)
  return shapes


def parameter_arrays(decoder: Decoder) -> dict[str, Array]:
  """Returns the parameters of a decoder by name."""
  leaves, _ = jax.tree_util.tree_flatten_with_path(decoder)
  named = {
      jax.tree_util.keystr(path, simple=True, separator="."): leaf
      for path, leaf in leaves
  }
  return {name.removesuffix(".value"): leaf for name, leaf in named.items()}


def is_matrix(name: str, shape: tuple[int, ...]) -> bool:
  """Returns whether a parameter is `[in, out]`, which files have transposed."""
  return len(shape) == 2 and name not in ("embedding", "output")


def select(
    path: pathlib.Path,
    config: DecoderConfig,
    tensors: Mapping[str, Tensor],
    rename: Callable[[str], str],
    adjust: Callable[[str, np.ndarray], np.ndarray],
) -> dict[str, Tensor]:
  """Finds each parameter among the tensors of a file and checks its shape.

  Args:
    path: the file.
    config: the decoder's shape.
    tensors: by the file's names, matrices as `[out, in]`.
    rename: from the decoder's names to the file's.
    adjust: gets a parameter's name and its array as the file has it, and
      returns the array as the decoder has it but for the transposition.

  Returns:
    Tensors by the decoder's names, in its layouts.

  Raises:
    WeightsError: a tensor is missing, left over, or has another shape.
  """
  if config.num_layers > len(tensors):
    raise WeightsError(
        f"{path} names {config.num_layers} layers but has {len(tensors)}"
        " tensors: it is damaged."
    )
  selected, left = {}, set(tensors)
  for ours, shape in parameter_shapes(config).items():
    theirs = rename(ours)
    if theirs not in tensors:
      raise WeightsError(f"{path} lacks tensor {theirs!r}: it is damaged.")
    left.discard(theirs)
    turned = is_matrix(ours, shape)
    expected = shape[::-1] if turned else shape
    if tensors[theirs].shape != expected:
      raise WeightsError(
          f"{path}: tensor {theirs!r} has shape {tensors[theirs].shape},"
          f" expected {expected} from the configuration: it is damaged."
      )

    def read(ours=ours, theirs=theirs, turned=turned) -> np.ndarray:
      array = tensors[theirs].read()
      if not jnp.issubdtype(array.dtype, jnp.floating):
        raise WeightsError(
            f"{path}: tensor {theirs!r} has type {array.dtype}, expected"
            " floating-point numbers; quantised safetensors are not supported."
        )
      array = adjust(ours, array)
      return array.T if turned else array

    selected[ours] = Tensor(shape, read)
  if left:
    raise WeightsError(
        f"{path} has tensors that its family does not know, {min(left)!r} for"
        " example: it is another kind of model, which is not supported."
    )
  return selected


def array_maker(
    checkpoint: Checkpoint, dtype: str, sharding: Sharding | None
) -> MakeArray:
  """Returns what makes a decoder's arrays from a checkpoint.

  Norms stay in float32, which they are computed in.

  Args:
    checkpoint: what was read.
    dtype: of the arrays.
    sharding: where each lives; None leaves them on the default device.
  """

  def make(name: str, shape: tuple[int, ...]) -> Array:
    array = checkpoint.tensors[name].read()
    kind = array_dtype(shape, dtype)

    def part(index: tuple[slice, ...]) -> np.ndarray:
      return checked(checkpoint, name, array[index], kind)

    if sharding is None:
      return jnp.asarray(part((...,)))
    return jax.make_array_from_callback(shape, sharding(name, shape), part)

  return make


def checked(
    checkpoint: Checkpoint, name: str, array: np.ndarray, dtype: np.dtype
) -> np.ndarray:
  """Returns a copy of (part of) a parameter, if its values are finite."""
  if not np.isfinite(array).all():
    raise WeightsError(
        f"{checkpoint.path}: parameter {name!r} holds values that are not"
        " finite: it is damaged."
    )
  # A view would change, or crash, with the file that it looks into.
  return np.array(array, dtype, order="C")


def array_dtype(shape: tuple[int, ...], dtype: str) -> np.dtype:
  """Returns the dtype of a parameter of a model of a dtype."""
  return jnp.dtype("float32" if len(shape) == 1 else dtype)
