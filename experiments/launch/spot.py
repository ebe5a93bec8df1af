"""Spot capacity, which may be taken away: asks again until the run has ended.

`python -m experiments.launch.spot --dry-run --bucket=my-bucket -- \\
  --config=experiments/connect_four/config.py:alphazero --workdir=runs/a`
"""

import argparse
from collections.abc import Sequence
import subprocess
import sys
import time

from experiments.launch import commands

_GONE = ("SUSPENDED", "FAILED")


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = commands.parser(__doc__)
  commands.add_vm(found)
  found.add_argument("--attempts", type=int, default=50)
  found.add_argument("--wait-seconds", type=float, default=60.0)
  found.set_defaults(run=main)
  return found


def main(argv: Sequence[str] | None = None) -> int:
  """Asks, trains, and deletes, until training ends with success."""
  options = parser().parse_args(argv)
  if not options.bucket:
    sys.exit(
        "--bucket is not given, and the disk of a spot TPU goes with it: name"
        " a bucket that keeps the checkpoints."
    )
  for _ in range(options.attempts):
    ended = _attempt(options)
    commands.run(_queued("delete", options, "--force", "--quiet"),
                 dry_run=options.dry_run)  # fmt: skip
    if ended:
      return 0
  sys.exit(f"Not at its end after {options.attempts} attempts.")


def _attempt(options: argparse.Namespace) -> bool:
  """One TPU, from the wish for it to its end; True if the run has ended."""
  ask = _queued(
      "create", options, f"--node-id={options.name}",
      f"--accelerator-type={options.type}",
      f"--runtime-version={options.version}", "--spot",
  )  # fmt: skip
  if commands.run(ask, dry_run=options.dry_run) or not _is_given(options):
    return False
  for words in [*commands.prepare(options), commands.train(options)]:
    if commands.run(words, dry_run=options.dry_run):
      if _state(options) == "ACTIVE":
        sys.exit(
            f"{words[-1]} failed, though the TPU {options.name} was not taken"
            " away: look at it, delete it, and start again."
        )
      return False
  return True


def _is_given(options: argparse.Namespace) -> bool:
  """Waits for the TPU; False if the wish for it has failed."""
  if options.dry_run:
    return not commands.run(_describe(options), dry_run=True)
  while (state := _state(options)) != "ACTIVE":
    if state in _GONE:
      return False
    time.sleep(options.wait_seconds)
  return True


def _state(options: argparse.Namespace) -> str:
  found = subprocess.run(
      _describe(options), check=True, capture_output=True, text=True
  )
  return found.stdout.strip()


def _describe(options: argparse.Namespace) -> list[str]:
  return _queued("describe", options, "--format=value(state.state)")


def _queued(verb: str, options: argparse.Namespace, *more: str) -> list[str]:
  start = ["gcloud", "compute", "tpus", "queued-resources", verb]
  return [*start, f"{options.name}-queued", f"--zone={options.zone}", *more]


if __name__ == "__main__":
  sys.exit(main())
