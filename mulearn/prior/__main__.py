r"""Command line of the language prior: how a model is best asked about a game.

`calibrate` walks the gold paths of train games and prints, for each prompt and
scoring method at its best temperature, how likely the language model finds the
commands on them: nats (lower is better), how often the demonstrated command is
its first choice, and the spread of its log-probabilities in nats.

Examples:
  python -m mulearn.prior calibrate --game=twc --games=40
  python -m mulearn.prior calibrate --game=mapreader --step_limit=50 \
      --params=numLocations=8,maxDistanceApart=3 --dtype=bfloat16
  python -m mulearn.prior calibrate --game=twc --model=/path/to/model.gguf
"""

import argparse
from collections.abc import Sequence
import sys

from mulearn import lm
from mulearn.config import PriorConfig
from mulearn.env.base import FOLD_SEEDS, GameSpec, JavaNotFoundError
from mulearn.env.text import GAMES
from mulearn.prior import build, calibrate


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs one command.

  Args:
    arguments: the words after `python -m mulearn.prior`; None takes them from
      the command line.

  Returns:
    The exit status: 0, or 1 if the model or the games cannot be used.
  """
  options = _parser().parse_args(arguments)
  try:
    options.run(options)
  except (lm.WeightsError, JavaNotFoundError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _parser() -> argparse.ArgumentParser:
  default = PriorConfig()
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.prior",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(required=True, metavar="command")
  text = "compare prompts, methods and temperatures on train games"
  command = commands.add_parser("calibrate", help=text, description=text)
  command.set_defaults(run=_calibrate)
  command.add_argument("--game", required=True, choices=GAMES)
  command.add_argument(
      "--params",
      type=_params,
      default={},
      metavar="NAME=NUMBER,...",
      help="of the game's generator",
  )
  command.add_argument(
      "--step_limit", type=int, default=50, help="longest gold path to use"
  )
  command.add_argument(
      "--games",
      type=int,
      default=default.calibration_games,
      help="train games whose gold paths are walked",
  )
  command.add_argument(
      "--model", default=default.model, help="a GGUF file, or a known model"
  )
  command.add_argument(
      "--dtype", default=default.dtype, choices=("float32", "bfloat16")
  )
  return parser


def _params(text: str) -> dict[str, int]:
  """Reads "a=1,b=2"."""
  pairs = [pair.partition("=") for pair in text.split(",") if pair]
  try:
    return {name: int(number) for name, _, number in pairs}
  except ValueError as error:
    raise argparse.ArgumentTypeError(
        f"{text!r} is not of the form name=number,name=number"
    ) from error


def _calibrate(options: argparse.Namespace) -> None:
  seeds = FOLD_SEEDS["train"]
  if not 1 <= options.games <= len(seeds):
    raise ValueError(
        f"--games={options.games}: there are 1 to {len(seeds)} train games."
    )
  spec = GameSpec(
      options.game, tuple(options.params.items()), options.step_limit
  )
  config = PriorConfig(model=options.model, dtype=options.dtype)
  language = build.Language(config)
  walked = calibrate.demonstrate(spec, seeds[: options.games])
  _, rows = build.choose_scoring(config, language.raw_scores(), walked)
  calibrate.print_table(rows, walked)


if __name__ == "__main__":
  sys.exit(main())
