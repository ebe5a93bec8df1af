r"""Writes one HTML file in which an episode and its searches can be explored.

The agent of a run on a board plays a game against itself, that of a run on text
plays a held-out game. The page steps through it: what is observed, the search
tree, the policy before and after search (and the language model's), the value,
and what was imagined beside what came. It needs no network and opens from disk.

Examples:
  python -m mulearn.explore --workdir=runs/tic_tac_toe/muzero_0
  python -m mulearn.explore --workdir=runs/demo/muzero_lm/seed_0 --seed=3
  python -m mulearn.explore --workdir=runs/connect_four/alphazero_0 \
    --picture=board.png --picture_steps 0 8 16
"""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from absl import logging
import jax

from mulearn import board_train
from mulearn.checkpoint import CheckpointError
from mulearn.env.base import JavaNotFoundError
from mulearn.explore import board_episode, board_picture, page, text_episode
from mulearn.explore.record import Episode
from mulearn.lm import WeightsError


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
  except (
      CheckpointError, JavaNotFoundError, ValueError, WeightsError,
  ) as error:  # fmt: skip
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
      "--workdir", type=pathlib.Path, required=True,
      help="of a run on a board, or of one arm and seed of a study of text",
  )  # fmt: skip
  parser.add_argument(
      "--out", type=pathlib.Path, metavar="FILE",
      help="the page (explore.html in the workdir)",
  )  # fmt: skip
  parser.add_argument(
      "--seed",
      type=int,
      default=0,
      help="of all draws, and which test game of text (0)",
  )
  parser.add_argument(
      "--num_simulations", type=int, default=64, help="of each search (64)"
  )
  parser.add_argument(
      "--max_steps", type=int, help="moves until the episode is cut (never)"
  )
  parser.add_argument(
      "--step", type=int,
      help="of the checkpoint, environment steps on a board (the newest)",
  )  # fmt: skip
  parser.add_argument(
      "--noise", action="store_true",
      help="explore as in training, for a game unlike the agent's best",
  )  # fmt: skip
  parser.add_argument(
      "--picture", type=pathlib.Path, metavar="FILE.png",
      help="also draw decisions on the board, with an SVG beside the PNG",
  )  # fmt: skip
  parser.add_argument(
      "--picture_steps", type=int, nargs="+", metavar="STEP",
      help="which decisions, counted from 0 (four, spread over the episode)",
  )  # fmt: skip
  return parser


def _explore(options: argparse.Namespace) -> None:
  how = {
      "num_simulations": options.num_simulations,
      "max_steps": options.max_steps,
      "deterministic": not options.noise,
  }
  rng_key = jax.random.key(options.seed)
  if (options.workdir / "config.json").exists():
    player = board_train.restore_agent(options.workdir, options.step)
    episode = board_episode.play_episode(player, rng_key, **how)
  else:
    agent = text_episode.restore_agent(options.workdir, options.step)
    with text_episode.make_pool(agent) as pool:
      episode = text_episode.play_episode(
          agent, pool, rng_key, game=options.seed, **how
      )
  if options.picture:
    _draw(options.picture, episode, options.picture_steps)
  path = page.write(options.out or options.workdir / "explore.html", episode)
  print(
      f"{len(episode.steps)} steps, {episode.ending}. Open {path}"
      f" ({path.stat().st_size / 1e6:.2f} MB) in a browser."
  )


def _draw(
    path: pathlib.Path, episode: Episode, numbers: Sequence[int] | None
) -> None:
  """Draws some decisions of an episode on a board."""
  last = len(episode.steps) - 1
  if episode.board is None:
    raise ValueError(
        "--picture draws a board, and this is a run on text; open the page."
    )
  if numbers is None:
    numbers = sorted({round(i * last / 3) for i in range(4)})
  if beyond := [n for n in numbers if not 0 <= n <= last]:
    raise ValueError(
        f"--picture_steps asks for step {beyond[0]}, but the episode has steps"
        f" 0 to {last}."
    )
  steps = [episode.steps[n] for n in numbers]
  board_picture.draw_decisions(path, episode.board, steps)
  print(f"Steps {', '.join(map(str, numbers))} are in {path}.")


if __name__ == "__main__":
  sys.exit(main())
