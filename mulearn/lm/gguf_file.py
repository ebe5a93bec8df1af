"""GGUF files: header and tensors, nothing in them taken on trust.

The format is the one that llama.cpp writes (ggml's docs/gguf.md), versions 2
and 3, little-endian. The `gguf` package dequantises; its reader is not used,
because it believes every length in the file and takes seconds for a
vocabulary.
"""

import functools
import math
import pathlib
import struct
from typing import Any

import gguf
import numpy as np

from mulearn.lm.files import WeightsError
from mulearn.lm.tensors import Tensor, map_file

_KINDS = gguf.GGMLQuantizationType
_SUPPORTED = tuple(
    getattr(_KINDS, name)
    for name in "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K".split()
)
# Numbers of GGUF's value types to those of `struct`; 8 is text, 9 an array.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd"))
_TEXT, _ARRAY = 8, 9


class _Damaged(Exception):
  """Says what is wrong, without the file's name."""


class _Cursor:
  """Reads values one after the other, never beyond the end."""

  def __init__(self, data: memoryview):
    self.data = data
    self.place = 0

  def take(self, size: int) -> memoryview:
    if size > len(self.data) - self.place:
      raise _Damaged(f"{size} bytes are wanted at byte {self.place}")
    self.place += size
    return self.data[self.place - size : self.place]

  def scalar(self, code: str) -> Any:
    return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

  def text(self) -> str:
    try:
      return str(self.take(self.scalar("Q")), "utf-8")
    except UnicodeDecodeError as error:
      raise _Damaged(f"a text is not UTF-8 ({error.reason})") from error

  def value(self, kind: int) -> Any:
    if kind == _TEXT:
      return self.text()
    if kind in _SCALARS:
      return self.scalar(_SCALARS[kind])
    if kind != _ARRAY:
      raise _Damaged(f"value type {kind} does not exist")
    kind, count = self.scalar("I"), self.scalar("Q")
    if kind == _TEXT:
      # A text takes 8 bytes at least, so this stops at the file's end.
      self.need(count * 8)
      return [self.text() for _ in range(count)]
    if kind not in _SCALARS:
      raise _Damaged(f"arrays of value type {kind} are not supported")
    dtype = np.dtype("<" + _SCALARS[kind])
    return np.frombuffer(self.take(count * dtype.itemsize), dtype)

  def need(self, size: int) -> None:
    if size > len(self.data) - self.place:
      raise _Damaged(f"{size} bytes are announced at byte {self.place}")


def read_gguf(
    path: pathlib.Path,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
  """Reads the header of a GGUF file.

  Args:
    path: the file.

  Returns:
    The metadata by name, arrays of numbers as NumPy arrays; and the tensors by
    name, which are dequantised to float32 when they are read.

  Raises:
    WeightsError: the file is damaged; names the tensor or the field.
  """
  cursor = _Cursor(map_file(path))
  subject = "the header"
  try:
    if bytes(cursor.take(4)) != b"GGUF":
      raise _Damaged("it does not begin with 'GGUF'")
    version = cursor.scalar("I")
    if version not in (2, 3):
      raise _Damaged(f"version {version} is not 2 or 3")
    num_tensors, num_fields = cursor.scalar("Q"), cursor.scalar("Q")
    cursor.need(num_fields * 13 + num_tensors * 24)
    metadata: dict[str, Any] = {}
    for i in range(num_fields):
      subject = f"field {i}"
      name = cursor.text()
      subject = f"field {name!r}"
      if name in metadata:
        raise _Damaged("it occurs twice")
      metadata[name] = cursor.value(cursor.scalar("I"))
    subject = "field 'general.alignment'"
    alignment = metadata.get("general.alignment", 32)
    if alignment not in (8, 16, 32, 64, 128, 256, 512, 1024, 4096):
      raise _Damaged(f"{alignment} is not a usual power of two")
    entries = {}
    for i in range(num_tensors):
      subject = f"tensor {i}"
      name = cursor.text()
      subject = f"tensor {name!r}"
      if name in entries:
        raise _Damaged("it occurs twice")
      entries[name] = _entry(cursor)
    body = cursor.data[cursor.place + -cursor.place % alignment :]
    tensors = {}
    for name, entry in entries.items():
      subject = f"tensor {name!r}"
      tensors[name] = _tensor(*entry, alignment, body)
  except _Damaged as error:
    raise WeightsError(
        f"{path}: {subject}: {error}; it is not GGUF, or truncated or damaged."
        " Fetch it again."
    ) from error
  return metadata, tensors


def _entry(cursor: _Cursor) -> tuple[tuple[int, ...], int, int]:
  rank = cursor.scalar("I")
  if not 1 <= rank <= 4:
    raise _Damaged(f"it has {rank} axes")
  shape = tuple(cursor.scalar("Q") for _ in range(rank))[::-1]
  return shape, cursor.scalar("I"), cursor.scalar("Q")


def _tensor(
    shape: tuple[int, ...],
    number: int,
    offset: int,
    alignment: int,
    body: memoryview,
) -> Tensor:
  if number not in _SUPPORTED:
    raise _Damaged(
        f"type {number} is not supported; supported:"
        f" {', '.join(kind.name for kind in _SUPPORTED)}"
    )
  kind = _KINDS(number)
  block, block_size = gguf.GGML_QUANT_SIZES[kind]
  if shape[-1] % block or 0 in shape:
    raise _Damaged(f"shape {shape} is not made of blocks of {block}")
  size = math.prod(shape) // block * block_size
  if offset % alignment or offset + size > len(body):
    raise _Damaged(
        f"bytes {offset} to {offset + size} of {len(body)}, aligned to"
        f" {alignment}"
    )
  part = body[offset : offset + size]
  return Tensor(shape, functools.partial(_dequantise, part, shape, kind))


def _dequantise(
    part: memoryview, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType
) -> np.ndarray:
  if kind == _KINDS.F32:
    return np.frombuffer(part, "<f4").reshape(shape)
  if kind == _KINDS.F16:
    return np.frombuffer(part, "<f2").reshape(shape).astype(np.float32)
  rows = np.frombuffer(part, np.uint8).reshape(*shape[:-1], -1)
  with np.errstate(all="ignore"):  # Damaged scales; the caller checks.
    return gguf.quants.dequantize(rows, kind)
