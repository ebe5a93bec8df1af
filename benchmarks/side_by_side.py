"""Timing ours and others in turn, and what is said of it."""

from collections.abc import Callable
import json
import pathlib
import statistics
import subprocess
from typing import Any

Seconds = Callable[[], float]


class Rival:
  """Another implementation in a process of its own."""

  def __init__(self, python: str, kind: str, path: str):
    """Starts it and waits until it is ready; raises OSError if it is not."""
    script = str(pathlib.Path(__file__).with_name("rivals.py"))
    self._process = subprocess.Popen(
        [python, script, kind, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if "ready" not in self._read():
      raise OSError(f"{python} cannot run {kind}.")

  def ask(self, **task: Any) -> float:
    """Returns the seconds that a task took."""
    self._process.stdin.write(json.dumps(task) + "\n")
    self._process.stdin.flush()
    return self._read()["seconds"]

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()

  def _read(self) -> dict[str, Any]:
    line = self._process.stdout.readline()
    return json.loads(line) if line.strip() else {}


class Report:
  """Rows as they are measured, printed at once and kept for JSON."""

  def __init__(self, repeats: int):
    self.rows: list[dict[str, Any]] = []
    self._repeats = repeats

  def compare(
      self, name: str, ours: Seconds, other: Seconds, goal: float
  ) -> None:
    """Adds how many times faster `ours` is; first calls do not count."""
    ours(), other()
    pairs = [(ours(), other()) for _ in range(self._repeats)]
    ratios = [b / a for a, b in pairs]
    mine, theirs = (statistics.median(side) for side in zip(*pairs))
    self._add(name, ratios, goal, seconds=mine, other_seconds=theirs)

  def share(
      self, name: str, ours: Seconds, flops: float, peak: Seconds
  ) -> None:
    """Adds the share of the peak, `peak` being seconds a FLOP."""
    ours(), peak()
    pairs = [(ours(), peak()) for _ in range(self._repeats)]
    goal = 0.85 if "float32" in name else 0.7
    gflops = 1e-9 / statistics.median(p for _, p in pairs)
    shares = [flops * p / o for o, p in pairs]
    self._add(name, shares, goal, peak_gflops=gflops)

  def time(self, name: str, ours: Seconds, goal: float, once=False) -> None:
    """Adds seconds, of which fewer are better."""
    once or ours()
    values = [ours() for _ in range(1 if once else self._repeats)]
    self._add(name, values, -goal)

  def value(self, name: str, value: float, goal: float) -> None:
    """Adds a number that is not a time."""
    self._add(name, [value], goal)

  def missing(self, name: str) -> None:
    print(f"{name:<58} not installed", flush=True)
    self.rows.append({"name": name, "value": None})

  def _add(self, name: str, values: list[float], goal: float, **more) -> None:
    values = [float(value) for value in values]
    value = statistics.median(values)
    met = value >= goal if goal >= 0 else value <= -goal
    spread = f"[{min(values):.3g}, {max(values):.3g}]"
    wanted = "" if not goal else f"{'>=' if goal > 0 else '<='} {abs(goal)}"
    mark = "" if not goal else "ok" if met else "MISSED"
    print(
        f"{name:<58} {value:8.3g} {spread:>18} {wanted:>8} {mark}", flush=True
    )
    self.rows.append({
        "name": name, "value": value, "values": values, "goal": goal,
        "met": met, **more,
    })  # fmt: skip
