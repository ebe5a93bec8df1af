"""Connect four against perfect play: six sets of a thousand positions.

Connect four has 4.5 trillion positions, so an agent is held against a sample
that an exact solver has labelled: graded by the moves played so far (begin,
middle, end) and by the moves left if both play their best (easy, medium, hard),
as Pascal Pons grades his, http://blog.gamesolver.org/solving-connect-four/.
`experiments/connect_four/make_positions.py` made them.
"""

from collections.abc import Mapping
import csv
import functools
import hashlib
import io
import pathlib
import re

import jax
import numpy as np

from mulearn.env.connect_four import COLUMNS, ROWS, ConnectFour
from mulearn.evaluate import solver
from mulearn.types import Array

NAMES = (
    "end-easy", "middle-easy", "middle-medium", "begin-easy", "begin-medium",
    "begin-hard",
)  # fmt: skip
PATH = pathlib.Path(__file__).parent / "positions" / "connect_four.csv"
SHA256 = "453454a736521838aa63d81b631973e3d237f70b1e709a89ce83e1f6e738764e"

_NUM_COLUMNS, _NUM_ROWS, _NUM_CELLS = COLUMNS, ROWS, COLUMNS * ROWS
_LINE = re.compile(r"[0-6]{0,41}")
_SCORES = re.compile(r"(-?\d{1,2}|x)( (-?\d{1,2}|x)){6}", re.ASCII)


@functools.cache
def connect_four() -> dict[str, solver.Table]:
  """The six sets that figures are about, from easy to hard."""
  return read(PATH, SHA256)


def read(
    path: pathlib.Path, sha256: str | None = None
) -> dict[str, solver.Table]:
  """Reads sets of positions, by name.

  Args:
    path: a file of `make_positions.py`.
    sha256: that it must have, as hexadecimal digits; any if None.

  Returns:
    For each set the positions with their values and the moves that keep it: a
    win that takes longer is as good as a quick one.

  Raises:
    ValueError: there is no such file, it is not the one that was made, or not
      one of positions.
  """
  if not path.is_file():
    raise ValueError(f"There is no file of positions at {path}.")
  content = path.read_bytes()
  found = hashlib.sha256(content).hexdigest()
  if sha256 not in (None, found):
    raise ValueError(
        f"{path} has the SHA-256 {found}, not {sha256}, so these are not the"
        " positions that published figures are about; restore the file, or"
        " make it with experiments/connect_four/make_positions.py."
    )
  rows = list(csv.DictReader(io.StringIO(content.decode())))
  held = {str(row.get("set")) for row in rows}
  if not held or held - set(NAMES):
    raise ValueError(
        f"{path} has the sets {', '.join(sorted(held)) or 'of nothing'}; there"
        f" are {', '.join(NAMES)}. Give a file of"
        " experiments/connect_four/make_positions.py."
    )
  sets = {
      name: _table([row for row in rows if row["set"] == name])
      for name in NAMES
      if name in held
  }
  if sha256 is None:
    _check_going_on(path, sets)
  return sets


def examine(
    agent: solver.Planner,
    rng_key: Array,
    sets: Mapping[str, solver.Table] | None = None,
) -> dict[str, float]:
  """Holds an agent against perfect play on all sets.

  Args:
    agent: plans and glances.
    rng_key: consumed, one part a set.
    sets: by name; those of `connect_four` if None.

  Returns:
    What `solver.examine` returns, as means over the sets, and for each set
    `mistake/<set>` and `policy_mistake/<set>`: the share of positions where the
    move, searched or of the bare policy, worsens the value of the game; and
    `sign/<set>`, the share of decided positions whose searched value has the
    right sign.
  """
  sets = connect_four() if sets is None else sets
  keys = jax.random.split(rng_key, len(sets))
  found = {
      name: solver.examine(agent, table, key)
      for (name, table), key in zip(sets.items(), keys)
  }
  means = {
      name: float(np.mean([one[name] for one in found.values()]))
      for name in next(iter(found.values()))
  }
  mistakes = {f"mistake/{k}": 1.0 - v["optimal_rate"] for k, v in found.items()}
  bare = {
      f"policy_mistake/{k}": 1.0 - v["policy_rate"] for k, v in found.items()
  }
  signs = {f"sign/{k}": v["sign_rate"] for k, v in found.items()}
  return means | mistakes | bare | signs


def _check_going_on(
    path: pathlib.Path, sets: Mapping[str, solver.Table]
) -> None:
  """Raises a ValueError where there is nothing left to play."""
  game = ConnectFour()
  for name, table in sets.items():
    over = np.asarray(jax.vmap(game.terminated)(table.states(game)))
    if over.any():
      raise ValueError(
          f"{path}: row {over.argmax() + 1} of the set {name} is a game that is"
          " over; leave it out."
      )


def _table(rows: list[dict[str, str | None]]) -> solver.Table:
  """The rows of one set; scores are of the solver, `x` for a full column."""
  moves = np.full((len(rows), _NUM_CELLS), -1, np.int32)
  values = np.full((len(rows), _NUM_COLUMNS), -2)
  for i, row in enumerate(rows):
    line = row.get("moves") or ""
    scores = (row.get("scores") or "").split()
    stones = [line.count(str(column)) for column in range(_NUM_COLUMNS)]
    full = [count == _NUM_ROWS for count in stones]
    if (
        not _LINE.fullmatch(line)
        or max(stones) > _NUM_ROWS
        or not _SCORES.fullmatch(" ".join(scores))
        or [score == "x" for score in scores] != full
    ):
      raise ValueError(
          f"Row {i + 1} of the set {row['set']} has the moves {line[:50]!r} and"
          f" the scores {' '.join(scores)[:50]!r}; wanted are at most"
          f" {_NUM_CELLS - 1} columns, 0 to {_NUM_COLUMNS - 1}, none more than"
          f" {_NUM_ROWS} times, and a score for each column, x where it is full."
      )
    moves[i, : len(line)] = [int(c) for c in line]
    for column, score in enumerate(scores):
      if score != "x":
        values[i, column] = np.sign(int(score))
  value = values.max(axis=1)
  return solver.Table(
      moves=moves,
      value=value,
      optimal=values == value[:, None],
      num_terminal=0,
  )
