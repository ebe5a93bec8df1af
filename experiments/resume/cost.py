"""What a checkpoint of a run on a board costs, and how long a restore takes.

`python -m experiments.resume.cost --run=DIR --out=FILE`; the run is only read.
"""

import argparse
from collections.abc import Callable
import json
import os
import pathlib
import statistics
import tempfile
import time

import jax

from mulearn import board_run, board_train
from mulearn.checkpoint import Checkpointer
from mulearn.config import Config


def main() -> None:
  """Prints what was measured, and writes it."""
  options = parser().parse_args()
  record = measure(options.run_directory, options.saves)
  text = json.dumps(record, indent=1)
  print(text)
  if options.out:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n")


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = argparse.ArgumentParser(description=__doc__)
  found.add_argument(
      "--run", dest="run_directory", type=pathlib.Path, required=True,
      help="the --workdir of a run on a board",
  )  # fmt: skip
  found.add_argument("--saves", type=int, default=7)
  found.add_argument("--out", type=pathlib.Path, help="JSON of what was found")
  found.set_defaults(run=main)
  return found


def measure(directory: pathlib.Path, num_saves: int) -> dict:
  """Restores a run, and saves it so often elsewhere."""
  values = json.loads((directory / "config.json").read_text())
  config = board_train.config_from_dict(Config, values)
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  saved = Checkpointer(directory / "checkpoints")
  restore = _timed(lambda: run.restore(saved))
  with tempfile.TemporaryDirectory() as scratch:
    saver = Checkpointer(scratch)
    saves = [_timed(lambda: run.save(saver)) for _ in range(num_saves)]
  arrays = jax.tree.leaves((run.state, run.memory, run.lanes))
  wall, processor = (statistics.median(times) for times in zip(*saves))
  default = Config().checkpoint_every_seconds
  return {
      "env": config.env.name,
      "width": config.model.width,
      "megabytes": round(sum(x.nbytes for x in arrays) / 1e6, 1),
      "env_steps": run.env_steps,
      "load_average": os.getloadavg()[0],
      "restore_seconds": restore,
      "save_seconds": saves,
      "seconds_between_saves": {
          "by default": default, "of the run": config.checkpoint_every_seconds
      },
      "share_of_the_loop_by_default": {
          "wall": round(wall / (wall + default), 4),
          "processor": round(processor / (processor + default), 4),
      },
  }  # fmt: skip


def _timed(work: Callable[[], object]) -> tuple[float, float]:
  """Seconds that something takes: of the clock, and of the processor.

  The second is what it would take, or less, where nobody else computes.
  """
  clock, processor = time.perf_counter(), time.process_time()
  work()
  return (
      round(time.perf_counter() - clock, 3),
      round(time.process_time() - processor, 3),
  )


if __name__ == "__main__":
  main()
