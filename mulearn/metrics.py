"""What a run writes down as it goes: JSON lines and TensorBoard files.

A writer has one method. `JsonLinesWriter` keeps every number exactly: a float
is printed with as many digits as it takes to read the same bits back. JSON has
no word for what is not a number, so those are the strings "NaN", "Infinity"
and "-Infinity", which `float()` reads back; a null would say that nothing was
measured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import json
import math
import os
import pathlib
from typing import Protocol

import tensorboardX


class Writer(Protocol):
  """Takes the numbers of one step."""

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Records `values`, which belong to `step`."""


class JsonLinesWriter:
  """Appends one JSON object a line to a file: `step`, then the values."""

  def __init__(
      self,
      path: str | os.PathLike[str],
      *,
      keep: Callable[[Mapping[str, float]], bool] | None = None,
  ):
    """Opens the file, which may go on from an earlier run.

    Args:
      path: the file; its folder is made if need be.
      keep: says of each line that is there already whether it stays; a run
        that was restored drops those it will write again. None keeps all.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if keep is not None and path.exists():
      _filter(path, keep)
    self._file = path.open("a", encoding="utf-8")

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Writes one line, and flushes it so that it can be followed.

    Args:
      step: the step that `values` belong to.
      values: numbers, or scalars of NumPy or JAX.

    Raises:
      ValueError: if one of the values is called `step`.
    """
    if "step" in values:
      raise ValueError(
          f"A value is called 'step' ({values['step']}), as the step"
          f" itself is ({step}): rename the value."
      )
    record = {"step": int(step)} | {k: _json(v) for k, v in values.items()}
    self._file.write(json.dumps(record, allow_nan=False) + "\n")
    self._file.flush()

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


class TensorBoardWriter:
  """Writes scalars to a folder that TensorBoard reads, every ten seconds."""

  def __init__(self, directory: str | os.PathLike[str], *, start_step: int = 0):
    """Opens the folder.

    Args:
      directory: where the event files go.
      start_step: TensorBoard hides what an earlier run wrote from here on; a
        resumed run starts after the step of its checkpoint.
    """
    self._writer = tensorboardX.SummaryWriter(
        os.fspath(directory), purge_step=start_step, flush_secs=10
    )

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Writes one point of each value's curve."""
    for name, value in values.items():
      self._writer.add_scalar(name, float(value), int(step))

  def close(self) -> None:
    """Closes the event file."""
    self._writer.close()


class MultiWriter:
  """Hands everything on to several writers."""

  def __init__(self, writers: Sequence[Writer]):
    """Takes the writers, in the order in which they shall write."""
    self._writers = tuple(writers)

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Writes to each of them."""
    for writer in self._writers:
      writer.write(step, values)

  def close(self) -> None:
    """Closes those that can be closed."""
    for writer in self._writers:
      getattr(writer, "close", lambda: None)()


def read_json_lines(
    path: str | os.PathLike[str],
) -> Iterator[dict[str, float]]:
  """Reads what a `JsonLinesWriter` wrote; the inverse of its `write`.

  Args:
    path: the file. A last line that a kill cut short is left out.

  Yields:
    One dict a line: `step`, an int, and the values.
  """
  with open(path, encoding="utf-8") as file:
    for line in file:
      if line.endswith("\n"):
        yield {
            k: float(v) if isinstance(v, str) else v
            for k, v in json.loads(line).items()
        }


def _json(value: float) -> float | int | str:
  # A float32 is widened to the float64 of the same value: nothing is lost.
  value = getattr(value, "item", lambda: value)()
  if isinstance(value, (bool, int)):
    return int(value)
  value = float(value)
  if math.isfinite(value):
    return value
  return json.dumps(value)


def _filter(
    path: pathlib.Path, keep: Callable[[Mapping[str, float]], bool]
) -> None:
  """Keeps the chosen lines; drops the rest, and one that a kill cut short."""
  with path.open(encoding="utf-8") as file:
    lines = [line for line in file if line.endswith("\n")]
  kept = [line for line in lines if keep(json.loads(line))]
  scratch = path.with_name(path.name + ".tmp")
  scratch.write_text("".join(kept), encoding="utf-8")
  os.replace(scratch, path)
