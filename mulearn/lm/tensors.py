"""Named tensors in a file, and safetensors files of them.

A file is only mapped into memory; every size and offset of its header is
checked against the file before anything is allocated.
"""

from collections.abc import Callable, Iterable
import functools
import json
import math
import mmap
import pathlib
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from mulearn.lm.files import WeightsError

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


class Tensor(NamedTuple):
  """A tensor that is read when it is asked for.

  Attributes:
    shape: its shape, the last axis contiguous.
    read: returns the array, a view of the file where it is stored as it is.
  """

  shape: tuple[int, ...]
  read: Callable[[], np.ndarray]


def map_file(path: pathlib.Path) -> memoryview:
  """Maps a file into memory, read-only.

  Args:
    path: the file.

  Returns:
    Its bytes.

  Raises:
    WeightsError: the file is empty or cannot be read.
  """
  try:
    with path.open("rb") as file:
      return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
  except (OSError, ValueError) as error:
    raise WeightsError(
        f"cannot read {path}: {error}; it is missing, truncated or damaged."
        " Fetch it again."
    ) from error


def read_safetensors(path: pathlib.Path) -> dict[str, Tensor]:
  """Reads the header of a safetensors file.

  Args:
    path: the file.

  Returns:
    Its tensors by name.

  Raises:
    WeightsError: the file is damaged; names the tensor or the field.
  """
  data = map_file(path)

  def wrong(what: str) -> WeightsError:
    return WeightsError(
        f"{path}: {what}: it is truncated or damaged. Fetch it again."
    )

  size = int.from_bytes(data[:8], "little")
  if len(data) < 8 or size > len(data) - 8:
    raise wrong(f"its header has {size} bytes but the file {len(data)} in all")
  try:
    header = json.loads(
        bytes(data[8 : 8 + size]).decode(), object_pairs_hook=_unique
    )
  except (ValueError, RecursionError) as error:
    raise wrong(f"its header is not readable ({error})") from error
  if not isinstance(header, dict):
    raise wrong("its header is not an object")
  header.pop("__metadata__", None)
  body, tensors, spans = data[8 + size :], {}, []
  for name, entry in header.items():
    try:
      tensors[name], span = _entry(entry, body)
    except (KeyError, TypeError, ValueError) as error:
      raise wrong(f"tensor {name!r} has a wrong entry ({error})") from error
    spans.append((*span, name))
  end = 0
  for start, stop, name in sorted(spans):
    if start != end:
      raise wrong(f"tensor {name!r} begins at byte {start}, expected {end}")
    end = stop
  if end != len(body):
    raise wrong(f"its tensors have {end} bytes but {len(body)} are there")
  return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  found = dict(pairs)
  if len(found) != len(pairs):
    raise ValueError("a name occurs twice")
  return found


def _entry(entry: Any, body: memoryview) -> tuple[Tensor, tuple[int, int]]:
  if entry["dtype"] not in _DTYPES:
    raise ValueError(f"dtype {entry['dtype']!r} is not supported")
  dtype = np.dtype(_DTYPES[entry["dtype"]])
  shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
  if not all(type(n) is int and n >= 0 for n in (*shape, start, stop)):
    raise ValueError("its shape or offsets are not natural numbers")
  if not start <= stop <= len(body):
    raise ValueError(f"bytes {start} to {stop} of {len(body)}")
  if len(shape) > 8 or math.prod(shape) * dtype.itemsize != stop - start:
    raise ValueError(f"{stop - start} bytes for {shape} of {dtype}")
  part = body[start:stop]
  return Tensor(shape, functools.partial(_view, part, dtype, shape)), (
      start,
      stop,
  )


def _view(
    part: memoryview, dtype: np.dtype, shape: tuple[int, ...]
) -> np.ndarray:
  return np.frombuffer(part, dtype).reshape(shape)


def write_safetensors(
    path: pathlib.Path,
    shapes: dict[str, tuple[int, ...]],
    arrays: Iterable[np.ndarray],
    dtype: str,
) -> None:
  """Writes a safetensors file, one array in memory at a time.

  Args:
    path: the file.
    shapes: shapes by name, in the order in which the arrays come.
    arrays: the arrays; they are converted to `dtype`.
    dtype: of the arrays in the file.
  """
  kind, start, header = np.dtype(dtype), 0, {"__metadata__": {"format": "pt"}}
  for name, shape in shapes.items():
    stop = start + math.prod(shape) * kind.itemsize
    header[name] = {
        "dtype": _NAMES[kind],
        "shape": shape,
        "data_offsets": [start, stop],
    }
    start = stop
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % 8)
  with path.open("wb") as file:
    file.write(len(text).to_bytes(8, "little") + text)
    for array in arrays:
      array = np.ascontiguousarray(array, kind)
      file.write(array.reshape(-1).view(np.uint8).data)
