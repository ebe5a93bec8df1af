"""Several processes: the same run as one, the loss of one of them, other shapes.

`python -m experiments.resume.together --workdir=DIR --out=FILE`
"""

import argparse
from collections.abc import Callable
import json
import pathlib
import shutil
import signal
import time
from typing import Any

import jax
import numpy as np

from experiments.resume import board, processes
from mulearn import board_run
from mulearn.checkpoint import Checkpointer

Shape = dict[str, int]
_EIGHT = {"processes": 1, "devices": 8}
_TWICE_FOUR = {"processes": 2, "devices": 4}
_FOUR = {"processes": 1, "devices": 4}
_ALONE = {"processes": 1, "devices": 1}
_PAIR = {"processes": 2, "devices": 1}
_QUARTET = {"processes": 4, "devices": 1}
_TWO = {"processes": 1, "devices": 2}
# Each process compiles; here it is the loss of one that is looked at.
_ONE_PROGRAM = (
    "--config.num_shards=4", "--config.replay.min_size=32",
    "--config.num_steps=448", "--config.eval_every=448",
)  # fmt: skip


def main() -> None:
  """Runs what was asked for, and writes what was found."""
  options = parser().parse_args()
  shutil.rmtree(options.workdir, ignore_errors=True)
  record = {}
  for name in options.parts:
    record[name] = PARTS[name](options.workdir)
    print(json.dumps({name: record[name]}, indent=1), flush=True)
    if options.out:
      options.out.parent.mkdir(parents=True, exist_ok=True)
      options.out.write_text(json.dumps(record, indent=1) + "\n")


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = argparse.ArgumentParser(description=__doc__)
  found.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
  found.add_argument(
      "--workdir", type=pathlib.Path, default=pathlib.Path("runs/together")
  )
  found.add_argument("--out", type=pathlib.Path, help="JSON of what was found")
  found.set_defaults(run=main)
  return found


def same(workdir: pathlib.Path) -> dict[str, Any]:
  """Two processes of four devices beside one of eight."""
  one = _whole(workdir, _EIGHT)
  two = workdir / "same_2x4"
  processes.finish(processes.BOARD, two, **_TWICE_FOUR)
  actions = replay_of(two).action
  return _compare(one, two) | {
      "shards": len(actions),
      "shards_that_played_differently": len({a.tobytes() for a in actions}),
  }


def fewer_devices(workdir: pathlib.Path) -> dict[str, Any]:
  """Begun on eight devices, gone on with on four."""
  return _moved(workdir, _EIGHT, _FOUR)


def more_processes(workdir: pathlib.Path) -> dict[str, Any]:
  """Begun in one process, gone on with in two."""
  return _moved(workdir, _ALONE, _PAIR)


def lost(workdir: pathlib.Path, which: int = 2) -> dict[str, Any]:
  """Four processes of which one is killed; then all four again."""
  run, whole = workdir / f"lost_{which}", workdir / "lost_of_none"
  words = (*processes.BOARD, *_ONE_PROGRAM)
  with processes.running(words, run, **_QUARTET) as found:
    wait_for_lines(run, 5, found)
    found[which].kill()
    began = time.monotonic()
    others = [p for i, p in enumerate(found) if i != which]
    codes = [p.wait(timeout=120) for p in others]
    seconds = time.monotonic() - began
  logs = [processes.log_of(run, i).read_text() for i in range(4)]
  said = [
      line
      for i, log in enumerate(logs)
      for line in log.splitlines()
      if i != which and f"Process {which} of 4 is lost" in line
  ]
  before = len(processes.metrics_of(run))
  processes.finish(words, run, **_QUARTET)
  processes.finish(words, whole, **_FOUR)
  return {
      "killed": which,
      "others_ended_after_seconds": round(seconds, 1),
      "exit_codes": codes,
      "messages": said,
      "lines_of_metrics_when_killed": before,
  } | _compare(whole, run)


def same_text(workdir: pathlib.Path) -> dict[str, Any]:
  """A text game in two processes beside one of two devices."""
  one, two = (_whole_text(workdir, shape) for shape in (_TWO, _PAIR))
  return compare_text(one, two)


def moved_text(
    workdir: pathlib.Path,
    *more: str,
    before: Shape = _TWO,
    after: Shape = _PAIR,
) -> dict[str, Any]:
  """A text game begun in one process, gone on with in two, or so.

  Args:
    workdir: of all runs.
    *more: flags of the runs.
    before: processes and devices until it is stopped.
    after: from there on.
  """
  run, words = workdir / "text_moved", _text(workdir, *more)
  with processes.running(words, run, **before) as found:
    wait_for_lines(run, 10, found)
    found[0].send_signal(signal.SIGTERM)
    codes = [p.wait(timeout=600) for p in found]
  moved = len(processes.metrics_of(run))
  processes.finish(words, run, **after)
  return {
      "exit_codes": codes,
      "lines_of_metrics_when_moved": moved,
  } | compare_text(_whole_text(workdir, _TWO, *more), run)


