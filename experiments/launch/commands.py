"""The commands that bring a run to Cloud TPUs, as lists of words.

Each launcher prints what it does before it does it; with `--dry-run` it prints
all of it and does nothing.
"""

import argparse
from collections.abc import Sequence
import shlex
import subprocess
import sys

Words = list[str]


def parser(description: str | None) -> argparse.ArgumentParser:
  """What all launchers ask; what comes after `--` goes to mulearn.main."""
  found = argparse.ArgumentParser(
      description=description,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  found.add_argument("--dry-run", action="store_true", help="print, do nothing")
  found.add_argument("main", nargs="*", help="-- flags of mulearn.main")
  return found


def add_vm(found: argparse.ArgumentParser) -> None:
  """Adds what a TPU VM is known by."""
  found.add_argument("--name", default="mulearn-0", help="of the TPU")
  found.add_argument("--zone", default="us-central1-a")
  found.add_argument("--type", default="v5litepod-16", help="of accelerator")
  found.add_argument(
      "--version", default="v2-alpha-tpuv5-lite", help="software"
  )
  found.add_argument(
      "--bucket", default="", help="mounted as runs/, for what must be kept"
  )


def run(words: Words, *, dry_run: bool) -> int:
  """Prints a command, and runs it unless that is all that was asked.

  Args:
    words: the command.
    dry_run: only print.

  Returns:
    Its exit code; 0 where nothing was run.
  """
  print(shlex.join(words), flush=True)
  return 0 if dry_run else subprocess.run(words, check=False).returncode


def run_all(commands: Sequence[Words], *, dry_run: bool) -> None:
  """Runs commands in order; the first that fails ends this program."""
  for words in commands:
    if code := run(words, dry_run=dry_run):
      sys.exit(f"{shlex.join(words)} ended with {code}; nothing after it ran.")


def tpu_vm(verb: str, options: argparse.Namespace, *more: str) -> Words:
  """`gcloud compute tpus tpu-vm VERB` for the TPU that is meant."""
  start = ["gcloud", "compute", "tpus", "tpu-vm", verb]
  return [*start, options.name, f"--zone={options.zone}", *more]


def on_all_hosts(command: str, options: argparse.Namespace) -> Words:
  """One command on every host of the slice, at the same time."""
  return tpu_vm("ssh", options, "--worker=all", f"--command={command}")


def prepare(options: argparse.Namespace) -> list[Words]:
  """Copies this directory to every host, and sets up what it needs there."""
  name = f"{options.name}:mulearn"
  copy = ["gcloud", "compute", "tpus", "tpu-vm", "scp", "--recurse"]
  commands = [
      [*copy, "--worker=all", f"--zone={options.zone}", ".", name],
      on_all_hosts(f"cd mulearn && {SET_UP}", options),
  ]
  if options.bucket:
    mount = f"mkdir -p runs && gcsfuse --implicit-dirs {options.bucket} runs"
    commands.append(on_all_hosts(f"cd mulearn && {mount}", options))
  return commands


def train(options: argparse.Namespace) -> Words:
  """`mulearn.main` on every host: on a TPU they find each other."""
  return on_all_hosts(f"cd mulearn && {main(options)}", options)


def main(options: argparse.Namespace) -> str:
  """The command that trains, or continues."""
  words = [".venv/bin/python", "-m", "mulearn.main", *options.main]
  return shlex.join(words)


SET_UP = 'make setup && .venv/bin/pip install -e ".[tpu,text,board]"'
