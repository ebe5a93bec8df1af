"""Plays with the agent of a run, in the terminal.

On a board, against it: type a move as the board names it (b2, or the number of
a column). In a text game, beside it: type a command, or its number. And

  ?  hint    what the agent thinks: prior, search, values
  a          text: the agent gives the next command
  undo       takes your last move back
  new        another game
  quit       leaves; so does the end of the input

Examples:
  python -m mulearn.play --workdir=runs/tic_tac_toe/muzero_0
  python -m mulearn.play --workdir=runs/hex/alphazero_0 --second
  python -m mulearn.play --workdir=runs/demo/muzero_lm/seed_0 --seed=3
"""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from absl import logging

from mulearn import board_train
from mulearn.checkpoint import CheckpointError
from mulearn.env.base import JavaNotFoundError
from mulearn.explore import text_episode
from mulearn.lm import WeightsError
from mulearn.play import board, text


def main(arguments: Sequence[str] | None = None) -> int:
  """Plays until the player leaves.

  Args:
    arguments: the words after `python -m mulearn.play`; None takes them from
      the command line. Moves are read from standard input, a line each.

  Returns:
    The exit status: 0, or 1 if the run cannot be played with.
  """
  logging.set_verbosity(logging.WARNING)  # Orbax tells of every file.
  options = _parser().parse_args(arguments)
  try:
    options.run(options)
  except (
      CheckpointError, JavaNotFoundError, ValueError, WeightsError,
  ) as error:  # fmt: skip
    print(f"error: {error}", file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print()
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.play",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.set_defaults(run=_play, people=None)
  parser.add_argument(
      "--workdir", type=pathlib.Path, required=True,
      help="of a run on a board, or of one arm and seed of a study of text",
  )  # fmt: skip
  for flag, people, text_of_flag in (
      (
          "--first",
          (0,),
          "board: you move first (this is so if nothing is said)",
      ),
      ("--second", (1,), "board: the agent moves first"),
      ("--both", (0, 1), "board: you move for both, and may ask it"),
  ):
    parser.add_argument(
        flag, dest="people", action="store_const", const=people,
        help=text_of_flag,
    )  # fmt: skip
  parser.add_argument(
      "--seed", type=int, default=0,
      help="of all draws, and which test game of text (0)",
  )  # fmt: skip
  parser.add_argument(
      "--num_simulations", type=int, default=64, help="of each search (64)"
  )
  parser.add_argument(
      "--step", type=int,
      help="of the checkpoint, environment steps on a board (the newest)",
  )  # fmt: skip
  return parser


def _play(options: argparse.Namespace) -> None:
  workdir, step = options.workdir, options.step
  if (workdir / "config.json").exists():
    people = options.people or (0,)
    player = board_train.restore_agent(workdir, step)
    board.play(player, people, options.num_simulations, options.seed)
    return
  agent = text_episode.restore_agent(workdir, step)
  if options.people is not None:
    raise ValueError(
        "--first, --second and --both are for boards; in a text game type a"
        " command yourself, or a to let the agent give one."
    )
  with text_episode.make_pool(agent) as pool:
    text.play(agent, pool, options.num_simulations, options.seed)


if __name__ == "__main__":
  sys.exit(main())
