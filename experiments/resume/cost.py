"""What a checkpoint of a run on a board costs, and how long a restore takes.

`python -m experiments.resume.cost --run=DIR --out=FILE`; the run is only read.
"""

import argparse
import json
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
  began = time.perf_counter()
  run.restore(Checkpointer(directory / "checkpoints"))
  jax.block_until_ready((run.state, run.memory, run.lanes))
  restore = time.perf_counter() - began
  seconds = []
  with tempfile.TemporaryDirectory() as scratch:
    saver = Checkpointer(scratch)
    for _ in range(num_saves):
      began = time.perf_counter()
      run.save(saver)
      seconds.append(time.perf_counter() - began)
  arrays = jax.tree.leaves((run.state, run.memory, run.lanes))
  save, interval = statistics.median(seconds), config.checkpoint_every_seconds
  return {
      "env": config.env.name,
      "width": config.model.width,
      "megabytes": round(sum(x.nbytes for x in arrays) / 1e6, 1),
      "env_steps": run.env_steps,
      "restore_seconds": round(restore, 2),
      "save_seconds": [round(s, 3) for s in seconds],
      "seconds_between_saves": interval,
      "share_of_the_loop": round(save / (save + interval), 4),
  }


if __name__ == "__main__":
  main()
