"""Kills a run at random moments, and holds what comes of it to one unkilled.

`python -m experiments.resume.kills --kind=board --runs=20 --out=FILE`
"""

import argparse
from collections.abc import Callable, Sequence
import contextlib
import json
import pathlib
import random
import shutil
import time
from typing import Any

from experiments.resume import processes

_PARTS = {
    "board": (
        *processes.BOARD, "--config.num_steps=448", "--config.eval_every=224"
    ),
    "text": processes.TEXT,
}  # fmt: skip


def main() -> None:
  """Prints a line a kill, and writes them with the verdict."""
  options = parser().parse_args()
  shutil.rmtree(options.workdir, ignore_errors=True)
  words = _PARTS[options.kind]
  processes.finish(words, options.workdir / "warm")  # Compiles.
  record = {"kind": options.kind} | check(
      words, options.runs, options.workdir, options.seed
  )
  if options.out:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
  if not record["equal"]:
    raise SystemExit("The runs differ.")


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = argparse.ArgumentParser(description=__doc__)
  found.add_argument("--kind", choices=sorted(_PARTS), default="board")
  found.add_argument("--runs", type=int, default=20, help="kills")
  found.add_argument("--seed", type=int, default=0, help="of the moments")
  found.add_argument(
      "--workdir", type=pathlib.Path, default=pathlib.Path("runs/kills")
  )
  found.add_argument("--out", type=pathlib.Path, help="JSON of what was found")
  found.set_defaults(run=main)
  return found


def check(
    words: Sequence[str], num_kills: int, workdir: pathlib.Path, seed: int
) -> dict[str, Any]:
  """Kills a run so often, and compares its end with that of an unkilled one.

  A kill comes after a random part of the time that an unkilled run takes to
  start and to end; every fourth waits from there for a checkpoint that is being
  written. What was done before it is not done again, so once the run is over
  another one begins.

  Args:
    words: the command.
    num_kills: in all.
    workdir: where the runs are kept.
    seed: of the moments.

  Returns:
    The kills, how often a run came to its end, and whether all of these are
    equal to the unkilled one: metrics.jsonl, the last checkpoint, and the best
    agent where one is kept.
  """
  rng = random.Random(seed)
  whole = workdir / "whole"
  seconds = processes.finish(words, whole)
  kills, ends = [], []
  while len(kills) < num_kills:
    run = workdir / f"killed_{len(ends)}"
    while not (run / "results.json").exists():
      left = num_kills - len(kills)
      found = _strike(
          words, run, rng.uniform(0.1, 1.0) * seconds if left else None,
          in_save=len(kills) % 4 == 3,
      )  # fmt: skip
      if found is not None:
        kills.append(found | {"run": run.name})
        print(json.dumps(kills[-1]), flush=True)
    ends.append(
        {
            "run": run.name,
            "metrics": run_equal(whole, run, processes.metrics_of),
            "checkpoint": run_equal(whole, run, processes.last_checkpoint),
        }
    )
    if (whole / "best").exists():
      ends[-1]["best"] = run_equal(whole, run, _best)
    print(json.dumps(ends[-1]), flush=True)
  return {
      "seed": seed,
      "unkilled_seconds": round(seconds, 1),
      "lines_of_metrics": len(processes.metrics_of(whole)),
      "kills": kills,
      "in_a_checkpoint": sum(k["in_a_checkpoint"] for k in kills),
      "ends": ends,
      "equal": all(False not in end.values() for end in ends),
  }


def run_equal(
    one: pathlib.Path,
    other: pathlib.Path,
    read: Callable[[pathlib.Path], Any],
) -> bool:
  """Whether two runs have the same of what is read of them, bit for bit."""
  return json.dumps(read(one)) == json.dumps(read(other))


def _best(run: pathlib.Path) -> Any:
  return processes.last_checkpoint(run, "best")


def _strike(
    words: Sequence[str],
    run: pathlib.Path,
    after: float | None,
    *,
    in_save: bool,
) -> dict[str, Any] | None:
  """Starts or continues a run and kills it; None if it ended before that."""
  before = _half_saved(run)  # By the last one that was killed.
  began = time.monotonic()
  with processes.running(words, run) as (process,):
    while process.poll() is None:
      passed = time.monotonic() - began
      if after is not None and passed >= after:
        if not in_save or _half_saved(run) - before:
          process.kill()
          process.wait()
          break
      time.sleep(0.001 if in_save else 0.01)
    if process.returncode == 0:
      return None
    if process.returncode > 0:
      raise RuntimeError(
          f"The run ended by itself: see {processes.log_of(run, 0)}."
      )
  path = run / "metrics.jsonl"
  return {
      "after_seconds": round(passed, 2),
      "in_a_checkpoint": bool(_half_saved(run) - before),
      "lines_of_metrics": path.read_text().count("\n") if path.exists() else 0,
  }


def _half_saved(run: pathlib.Path) -> set[tuple[str, int]]:
  """Checkpoints that are being written, or were when a kill came."""
  found = set()
  for path in [*run.glob("checkpoints/*tmp*"), *run.glob("best/*tmp*")]:
    with contextlib.suppress(FileNotFoundError):  # Finished just now.
      found.add((path.name, path.stat().st_mtime_ns))
  return found


if __name__ == "__main__":
  main()
