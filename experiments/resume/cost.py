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
from typing import Any

import jax

from mulearn import board_run, board_train
from mulearn.checkpoint import Checkpointer
from mulearn.config import Config


def main() -> None:
  """Prints what was measured, and writes it."""
  options = parser().parse_args()
  record = measure(options.run_directory, options.pairs, options.rounds)
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
  found.add_argument("--pairs", type=int, default=7, help="turns of each kind")
  found.add_argument("--rounds", type=int, default=12, help="of a turn")
  found.add_argument("--out", type=pathlib.Path, help="JSON of what was found")
  found.set_defaults(run=main)
  return found


def measure(
    directory: pathlib.Path, num_pairs: int, num_rounds: int
) -> dict[str, Any]:
  """Restores a run, and goes on with it, with and without a save by turns.

  Args:
    directory: the --workdir of the run, which is only read.
    num_pairs: how often rounds without a save are held against rounds with one.
    num_rounds: of each turn; a save should end well before they do.

  Returns:
    Seconds by the clock, and what share of the loop saves are.
  """
  values = json.loads((directory / "config.json").read_text())
  config = board_train.config_from_dict(Config, values)
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  saved = Checkpointer(directory / "checkpoints")
  restore = _timed(lambda: run.restore(saved))
  _play(run, 2)  # Compiles.
  waits, plain, with_save = [], [], []
  with tempfile.TemporaryDirectory() as scratch:
    saver = Checkpointer(scratch)

    def save_and_play() -> None:
      waits.append(_timed(lambda: run.save(saver, wait=False)))
      _play(run, num_rounds)
      saver.finish()

    for _ in range(num_pairs):
      plain.append(_timed(lambda: _play(run, num_rounds)))
      with_save.append(_timed(save_and_play))
  arrays = jax.tree.leaves((run.state, run.memory, run.lanes))
  costs = [b - a for a, b in zip(plain, with_save)]
  default = Config().checkpoint_every_seconds
  return {
      "env": config.env.name,
      "width": config.model.width,
      "megabytes": round(sum(x.nbytes for x in arrays) / 1e6, 1),
      "env_steps": run.env_steps,
      "load_average": os.getloadavg()[0],
      "restore_seconds": restore,
      "rounds": num_rounds,
      "seconds_without_a_save": plain,
      "seconds_with_a_save": with_save,
      "seconds_until_the_loop_goes_on": waits,
      "seconds_between_saves": {
          "by default": default, "of the run": config.checkpoint_every_seconds
      },
      "share_of_the_loop_by_default": round(
          statistics.median(costs) / default, 4
      ),
  }  # fmt: skip


def _play(run: board_run.BoardRun, num_rounds: int) -> None:
  """So many rounds that learn, to their end."""
  for _ in range(num_rounds):
    keys = jax.random.split(jax.random.key(run.env_steps))
    found = board_run.play_and_learn(
        run, *keys, num_updates=board_run.updates_per_round(run.config)
    )
  jax.block_until_ready((found, run.state))


def _timed(work: Callable[[], object]) -> float:
  """Seconds by the clock."""
  began = time.perf_counter()
  work()
  return round(time.perf_counter() - began, 3)


if __name__ == "__main__":
  main()
