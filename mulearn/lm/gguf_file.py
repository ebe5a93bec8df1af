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

_KINDS = {
    getattr(gguf.GGMLQuantizationType, name): name
    for name in "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K".split()
}
# GGUF's types of numbers as `struct` has them; 8 is text, 9 an array.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd"))
_TEXT, _ARRAY = 8, 9
_ALIGNMENTS = (8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class _Cursor:
  """Reads values one after the other, never beyond the end."""

  def __init__(self, path: pathlib.Path):
    self.path, self.data, self.place = path, map_file(path), 0
    self.subject = "the header"

  def wrong(self, what: str) -> WeightsError:
    return WeightsError(
        f"{self.path}: {self.subject}: {what}; it is not GGUF, or truncated or"
        " damaged. Fetch it again."
    )

  def need(self, size: int) -> None:
    if size > len(self.data) - self.place:
      raise self.wrong(f"{size} bytes are wanted at byte {self.place}")

  def take(self, size: int) -> memoryview:
    self.need(size)
    self.place += size
    return self.data[self.place - size : self.place]

  def scalar(self, code: str) -> Any:
    return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

  def text(self) -> str:
    try:
      return str(self.take(self.scalar("Q")), "utf-8")
    except UnicodeDecodeError as error:
      raise self.wrong(f"a text is not UTF-8 ({error.reason})") from error

  def name(self, kind: str, known: dict) -> str:
    self.subject = f"{kind} {len(known)}"
    name = self.text()
    self.subject = f"{kind} {name!r}"
    if name in known:
      raise self.wrong("it occurs twice")
    return name

  def value(self) -> Any:
    kind = self.scalar("I")
    if kind in _SCALARS:
      return self.scalar(_SCALARS[kind])
    if kind == _TEXT:
      return self.text()
    if kind != _ARRAY:
      raise self.wrong(f"value type {kind} does not exist")
    kind, count = self.scalar("I"), self.scalar("Q")
    if kind == _TEXT:
      self.need(count * 8)  # A text takes so much at least.
      return [self.text() for _ in range(count)]
    if kind not in _SCALARS:
      raise self.wrong(f"arrays of value type {kind} are not supported")
    dtype = np.dtype("<" + _SCALARS[kind])
    return np.frombuffer(self.take(count * dtype.itemsize), dtype)

  def entry(self) -> tuple[tuple[int, ...], int, int]:
    rank = self.scalar("I")
    if not 1 <= rank <= 4:
      raise self.wrong(f"it has {rank} axes")
    shape = tuple(self.scalar("Q") for _ in range(rank))[::-1]
    return shape, self.scalar("I"), self.scalar("Q")


def read_gguf(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
  """Reads the header of a GGUF file.

  Args:
    path: the file.

  Returns:
    The metadata by name, arrays of numbers as NumPy arrays; and the tensors by
    name, which are dequantised to float32 when they are read.

  Raises:
    WeightsError: the file is damaged; names the tensor or the field.
  """
  cursor = _Cursor(path)
  if bytes(cursor.take(4)) != b"GGUF":
    raise cursor.wrong("it does not begin with 'GGUF'")
  version = cursor.scalar("I")
  if version not in (2, 3):
    raise cursor.wrong(f"version {version} is not 2 or 3")
  num_tensors, num_fields = cursor.scalar("Q"), cursor.scalar("Q")
  cursor.need(num_fields * 13 + num_tensors * 24)
  metadata: dict[str, Any] = {}
  for _ in range(num_fields):
    name = cursor.name("field", metadata)
    metadata[name] = cursor.value()
  cursor.subject = "field 'general.alignment'"
  alignment = metadata.get("general.alignment", 32)
  if alignment not in _ALIGNMENTS:
    raise cursor.wrong(f"{alignment} is not a usual power of two")
  entries: dict[str, tuple] = {}
  for _ in range(num_tensors):
    name = cursor.name("tensor", entries)
    entries[name] = cursor.entry()
  body = cursor.data[cursor.place + -cursor.place % alignment :]
  tensors = {}
  for name, (shape, kind, offset) in entries.items():
    cursor.subject = f"tensor {name!r}"
    if kind not in _KINDS:
      raise cursor.wrong(
          f"type {kind} is not supported; supported:"
          f" {', '.join(_KINDS.values())}"
      )
    kind = gguf.GGMLQuantizationType(kind)
    block, block_size = gguf.GGML_QUANT_SIZES[kind]
    if shape[-1] % block or 0 in shape:
      raise cursor.wrong(f"shape {shape} is not made of blocks of {block}")
    end = offset + math.prod(shape) // block * block_size
    if offset % alignment or end > len(body):
      raise cursor.wrong(
          f"bytes {offset} to {end} of {len(body)}, aligned to {alignment}"
      )
    read = functools.partial(_dequantise, body[offset:end], shape, kind)
    tensors[name] = Tensor(shape, read)
  return metadata, tensors


def _dequantise(
    part: memoryview, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType
) -> np.ndarray:
  if kind == gguf.GGMLQuantizationType.F32:
    return np.frombuffer(part, "<f4").reshape(shape)
  rows = np.frombuffer(part, np.uint8).reshape(*shape[:-1], -1)
  with np.errstate(all="ignore"):  # Damaged scales; the caller checks.
    return gguf.quants.dequantize(rows, kind)
