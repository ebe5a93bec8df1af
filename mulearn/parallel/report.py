"""What was compiled, as a table for the terminal and for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_COLUMNS = (
    "program", "compile", "arguments", "waiting", "temporaries", "total",
    "FLOPs", "bytes",
    "collectives", "in search", "seconds", "bound",
)  # fmt: skip


def amount(value: float, unit: str = "") -> str:
  """A number with three digits and a prefix: 1230000 -> 1.23 M."""
  for size, prefix in _UNITS:
    if abs(value) >= size:
      return f"{value / size:.3g} {prefix}{unit}"
  return f"{value:.3g} {unit}".rstrip()


def duration(seconds: float) -> str:
  """Seconds with three digits: 0.00123 -> 1.23 ms."""
  for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
    if seconds >= size:
      return f"{seconds / size:.3g} {unit}"
  return f"{seconds:.3g} s"


def table(result: Mapping[str, Any]) -> str:
  """The programs of a run on a slice.

  Args:
    result: of `ahead.compile_for`.

  Returns:
    Lines: the slice, a Markdown table, and what the run costs or what to
    change.
  """
  axes = " x ".join(f"{name} {n}" for name, n in result["mesh"].items())
  lines = [
      f"{result['topology']}: {result['chips']} chips, {result['hosts']} hosts,"
      f" mesh {axes}; every number is one chip's",
      "",
      *markdown(_COLUMNS, [_row(*item) for item in result["programs"].items()]),
      "",
  ]
  if not result["fits"]:
    return "\n".join([*lines, f"It does not fit. {result['advice']}"])
  return "\n".join(
      [
          *lines,
          f"About {amount(result['env_steps_per_day'])} environment steps a"
          f" day; the run's {amount(result['num_steps'])} are about"
          f" {result['chip_hours']:.3g} chip-hours.",
      ]
  )


def summary(results: Sequence[Mapping[str, Any]]) -> str:
  """A Markdown table with a row for each of several slices.

  Args:
    results: of `ahead.compile_for`.

  Returns:
    The slice, the largest HBM of its programs, the seconds and the bound of
    each, how often chips meet inside a search, and about what the run costs;
    `does not fit` where it does not.
  """
  names = list(dict.fromkeys(name for r in results for name in r["programs"]))
  header = (
      "slice", "chips", "HBM a chip", *names, "meet in search", "steps a day",
      "chip-hours",
  )  # fmt: skip
  return "\n".join(markdown(header, [_cells(r, names) for r in results]))


def _cells(result: Mapping[str, Any], names: Sequence[str]) -> list[str]:
  row = [result["topology"], str(result["chips"])]
  found = result["programs"]
  if not result["fits"]:
    return [*row, "does not fit", *[""] * (len(names) + 3)]
  hbm = max((p["hbm_bytes"] for p in found.values()), key=lambda h: h["total"])
  for name in names:
    program = found[name]
    row.append(f"{duration(program['seconds'])}, {program['bound']}")
  row.insert(2, f"{amount(hbm['total'], 'B')} of {amount(hbm['chip'], 'B')}")
  return [
      *row,
      f"{sum(p['search_collectives'] for p in found.values()):g}",
      amount(result["env_steps_per_day"]),
      f"{result['chip_hours']:.3g}",
  ]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
  """Lines of a Markdown table whose columns stand below each other."""
  widths = [max(map(len, column)) for column in zip(header, *rows)]

  def line(cells: Sequence[str]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths))
    return f"| {' | '.join(padded)} |"

  rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
  return [line(header), rule, *map(line, rows)]


def _row(name: str, program: Mapping[str, Any]) -> list[str]:
  if "hbm_bytes" not in program:
    return [name, program["reason"], *[""] * (len(_COLUMNS) - 2)]
  hbm = program["hbm_bytes"]
  collectives = [
      f"{n['count']:g} {kind} ({amount(n['bytes'], 'B')})"
      for kind, n in program["collectives"].items()
  ]
  return [
      name,
      f"{program['compile_seconds']:.0f} s",
      amount(hbm["arguments"], "B"),
      amount(hbm["waiting"], "B"),
      amount(hbm["temporaries"], "B"),
      f"{amount(hbm['total'], 'B')} of {amount(hbm['chip'], 'B')}",
      amount(program["flops"]),
      amount(program["bytes"], "B"),
      ", ".join(collectives) or "none",
      f"{program['search_collectives']:g}",
      duration(program["seconds"]),
      program["bound"],
  ]
