"""Starts runs as users do, in processes of their own, and compares them."""

from collections.abc import Iterator, Sequence
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
from typing import Any

from mulearn import snapshot
from mulearn.checkpoint import Checkpointer
from mulearn.metrics import read_json_lines

ROOT = pathlib.Path(__file__).parents[2]
BOARD = (
    "-m", "mulearn.main", f"--config={ROOT / 'experiments/resume/board.py'}",
)  # fmt: skip
TEXT = ("-m", "experiments.resume.text")


def start(
    words: Sequence[str],
    workdir: pathlib.Path,
    *,
    processes: int = 1,
    devices: int = 1,
) -> list[subprocess.Popen[str]]:
  """Starts a run.

  Args:
    words: the command, of `BOARD` or `TEXT` and more flags.
    workdir: of the run; the output goes beside it.
    processes: that run it together, on this machine.
    devices: simulated ones, of each process.

  Returns:
    The processes.
  """
  env = os.environ | {
      "JAX_PLATFORMS": "cpu",
      # What runs for seconds need not be compiled for minutes.
      "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")
      + f" --xla_force_host_platform_device_count={devices}"
      " --xla_backend_optimization_level=0",
      "PYTHONPATH": str(ROOT),
  }
  more = [f"--workdir={workdir}"]
  if processes > 1:
    more += [
        f"--coordinator=127.0.0.1:{_free_port()}",
        f"--num_processes={processes}",
    ]
  started = []
  for i in range(processes):
    own = [f"--process_id={i}"] if processes > 1 else []
    with log_of(workdir, i).open("a") as log:
      started.append(
          subprocess.Popen(
              [sys.executable, *words, *more, *own],
              env=env, cwd=ROOT, stdout=log, stderr=log, text=True,
          )
      )  # fmt: skip
  return started


@contextlib.contextmanager
def running(*args: Any, **kwargs: Any) -> Iterator[list[subprocess.Popen[str]]]:
  """`start`, and nothing is left of it afterwards."""
  found = start(*args, **kwargs)
  try:
    yield found
  finally:
    for process in found:
      process.kill()
      process.wait()


def finish(*args: Any, seconds: float = 1800.0, **kwargs: Any) -> float:
  """Runs to the end, and says how many seconds that took."""
  began = time.monotonic()
  with running(*args, **kwargs) as found:
    for process in found:
      if process.wait(timeout=seconds):
        raise RuntimeError(
            f"{args} did not succeed.\n{last_words(args[1], found)}"
        )
  return time.monotonic() - began


def log_of(workdir: pathlib.Path, process: int) -> pathlib.Path:
  """Where what a process prints goes."""
  workdir.parent.mkdir(parents=True, exist_ok=True)
  return workdir.with_name(f"{workdir.name}.{process}.log")


def last_words(
    workdir: pathlib.Path,
    found: Sequence[subprocess.Popen[str]],
    num_lines: int = 15,
) -> str:
  """How each process of a run ended, and the last lines that it printed."""
  said = []
  for i, process in enumerate(found):
    code, log = process.poll(), log_of(workdir, i)
    state = "still runs" if code is None else f"ended with {code}"
    tail = log.read_text(errors="replace").splitlines()[-num_lines:]
    said.append("\n  ".join([f"Process {i} {state}; {log} ends:", *tail]))
  return "\n".join(said)


def metrics_of(run: pathlib.Path) -> list[dict[str, float]]:
  """The lines of a run's metrics.jsonl."""
  return list(read_json_lines(run / "metrics.jsonl"))


def last_checkpoint(
    run: pathlib.Path, kept: str = "checkpoints"
) -> tuple[dict[str, Any], Any]:
  """The newest checkpoint: its host part without clocks, and its manifest.

  The manifest has a checksum of every array: of parameters, optimiser, replay
  (with every action) and games.

  Args:
    run: the run's directory.
    kept: which of those in it; "best" has parameters alone.
  """
  saver = Checkpointer(run / kept)
  host, manifest = snapshot.read_host(saver.directory / saver.names()[-1])
  host.pop("seconds", None)
  for point in host.get("curve", ()):
    if isinstance(point, dict):
      point.pop("seconds")
  return host, manifest


def furthest(
    first: Sequence[dict[str, float]], second: Sequence[dict[str, float]]
) -> float:
  """The largest difference between two runs' metrics, line by line.

  Raises:
    ValueError: they have not the same lines or the same names.
  """
  if [set(line) for line in first] != [set(line) for line in second]:
    raise ValueError(
        f"One run has {len(first)} lines of metrics, the other {len(second)},"
        " or their names differ."
    )
  return max(
      abs(one[name] - other[name])
      for one, other in zip(first, second)
      for name in one
  )


def _free_port() -> int:
  with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    return found.getsockname()[1]
