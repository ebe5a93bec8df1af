"""Models on disk as mulearn keeps them: arrays in Orbax, the rest beside them.

A directory holds `arrays`, an Orbax checkpoint, and `model.json`: the
configuration, the tokenizer and a checksum for every array. It is written last,
so a directory that has one is whole.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import hashlib
import json
import pathlib
from typing import Any
import zlib

import jax
from jax import Array
import numpy as np
from orbax.checkpoint import v1 as ocp

from mulearn.lm import weights
from mulearn.lm.config import DecoderConfig
from mulearn.lm.decoder import MakeArray
from mulearn.lm.files import WeightsError, atomic_path
from mulearn.lm.tokenizer import Tokenizer

_DESCRIPTION = "model.json"


def is_saved(path: pathlib.Path) -> bool:
  """Returns whether a directory was written by `write`."""
  return (path / _DESCRIPTION).is_file()


def write(
    path: pathlib.Path,
    config: DecoderConfig,
    tokenizer: Tokenizer,
    arrays: Mapping[str, Array | np.ndarray],
) -> None:
  """Writes a model into a directory; all processes of a run call it.

  Args:
    path: the directory; a model that is there is replaced.
    config: the decoder's shape.
    tokenizer: its tokenizer.
    arrays: the parameters by name.
  """
  path = path.absolute()
  (path / _DESCRIPTION).unlink(missing_ok=True)
  path.mkdir(parents=True, exist_ok=True)
  with _orbax():
    ocp.save(path / "arrays", dict(arrays), overwrite=True)
  record: dict[str, Any] = {
      "config": dataclasses.asdict(config),
      "dtypes": {name: str(array.dtype) for name, array in arrays.items()},
      "checksums": {name: _checksum(array) for name, array in arrays.items()},
      "tokenizer": tokenizer.to_json(),
  }
  record["checksum"] = _checksum_of_record(record)
  if jax.process_index() == 0:
    with atomic_path(path / _DESCRIPTION) as temporary:
      temporary.write_text(json.dumps(record))


def read(
    path: pathlib.Path, dtype: str, sharding: weights.Sharding | None
) -> tuple[DecoderConfig, Tokenizer, MakeArray, str]:
  """Reads what `write` wrote.

  Args:
    path: the directory.
    dtype: of the arrays.
    sharding: where each array lives; with it, arrays are read in parts and so
      not compared with their checksums.

  Returns:
    The configuration, the tokenizer, what makes the decoder's arrays, and a
    hash of it all.

  Raises:
    WeightsError: the directory is damaged.
  """
  path = path.absolute()
  config, record, digest = describe(path)
  with _named_if_damaged(path):
    tokenizer = Tokenizer.from_json(record["tokenizer"])
    shapes = weights.parameter_shapes(config)
  places = sharding and {n: sharding(n, shape) for n, shape in shapes.items()}
  with _named_if_damaged(path):
    wanted = {
        name: jax.ShapeDtypeStruct(
            shape, weights.array_dtype(shape, dtype), sharding=places[name]
        )
        if places
        else np.empty(shape, record["dtypes"][name])
        for name, shape in shapes.items()
    }
    with _orbax():
      arrays = ocp.load(path / "arrays", wanted)
    if sharding is None:
      for name, array in arrays.items():
        if record["checksums"][name] not in (None, zlib.crc32(array)):
          raise ValueError(f"array {name!r} fails its checksum")

  def make(name: str, shape: tuple[int, ...]) -> Array:
    if sharding is not None:
      return arrays[name]
    return jax.numpy.asarray(arrays[name], weights.array_dtype(shape, dtype))

  return config, tokenizer, make, digest


def describe(path: pathlib.Path) -> tuple[DecoderConfig, dict[str, Any], str]:
  """Reads all of what `write` wrote but the arrays.

  Args:
    path: the directory.

  Returns:
    The configuration, the whole description, and a hash of it.

  Raises:
    WeightsError: the description is damaged.
  """
  with _named_if_damaged(path):
    text = (path / _DESCRIPTION).read_text()
    record = json.loads(text)
    checksum = record.pop("checksum")
    if checksum != _checksum_of_record(record):
      raise ValueError("the description fails its checksum")
    config = DecoderConfig(**record["config"])
    return config, record, hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _named_if_damaged(path: pathlib.Path) -> Iterator[None]:
  """Whatever a damaged directory provokes, the remedy is the same."""
  try:
    yield
  except Exception as error:
    raise WeightsError(
        f"the saved model {path} is damaged ({type(error).__name__}: {error})."
        " Save or convert it again."
    ) from error


@contextlib.contextmanager
def _orbax() -> Iterator[None]:
  context = ocp.Context()
  # Weights hardly shrink, and reading them takes twice as long if they do.
  context.array_options.saving.use_compression = False
  # Else a directory that cannot be made is waited for minutes.
  context.async_options.create_directories_asynchronously = False
  with context:
    yield


def _checksum(array: Array | np.ndarray) -> int | None:
  if isinstance(array, Array) and not array.is_fully_addressable:
    return None
  flat = np.ascontiguousarray(np.asarray(array)).reshape(-1)
  return zlib.crc32(flat.view(np.uint8).data)


def _checksum_of_record(record: Mapping[str, Any]) -> int:
  return zlib.crc32(json.dumps(record, sort_keys=True).encode())
