"""Where every array of a run lives: its path, its shape, how it is split."""

from collections.abc import Iterable, Mapping, Sequence
import math
import re
from typing import NamedTuple

import jax

from mulearn.parallel import report
from mulearn.types import PyTree

_COLUMNS = ("part", "array", "arrays", "shape", "type", "split", "bytes a chip")


class Row(NamedTuple):
  """One array, or several that are alike.

  Attributes:
    part: of the run, such as state or replay.
    path: through the part; `*` stands for the number of a layer.
    count: arrays.
    shape: of each, on all chips together.
    dtype: of each.
    split: the axis of the mesh that splits each axis, `-` for none.
    bytes_a_chip: of all of them.
  """

  part: str
  path: str
  count: int
  shape: tuple[int, ...]
  dtype: str
  split: str
  bytes_a_chip: int


def placement(arrays: Mapping[str, PyTree]) -> list[Row]:
  """Every array of a run.

  Args:
    arrays: by part, with their shardings: of `programs.Programs`.

  Returns:
    A row an array.
  """
  return [
      _row(part, path, leaf)
      for part, tree in arrays.items()
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  ]


def merge(rows: Iterable[Row]) -> list[Row]:
  """Rows that differ in the number of a layer alone, as one."""
  merged: dict[tuple, Row] = {}
  for row in rows:
    path = re.sub(r"(?<=\.)\d+(?=\.)", "*", row.path)
    key = (row.part, path, row.shape, row.dtype, row.split)
    before = merged.get(key)
    merged[key] = row._replace(
        path=path,
        count=row.count + (before.count if before else 0),
        bytes_a_chip=row.bytes_a_chip + (before.bytes_a_chip if before else 0),
    )
  return list(merged.values())


def table(rows: Sequence[Row]) -> str:
  """Rows as a Markdown table, and their sum."""
  cells = [
      [
          row.part,
          row.path,
          str(row.count),
          " x ".join(map(str, row.shape)) or "scalar",
          row.dtype,
          row.split,
          report.amount(row.bytes_a_chip, "B"),
      ]
      for row in rows
  ]
  total = report.amount(sum(row.bytes_a_chip for row in rows), "B")
  count = sum(row.count for row in rows)
  cells.append(["all", "", str(count), "", "", "", total])
  return "\n".join(report.markdown(_COLUMNS, cells))


def _row(part: str, path: tuple, leaf: jax.ShapeDtypeStruct) -> Row:
  name = jax.tree_util.keystr(path, simple=True, separator=".")
  return Row(
      part,
      name.removesuffix(".value"),
      1,
      leaf.shape,
      str(leaf.dtype),
      _split(leaf),
      math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize,
  )


def _split(leaf: jax.ShapeDtypeStruct) -> str:
  """Axes of the mesh of more than one chip, by axis of the array."""
  sizes = leaf.sharding.mesh.shape
  names = []
  for entry in leaf.sharding.spec:
    axes = entry if isinstance(entry, tuple) else (entry,)
    names.append("+".join(a for a in axes if a and sizes[a] > 1) or "-")
  while names and names[-1] == "-":
    names.pop()
  return ", ".join(names) or "whole"
