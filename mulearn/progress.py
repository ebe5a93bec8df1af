"""How far a run is: a live line on a terminal, a plain one elsewhere.

On a terminal one line is redrawn in place. In a log file or a CI run, where
that would be noise, a line is printed every ten seconds and at the end.
"""

import datetime
import sys
import time
from typing import Any, TextIO

import rich.console
import rich.progress


class Progress:
  """The display of one piece of work of a known number of steps."""

  def __init__(
      self,
      name: str,
      num_steps: int,
      *,
      file: TextIO | None = None,
      seconds_between_lines: float = 10.0,
      is_shown: bool = True,
  ):
    """Describes the work; nothing is shown before the `with`.

    Args:
      name: of the work, such as the arm and its seed.
      num_steps: steps until it is done.
      file: where to draw; standard error if None.
      seconds_between_lines: between two lines where `file` is no terminal.
      is_shown: False in processes whose work another one shows.
    """
    self._name = name
    self._num_steps = num_steps
    self._step = 0
    self._file = file or sys.stderr
    self._is_shown = is_shown
    self._seconds_between_lines = seconds_between_lines
    self._success: float | None = None
    self._stage: str | None = None
    self._bar: rich.progress.Progress | None = None
    self._task: Any = None

  def __enter__(self) -> "Progress":
    self._printed = time.monotonic()
    # Where the rate is measured from: the first update of a stage, so that
    # neither an earlier run nor a compilation counts.
    self._mark: tuple[float, int] | None = None
    if self._is_shown and self._file.isatty():
      self._bar = rich.progress.Progress(
          rich.progress.TextColumn("{task.description}"),
          rich.progress.BarColumn(bar_width=20),
          rich.progress.TextColumn("{task.fields[text]}"),
          console=rich.console.Console(file=self._file),
      )
      self._task = self._bar.add_task(
          self._name,
          total=self._num_steps,
          completed=self._step,
          text=self._text(),
      )
      self._bar.start()
    return self

  def __exit__(self, *unused_error: Any) -> None:
    if self._bar is not None:
      self._bar.stop()
    else:
      self._print()

  def update(
      self,
      step: int,
      *,
      success: float | None = None,
      stage: str | None = None,
  ) -> None:
    """Shows how far the work is.

    Args:
      step: steps made so far, those of earlier runs included.
      success: current rate of success in [0, 1]; None keeps the last one.
      stage: what is being done, such as "imitation"; None keeps the last one.
    """
    stage = self._stage if stage is None else stage
    if self._mark is None or stage != self._stage:
      self._mark = (time.monotonic(), step)
    self._step, self._stage = step, stage
    self._success = self._success if success is None else success
    if self._bar is not None:
      self._bar.update(self._task, completed=step, text=self._text())
    elif time.monotonic() - self._printed >= self._seconds_between_lines:
      self._print()

  def _print(self) -> None:
    if not self._is_shown:
      return
    self._printed = time.monotonic()
    print(f"{self._name}: {self._text()}", file=self._file, flush=True)

  def _text(self) -> str:
    parts = [f"{self._step}/{self._num_steps} steps"]
    rate = self._rate()
    if rate > 0:
      left = max(self._num_steps - self._step, 0) / rate
      parts.append(f"{rate:.1f}/s")
      parts.append(f"{datetime.timedelta(seconds=round(left))} left")
    if self._success is not None:
      parts.append(f"success {self._success:.2f}")
    if self._stage:
      parts.append(self._stage)
    return ", ".join(parts)

  def _rate(self) -> float:
    """Steps a second in this stage; 0 as long as nothing is known."""
    if self._mark is None:
      return 0.0
    since, first = self._mark
    seconds = time.monotonic() - since
    return (self._step - first) / seconds if seconds > 0 else 0.0
