"""One checkpoint on disk: arrays as Orbax writes them, the rest as JSON.

`arrays` are stored flat, by name. `host` holds the caller's dict and, for each
array, its shape, dtype and CRC-32, because a flipped bit in an array is not an
error to anybody until somebody trains on it.
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import os
from typing import Any
import zlib

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from mulearn.types import PyTree

# Name of an array to its shape, dtype and CRC-32.
Manifest = Mapping[str, list[Any]]


def write(
    path: os.PathLike[str], arrays: PyTree, host: Mapping[str, Any]
) -> None:
  """Writes a new checkpoint, which appears whole by a rename or not at all.

  Args:
    path: the directory to make; it must not exist.
    arrays: pytree of JAX or NumPy arrays, `jax.random` keys or numbers.
    host: a dict that JSON can hold.
  """
  record: dict[str, Any] = {"host": dict(host), "arrays": _describe(arrays)}
  record["crc32"] = _crc_of_json(record)
  named = {name: _storable(leaf) for name, leaf in _flatten(arrays).items()}
  # Empty arrays have no bytes, and Orbax refuses to write none.
  items = {"arrays": {k: v for k, v in named.items() if v.size}}
  with _orbax():
    ocp.save_checkpointables(path, {**items, "host": record})


def read_host(path: os.PathLike[str]) -> tuple[dict[str, Any], Manifest]:
  """Reads and verifies the host's dict and the arrays' manifest."""
  with _orbax():
    record = ocp.load_checkpointables(path, {"host": None})["host"]
  crc = record.pop("crc32")
  if crc != _crc_of_json(record):
    raise ValueError("the checksum of its host part is wrong")
  return record["host"], record["arrays"]


def differences(
    manifest: Manifest, like: PyTree, *, partial: bool = False
) -> list[str]:
  """Says how the saved arrays differ in name, shape or dtype from `like`.

  Args:
    manifest: what `read_host` said of them.
    like: pytree of arrays, or of a `jax.ShapeDtypeStruct` for each.
    partial: there may be other arrays beside those of `like`.
  """
  wanted = {k: _shape_and_dtype(x) for k, x in _flatten(like).items()}
  found = []
  for name in sorted({*wanted} if partial else {*manifest, *wanted}):
    was = manifest[name][:2] if name in manifest else "absent"
    now = wanted.get(name, "absent")
    if was != now:
      found.append(f"{name} was {was} and is {now}")
  return found


def read_arrays(
    path: os.PathLike[str], manifest: Manifest, like: PyTree
) -> PyTree:
  """Reads, verifies and places the arrays as `like` has them.

  Args:
    path: the checkpoint.
    manifest: what `read_host` said of it.
    like: pytree of arrays or `jax.ShapeDtypeStruct`s, without `differences`.

  Returns:
    The arrays, in the structure of `like`.

  Raises:
    ValueError: if an array is not the one that was written.
  """
  named = _flatten(like)
  wanted = {k: _target(x) for k, x in named.items() if _size(manifest[k])}
  loaded = {}
  if wanted:
    with _orbax():
      loaded = ocp.load_checkpointables(path, {"arrays": wanted})["arrays"]
  leaves = []
  for name, leaf in named.items():
    array = loaded.get(name)
    if array is None:
      array = np.zeros(leaf.shape, leaf.dtype)
    if manifest[name][2] not in (None, _crc_of_array(array)):
      raise ValueError(f"the checksum of array {name} is wrong")
    leaves.append(_place(array, leaf))
  return jax.tree.unflatten(jax.tree.structure(like), leaves)


@contextlib.contextmanager
def _orbax() -> Iterator[None]:
  """Orbax with our options, leaving the reporting of errors to the caller."""
  registry = ocp.handlers.local_registry()
  # `host` is JSON, although Orbax would take a dict of strings for a pytree.
  registry.add(ocp.handlers.JsonHandler, checkpointable_name="host")
  context = ocp.Context()
  context.checkpointables_options.registry = registry
  # Whether all arrays are asked for is held by `differences`.
  context.pytree_options.loading.partial_load = True
  # Else a directory that cannot be made (a full disk) is waited for minutes.
  context.async_options.create_directories_asynchronously = False
  # Its threads each log the traceback of the one exception that it raises.
  logger = logging.get_absl_logger()
  logger.addFilter(_not_from_a_thread)
  try:
    with context:
      yield
  finally:
    logger.removeFilter(_not_from_a_thread)


def _not_from_a_thread(record: Any) -> bool:
  return "_SignalingThread" not in str(record.msg)


def _flatten(tree: PyTree) -> dict[str, Any]:
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  named = {
      jax.tree_util.keystr(path, simple=True, separator="."): leaf
      for path, leaf in leaves
  }
  if len(named) != len(leaves):
    raise ValueError(
        f"Two of the {len(leaves)} arrays to save have one name;"
        " rename keys that contain a dot."
    )
  return named


def _is_key(leaf: Any) -> bool:
  dtype = getattr(leaf, "dtype", None)
  return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def _storable(leaf: Any) -> jax.Array | np.ndarray:
  if _is_key(leaf):
    return jax.random.key_data(leaf)
  return leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)


def _shape_and_dtype(leaf: Any) -> list[Any]:
  leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
  return [list(leaf.shape), str(leaf.dtype)]


def _describe(arrays: PyTree) -> dict[str, list[Any]]:
  """Shape, dtype and CRC-32 (None if not all here) of each array."""
  return {
      name: [*_shape_and_dtype(leaf), _crc_of_array(_storable(leaf))]
      for name, leaf in _flatten(arrays).items()
  }


def _crc_of_array(array: jax.Array | np.ndarray) -> int | None:
  if isinstance(array, jax.Array) and not array.is_fully_addressable:
    return None
  flat = np.ascontiguousarray(np.asarray(array)).reshape(-1)
  return zlib.crc32(flat.view(np.uint8).data)


def _crc_of_json(record: Mapping[str, Any]) -> int:
  return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _target(leaf: Any) -> Any:
  """What Orbax should make of a stored leaf."""
  if _is_key(leaf):
    leaf = jax.eval_shape(jax.random.key_data, leaf)
    return np.empty(leaf.shape, leaf.dtype)
  if not _is_pinned(leaf):
    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return np.empty(leaf.shape, leaf.dtype)
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _is_pinned(leaf: Any) -> bool:
  # An array that is free to move (not committed) must come back free, or the
  # first step after a resume compiles again.
  has_sharding = getattr(leaf, "sharding", None) is not None
  return has_sharding and getattr(leaf, "committed", True)


def _place(array: Any, leaf: Any) -> Any:
  if _is_key(leaf):
    key = jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
    return jax.device_put(key, leaf.sharding) if _is_pinned(leaf) else key
  if isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct)):
    return array if isinstance(array, jax.Array) else jnp.array(array)
  if isinstance(leaf, (bool, int, float)):
    return array.item()
  return np.asarray(array)


def _size(entry: list[Any]) -> int:
  return int(np.prod(entry[0], dtype=np.int64))
