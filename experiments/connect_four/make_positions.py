"""Makes the six sets of positions that connect four is examined on.

`python experiments/connect_four/make_positions.py` plays games at random and
labels every legal move with the exact solver `bitbully` (the extra `solver`,
Thill 2025, https://github.com/MarkusThill/BitBully). The sets are graded as
Pascal Pons grades his, http://blog.gamesolver.org/solving-connect-four/: by the
moves played so far, and by the moves left when both sides play their best.
Nothing but this script needs the solver.
"""

import argparse
import hashlib
import random

from bitbully import bitbully_core
from bitbully_databases import BitBullyDatabases

from mulearn.evaluate import position_sets

_PLIES = {"begin": range(15), "middle": range(15, 29), "end": range(29, 42)}
_LEFT = {"easy": range(1, 14), "medium": range(14, 29), "hard": range(29, 43)}


def main() -> None:
  """Writes the file and prints its hash."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--size", type=int, default=1000)
  parser.add_argument("--output", default=str(position_sets.PATH))
  options = parser.parse_args()
  book = BitBullyDatabases.get_database_path("12-ply-dist")
  solver = bitbully_core.BitBullyCore(book)
  rows = []
  for name in position_sets.NAMES:
    rng = random.Random(f"{options.seed} {name}")
    rows += [f"{name},{row}" for row in _make(name, rng, solver, options.size)]
  text = "set,moves,scores\n" + "".join(f"{row}\n" for row in rows)
  with open(options.output, "w", newline="\n") as file:
    file.write(text)
  print(hashlib.sha256(text.encode()).hexdigest(), options.output)


def _make(
    name: str,
    rng: random.Random,
    solver: bitbully_core.BitBullyCore,
    size: int,
) -> list[str]:
  """Positions of one set, no two alike or mirrored: `moves,scores` lines."""
  phase, difficulty = name.split("-")
  rows, seen = [], set()
  while len(rows) < size:
    moves = [rng.randrange(7) for _ in range(rng.choice(_PLIES[phase]))]
    board = _play(moves)
    if board is None:
      continue
    key = min(board.uid(), board.mirror().uid())
    if key in seen:
      continue
    seen.add(key)
    scores = solver.scoreMoves(board)
    left = bitbully_core.BitBullyCore.scoreToMovesLeft(max(scores), board)
    if left in _LEFT[difficulty]:
      legal = [board.isLegalMove(column) for column in range(7)]
      words = [str(s) if ok else "x" for s, ok in zip(scores, legal)]
      rows.append("".join(map(str, moves)) + "," + " ".join(words))
  return rows


def _play(moves: list[int]) -> bitbully_core.BoardCore | None:
  """The board after these columns; None if one is full or the game ended."""
  board = bitbully_core.BoardCore()
  for column in moves:
    if not board.isLegalMove(column) or board.canWin(column):
      return None
    board.play(column)
  return board


if __name__ == "__main__":
  main()
