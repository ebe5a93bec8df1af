"""One slice of Cloud TPU, of one host or many: create, copy, train, delete.

`python -m experiments.launch.slice --dry-run --type=v5litepod-16 -- \\
  --config=experiments/connect_four/config.py:alphazero --workdir=runs/a`
"""

import argparse
from collections.abc import Sequence
import sys

from experiments.launch import commands


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = commands.parser(__doc__)
  commands.add_vm(found)
  found.add_argument(
      "--keep", action="store_true", help="do not delete the TPU"
  )
  found.set_defaults(run=main)
  return found


def main(argv: Sequence[str] | None = None) -> int:
  """Does it all; a command that fails leaves the TPU as it is."""
  options = parser().parse_args(argv)
  create = commands.tpu_vm(
      "create",
      options,
      f"--accelerator-type={options.type}",
      f"--version={options.version}",
  )
  todo = [create, *commands.prepare(options), commands.train(options)]
  if not options.keep:
    todo.append(commands.tpu_vm("delete", options, "--quiet"))
  commands.run_all(todo, dry_run=options.dry_run)
  return 0


if __name__ == "__main__":
  sys.exit(main())
