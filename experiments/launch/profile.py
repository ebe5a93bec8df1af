"""Trains for a few more rounds with a profile of them, and brings it here.

`python -m experiments.launch.profile --dry-run --rounds=3 -- \\
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
  found.add_argument("--rounds", type=int, default=3)
  found.add_argument("--seconds", type=int, default=300, help="until SIGTERM")
  found.set_defaults(run=main)
  return found


def main(argv: Sequence[str] | None = None) -> int:
  """Runs on every host; the profile of each is in its --workdir."""
  options = parser().parse_args(argv)
  workdirs = [w for w in options.main if w.startswith("--workdir=")]
  if not workdirs:
    sys.exit("After --, give the flags of mulearn.main, --workdir among them.")
  options.main.append(f"--profile_rounds={options.rounds}")
  # It is stopped as a preemption would stop it, and so it has saved.
  main_command = f"timeout {options.seconds} {commands.main(options)} || true"
  train = commands.on_all_hosts(f"cd mulearn && {main_command}", options)
  profile = f"mulearn/{workdirs[0].removeprefix('--workdir=')}/profile"
  fetch = [
      "gcloud", "compute", "tpus", "tpu-vm", "scp", "--recurse", "--worker=0",
      f"--zone={options.zone}", f"{options.name}:{profile}", "profile",
  ]  # fmt: skip
  commands.run_all([train, fetch], dry_run=options.dry_run)
  return 0


if __name__ == "__main__":
  sys.exit(main())
