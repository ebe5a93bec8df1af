"""The numbers of a run: `results.json` for machines, a table for people."""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import json
import math
import os
import pathlib
import tempfile
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table

from mulearn.evaluate import statistics

ARM_KEYS = (
    "success",
    "ci95",
    "return",
    "episodes",
    "env_steps",
    "lm_tokens",
)


def write_results(
    path: str | os.PathLike[str],
    config: Any,
    seeds: Iterable[int],
    seconds: float,
    arms: Mapping[str, Mapping[str, Any]],
    trust: Iterable[tuple[int, float]],
) -> dict[str, Any]:
  """Writes `results.json`, whole or not at all.

  Floats are written with the shortest digits that read back to the same bits.

  Args:
    path: the file; its folder is created.
    config: the configuration, a dataclass or a mapping.
    seeds: training seeds.
    seconds: wall-clock time of the run.
    arms: for each arm a summary with at least `ARM_KEYS`; more is kept.
    trust: the weight of the language model over time, pairs `(step, w)`.

  Returns:
    What was written.

  Raises:
    ValueError: if an arm lacks a key or a number is not finite.
  """
  for arm, summary in arms.items():
    missing = [key for key in ARM_KEYS if key not in summary]
    if missing:
      raise ValueError(
          f"Arm {arm!r} lacks {missing}; expected {list(ARM_KEYS)}. Start from "
          "statistics.summarise and add env_steps and lm_tokens."
      )
  if dataclasses.is_dataclass(config):
    config = dataclasses.asdict(config)
  results = {
      "config": _plain(config, "config"),
      "seeds": [int(seed) for seed in seeds],
      "seconds": _plain(seconds, "seconds"),
      "arms": _plain(arms, "arms"),
      "trust": [[int(step), _plain(w, "trust")] for step, w in trust],
  }
  _write_atomically(
      pathlib.Path(path), json.dumps(results, indent=2, allow_nan=False) + "\n"
  )
  return results


def print_table(
    results: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
  """Prints the arms of a run and, in sentences, which beats which.

  Args:
    results: what `write_results` returned.
    console: where to print; by default the terminal or the pipe.
  """
  console = console or rich.console.Console()
  # A pipe has no width of its own: let nothing be wrapped or cut there.
  soft_wrap = not console.is_terminal
  console.print(
      _table(results["arms"]),
      width=200 if soft_wrap else None,
      soft_wrap=soft_wrap,
  )
  console.print()
  for sentence in verdicts(results["arms"]):
    console.print(sentence, soft_wrap=soft_wrap, highlight=False, markup=False)
  num_seeds = len(results["seeds"])
  num_seeds = len(results["seeds"])
  console.print(
      f"{num_seeds} training seed{'s' if num_seeds != 1 else ''} an arm, "
      f"{results['seconds'] / 60:.1f} minutes.",
      soft_wrap=soft_wrap,
      highlight=False,
  )


def verdicts(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
  """Says in sentences which arm beats which, and which it does not beat.

  To beat is to succeed more often with 95 % intervals that do not overlap. Each
  pair is named once, under the more successful of the two. The gold path is no
  competitor and is left out.

  Args:
    arms: summaries with `success` and `ci95`.

  Returns:
    A sentence or two for each arm but the last, the most successful first.
  """
  rivals = [arm for arm in arms if arm != "gold"]
  order = sorted(rivals, key=lambda arm: -arms[arm]["success"])
  sentences = []
  for i, arm in enumerate(order[:-1]):
    below = order[i + 1 :]
    beaten = [o for o in below if statistics.beats(arms[arm], arms[o])]
    unclear = [o for o in below if o not in beaten]
    parts = [f"{arm} beats {_listed(beaten)}."] if beaten else []
    if unclear:
      parts.append(
          f"{'It' if parts else arm} does NOT beat {_listed(unclear)} "
          "(the intervals overlap)."
      )
    sentences.append(" ".join(parts))
  return sentences


def _table(arms: Mapping[str, Mapping[str, Any]]) -> rich.table.Table:
  table = rich.table.Table(
      box=rich.box.SIMPLE_HEAD,
      show_edge=False,
      padding=(0, 1, 0, 0),
      title="Held-out games",
      title_justify="left",
  )
  table.add_column("arm", no_wrap=True)
  for name in ("success [95 %]", "return", "episodes"):
    table.add_column(name, justify="right", no_wrap=True)
  for name in ("env\nsteps", "lm\ntokens"):
    table.add_column(name, justify="right", no_wrap=True)
  for arm, summary in arms.items():
    lo, hi = summary["ci95"]
    table.add_row(
        arm,
        f"{summary['success']:.3f} \\[{lo:.3f}, {hi:.3f}]",
        f"{summary['return']:.3f}",
        *(f"{summary[key]:,}" for key in ARM_KEYS[3:]),
    )
  return table


def _listed(names: Sequence[str]) -> str:
  if len(names) == 1:
    return names[0]
  return f"{', '.join(names[:-1])} and {names[-1]}"


def _plain(value: Any, where: str) -> Any:
  """Turns numpy and tuples into what JSON holds, without losing a bit."""
  if isinstance(value, Mapping):
    return {str(k): _plain(v, f"{where}.{k}") for k, v in value.items()}
  if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
    value = np.asarray(value).tolist()
  if isinstance(value, list | tuple):
    return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
  if isinstance(value, float) and not math.isfinite(value):
    raise ValueError(
        f"{where} is {value}, expected a finite number; nothing was written."
        " Look for the first such number in metrics.jsonl."
    )
  if isinstance(value, str | int | float | None):
    return value
  raise ValueError(
      f"{where} is a {type(value).__name__}, expected numbers, text, lists or"
      " mappings; convert it before writing results."
  )


def _write_atomically(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, name = tempfile.mkstemp(
      dir=path.parent, prefix=f".{path.name}.", suffix=".part"
  )
  try:
    # mkstemp makes private files; results are for everybody with the folder.
    os.chmod(name, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
      stream.write(text)
      stream.flush()
      os.fsync(stream.fileno())
    os.replace(name, path)
  except BaseException:
    pathlib.Path(name).unlink(missing_ok=True)
    raise
