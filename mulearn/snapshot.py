"""One checkpoint on disk: arrays as Orbax writes them, the rest as JSON.

`arrays` are stored flat, by name. `host` holds the caller's dict and, for each
array, its shape, dtype and a checksum, because a flipped bit in an array is not
an error to anybody until somebody trains on it. The checksum is the sum of the
CRC-32 of an array's rows, each begun with a hash of the row's number: processes
that have rows of it apart can add up what each of them found, however rows are
split.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import copy
import json
import os
from typing import Any
import zlib

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from mulearn.parallel import hosts
from mulearn.types import PyTree

# Name of an array to its shape, dtype and checksum, and what that is of.
Manifest = Mapping[str, list[Any]]
_KIND = "hashed rows"


def begin(
    path: os.PathLike[str],
    arrays: PyTree,
    host: Mapping[str, Any],
    *,
    copies: bool = True,
) -> Callable[[], None]:
  """Begins a new checkpoint, which appears whole by a rename or not at all.

  Args:
    path: the directory to make; it must not exist.
    arrays: pytree of JAX or NumPy arrays, `jax.random` keys or numbers.
    host: a dict that JSON can hold.
    copies: the arrays, which may then be changed or donated as soon as this
      returns; else they must be left alone until the checkpoint is there.

  Returns:
    A function that waits until the checkpoint is there, and raises what went
    wrong.

  Raises:
    ValueError: processes have another array each where all should have one.
  """
  record: dict[str, Any] = {
      "host": copy.deepcopy(dict(host)),  # Lists go on growing.
      "arrays": _describe(arrays),
  }
  record["crc32"] = _crc_of_json(record)
  named = {name: _storable(leaf) for name, leaf in _flatten(arrays).items()}
  # Empty arrays have no bytes, and Orbax refuses to write none.
  kept = {name: leaf for name, leaf in named.items() if leaf.size}
  if copies:
    kept = {name: _copy(leaf) for name, leaf in kept.items()}
  with _orbax():
    items = {"arrays": kept, "host": record}
    response = ocp.save_checkpointables_async(path, items)

  def finish() -> None:
    with _orbax():
      response.result()

  return finish


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


def load(
    path: os.PathLike[str], manifest: Manifest, like: PyTree
) -> dict[str, Any]:
  """Reads the arrays, placed as `like` has them, and does not trust them yet.

  Args:
    path: the checkpoint.
    manifest: what `read_host` said of it.
    like: pytree of arrays or `jax.ShapeDtypeStruct`s, without `differences`.

  Returns:
    The arrays by name, for `verified`.
  """
  named = _flatten(like)
  wanted = {k: _target(x) for k, x in named.items() if _size(manifest[k])}
  loaded = {}
  if wanted:
    with _orbax():
      loaded = ocp.load_checkpointables(path, {"arrays": wanted})["arrays"]
  return {
      name: loaded[name] if name in wanted else np.zeros(leaf.shape, leaf.dtype)
      for name, leaf in named.items()
  }


def verified(named: dict[str, Any], manifest: Manifest, like: PyTree) -> PyTree:
  """What `load` read, in the structure of `like`; all processes ask at once.

  Raises:
    ValueError: if an array is not the one that was written.
  """
  _verify(manifest, named)
  leaves = [_place(named[name], leaf) for name, leaf in _flatten(like).items()]
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
  # Its threads each log the traceback of the one exception that it raises; they
  # may do so when nobody waits for them.
  logging.get_absl_logger().addFilter(_not_from_a_thread)  # Once, if again.
  with context:
    yield


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


def _copy(leaf: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
  """What nobody else can change while a thread writes it."""
  if isinstance(leaf, np.ndarray):
    return leaf.copy()
  # Orbax reads other devices before it returns, but the memory of a CPU later.
  is_here = next(iter(leaf.devices())).platform == "cpu"
  return jnp.copy(leaf) if is_here else leaf


def _shape_and_dtype(leaf: Any) -> list[Any]:
  leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
  return [list(leaf.shape), str(leaf.dtype)]


def _describe(arrays: PyTree) -> dict[str, list[Any]]:
  """Shape, dtype and checksum of each array."""
  named = _flatten(arrays)
  sums = _checksums({name: _storable(leaf) for name, leaf in named.items()})
  return {
      name: [*_shape_and_dtype(leaf), sums[name], _KIND]
      for name, leaf in named.items()
  }


def _verify(manifest: Manifest, arrays: Mapping[str, Any]) -> None:
  """Raises a ValueError that names an array which is not what was written."""
  if any(manifest[name][3:] != [_KIND] for name in arrays):
    logging.warning(
        "The arrays were saved by an older mulearn with other checksums, and"
        " are taken as they are."
    )
    return
  sums = _checksums(arrays)
  for name in arrays:
    if sums[name] != manifest[name][2]:
      raise ValueError(f"the checksum of array {name} is wrong")


def _checksums(arrays: Mapping[str, Any]) -> dict[str, int]:
  """Of each array over all processes, which must ask at once.

  Raises:
    ValueError: processes have another array each where all should have one.
  """
  found = hosts.everywhere([_sum_here(array) for array in arrays.values()])
  sums = {}
  for (name, array), column in zip(arrays.items(), found.T.tolist()):
    if _is_split(array):
      sums[name] = sum(column) % 2**32
      continue
    sums[name] = column[0]
    apart = [i for i, other in enumerate(column) if other != column[0]]
    if apart:
      raise ValueError(
          f"array {name} is another in process {apart[0]} than in process 0,"
          " and all must have the same: their programs, packages or inputs"
          " differ"
      )
  return sums


def _is_split(array: jax.Array | np.ndarray) -> bool:
  """Whether no process has all of it."""
  return isinstance(array, jax.Array) and not (
      array.is_fully_addressable or array.is_fully_replicated
  )


def _sum_here(array: jax.Array | np.ndarray) -> int:
  """The checksum of an array, or what this process adds to it."""
  if not isinstance(array, jax.Array) or array.is_fully_addressable:
    return _sum_of_rows(np.asarray(array), 0)
  if array.is_fully_replicated:
    return _sum_of_rows(np.asarray(array.addressable_data(0)), 0)
  return _sum_of_part(array)


def _sum_of_part(array: jax.Array) -> int:
  shards = [s for s in array.addressable_shards if s.replica_id == 0]
  if any(s.data.shape[1:] != array.shape[1:] for s in shards):
    raise ValueError(
        f"An array of shape {array.shape} is split along more than its first"
        " axis over several processes, and no checksum is defined for that:"
        " shard its first axis, or none."
    )
  first = [(s.index[0].start or 0) if s.index else 0 for s in shards]
  sums = [_sum_of_rows(np.asarray(s.data), i) for s, i in zip(shards, first)]
  return sum(sums) % 2**32


def _sum_of_rows(rows: np.ndarray, first: int) -> int:
  rows = np.ascontiguousarray(np.atleast_1d(rows))
  if not rows.size:
    return 0
  rows = rows.reshape(len(rows), -1).view(np.uint8)
  # What a CRC begins with is added to the first four bytes (without carry): a
  # small number in a neighbour's row would pass for the row's own.
  numbers = (first + np.arange(len(rows))) * 0x9E3779B1 % 2**32
  sums = [zlib.crc32(row.data, n) for row, n in zip(rows, numbers.tolist())]
  return sum(sums) % 2**32


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