PARTS: dict[str, Callable[[pathlib.Path], dict[str, Any]]] = {
    "same": same,
    "fewer_devices": fewer_devices,
    "more_processes": more_processes,
    "lost": lost,
    "same_text": same_text,
    "moved_text": moved_text,
}


def wait_for_lines(
    run: pathlib.Path, count: int, found: list, seconds: float = 900.0
) -> None:
  """Waits until a run has written so many lines of metrics.

  Raises:
    RuntimeError: a process has ended before, or the time is over; it says what
      each of them printed last.
  """
  deadline = time.monotonic() + seconds
  path = run / "metrics.jsonl"
  while not path.exists() or path.read_text().count("\n") < count:
    if time.monotonic() > deadline or any(p.poll() is not None for p in found):
      raise RuntimeError(
          f"{run} did not get to {count} lines of metrics.\n"
          + processes.last_words(run, found)
      )
    time.sleep(0.02)


def replay_of(run: pathlib.Path) -> Any:
  """The moves in the replay of a run's last checkpoint, `[lanes, time, ...]`."""
  key = jax.random.key(0)
  found = board_run.begin(board.get_config(), key, key)
  found.restore(Checkpointer(run / "checkpoints"))
  return jax.tree.map(np.asarray, found.memory.experience)


def _whole(workdir: pathlib.Path, shape: Shape) -> pathlib.Path:
  """A run from its beginning to its end, made once."""
  run = workdir / f"whole_{shape['processes']}x{shape['devices']}"
  if not (run / "results.json").exists():
    processes.finish(processes.BOARD, run, **shape)
  return run


def _moved(
    workdir: pathlib.Path, before: Shape, after: Shape
) -> dict[str, Any]:
  """Stops a run in its middle and goes on in another shape."""
  run = workdir / "moved_{processes}x{devices}".format(**after)
  with processes.running(processes.BOARD, run, **before) as found:
    wait_for_lines(run, 5, found)
    found[0].send_signal(signal.SIGTERM)
    codes = [p.wait(timeout=600) for p in found]
  moved = len(processes.metrics_of(run))
  held = replay_of(run)
  processes.finish(processes.BOARD, run, **after)
  kept = replay_of(run)
  # The ring holds the whole run, so what was there must still be.
  written = 4 * sum(
      "games" in line for line in processes.metrics_of(run)[:moved]
  )
  same_moves = jax.tree.map(
      lambda a, b: bool((a[:, :written] == b[:, :written]).all()), held, kept
  )
  return {
      "exit_codes": codes,
      "lines_of_metrics_when_moved": moved,
      "moves_a_lane_when_moved": written,
      "same_replay": all(jax.tree.leaves(same_moves)),
  } | _compare(_whole(workdir, before), run, moved)


def _whole_text(
    workdir: pathlib.Path, shape: Shape, *more: str
) -> pathlib.Path:
  run = workdir / f"text_{shape['processes']}x{shape['devices']}"
  if not (run / "results.json").exists():
    processes.finish(_text(workdir, *more), run, **shape)
  return run


def _text(workdir: pathlib.Path, *more: str) -> tuple[str, ...]:
  """The command of a text game, whose runs imitate the same paths."""
  return (*processes.TEXT, f"--demonstrations={workdir / 'gold'}", *more)


def compare_text(one: pathlib.Path, other: pathlib.Path) -> dict[str, Any]:
  """Metrics of two runs of a text game, and whether they played the same."""
  lines = [processes.metrics_of(run) for run in (one, other)]
  ends = [processes.last_checkpoint(run)[0] for run in (one, other)]
  return {
      "acts_with_an_optimiser_step": sum("loss" in line for line in lines[0]),
      "largest_difference_of_a_metric": processes.furthest(*lines),
      "same_games": ends[0]["actor"] == ends[1]["actor"],
      "same_phrases": ends[0]["phrases"] == ends[1]["phrases"],
  }


def _compare(
    one: pathlib.Path, other: pathlib.Path, since: int = 0
) -> dict[str, Any]:
  """Metrics of two runs, and whether they played the same moves."""
  lines = [processes.metrics_of(run)[since:] for run in (one, other)]
  moves = [replay_of(run).action for run in (one, other)]
  learned = sum("loss" in line for line in lines[0])
  return {
      "rounds_with_an_optimiser_step": learned,
      "largest_difference_of_a_metric": processes.furthest(*lines),
      "same_actions": bool(np.array_equal(*moves)),
  }


if __name__ == "__main__":
  main()
