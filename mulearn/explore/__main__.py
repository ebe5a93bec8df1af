"""Writes one HTML file in which an episode and its searches can be explored.

The agent of a run on a board plays a game against itself; the page steps
through it: the board, the search tree, the policy before and after search, the
value, and what was imagined beside what came. The file needs no network and
opens from disk.

Example:
  python -m mulearn.explore --workdir=runs/tic_tac_toe/muzero_0
"""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from absl import logging
import jax

from mulearn import board_train
from mulearn.checkpoint import CheckpointError
from mulearn.explore import board_episode, page


def main(arguments: Sequence[str] | None = None) -> int:
  """Plays, records and writes.

  Args:
    arguments: the words after `python -m mulearn.explore`; None takes them
      from the command line.

  Returns:
    The exit status: 0, or 1 if the run or a number cannot be used.
  """
  logging.set_verbosity(logging.WARNING)  # Orbax tells of every file.
  options = _parser().parse_args(arguments)
  try:
    options.run(options)
  except (CheckpointError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.explore",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.set_defaults(run=_explore)
  parser.add_argument(
      "--workdir", type=pathlib.Path, required=True, help="of a run on a board"
  )
  parser.add_argument(
      "--out", type=pathlib.Path, metavar="FILE",
      help="the page (explore.html in the workdir)",
  )  # fmt: skip
  parser.add_argument("--seed", type=int, default=0, help="of all draws (0)")
  parser.add_argument(
      "--num_simulations", type=int, default=64, help="of each search (64)"
  )
  parser.add_argument(
      "--max_steps", type=int, help="moves until the episode is cut (never)"
  )
  parser.add_argument(
      "--step", type=int,
      help="environment steps of the checkpoint (the newest)",
  )  # fmt: skip
  parser.add_argument(
      "--noise", action="store_true",
      help="explore as in training, for a game unlike the agent's best",
  )  # fmt: skip
  return parser


def _explore(options: argparse.Namespace) -> None:
  agent = board_train.restore_agent(options.workdir, options.step)
  episode = board_episode.play_episode(
      agent,
      jax.random.key(options.seed),
      num_simulations=options.num_simulations,
      max_steps=options.max_steps,
      deterministic=not options.noise,
  )
  path = page.write(options.out or options.workdir / "explore.html", episode)
  print(
      f"{len(episode.steps)} moves, {episode.ending}. Open {path}"
      f" ({path.stat().st_size / 1e6:.2f} MB) in a browser."
  )


if __name__ == "__main__":
  sys.exit(main())
