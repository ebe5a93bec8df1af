"""Plays a board game against the agent of a run, in the terminal.

Type a move as the board names it (b2, or the number of a column), or

  ?  hint    what the agent thinks of the position
  undo       takes your last move back
  new        another game
  quit       leaves; so does the end of the input

Examples:
  python -m mulearn.play --workdir=runs/tic_tac_toe/muzero_0
  python -m mulearn.play --workdir=runs/hex/alphazero_0 --second
"""

import argparse
from collections.abc import Sequence
import pathlib
import string
import sys

from absl import logging
import jax

from mulearn import board_train
from mulearn.checkpoint import CheckpointError
from mulearn.explore.board_episode import Moment, Thinker, how_it_ended
from mulearn.explore.boards import Board
from mulearn.explore.record import BoardSight, Step

_MOST_MOVES = 8  # of a hint
_HELP = "Type a move, ? for a hint, undo, new or quit."


def main(arguments: Sequence[str] | None = None) -> int:
  """Plays until the player leaves.

  Args:
    arguments: the words after `python -m mulearn.play`; None takes them from
      the command line. Moves are read from standard input, a line each.

  Returns:
    The exit status: 0, or 1 if the run cannot be played with.
  """
  logging.set_verbosity(logging.WARNING)  # Orbax tells of every file.
  options = _parser().parse_args(arguments)
  try:
    options.run(options)
  except (CheckpointError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print()
  return 0


class Game:
  """A game between the agent and whoever types.

  Attributes:
    moments: every position so far, the newest last.
    people: the players that are not the agent's: 0, 1, or both.
  """

  def __init__(self, thinker: Thinker, people: Sequence[int], seed: int):
    """Sets the board up; `seed` decides what the agent draws by lot."""
    self.people = tuple(people)
    self.board = thinker.board
    self._thinker = thinker
    self._key = jax.random.key(seed)
    self.moments: list[Moment] = []
    self.restart()

  @property
  def now(self) -> Moment:
    """The position on the board."""
    return self.moments[-1]

  def restart(self) -> None:
    """Begins another game."""
    start_key, self._key = jax.random.split(self._key)
    self.moments = [self._thinker.start(start_key)]

  def think(self) -> tuple[int, Step]:
    """What the agent would play here, and its search."""
    think_key, self._key = jax.random.split(self._key)
    return self._thinker.think(think_key, self.now)

  def play(self, action: int) -> None:
    """Makes a move for whoever is to move."""
    self.moments.append(self._thinker.play(self.now, action))

  def action(self, words: str) -> int:
    """The move that was typed.

    Raises:
      ValueError: there is no such move, or it is not allowed here.
    """
    now = self.now
    legal = self._thinker.legal(now)
    names = [self.board.name(now.mover, action) for action in legal]
    action = self.board.action(now.mover, words)
    if action is None:
      raise ValueError(
          f"{words!r} is no move here, such as {names[0]}. {_HELP}"
      )
    if action not in legal:
      raise ValueError(
          f"{words} cannot be played; there are {' '.join(names)}."
      )
    return action

  def undo(self) -> bool:
    """Goes back to the last position that a person moved from, if any."""
    for i in range(len(self.moments) - 2, -1, -1):
      if self.moments[i].mover in self.people:
        del self.moments[i + 1 :]
        return True
    return False


def draw(board: Board, sight: BoardSight) -> str:
  """The board as lines of text; the newest stone stands in brackets."""
  signs, gap = "." + board.signs, " " * (board.kind == "hex")
  is_columns = board.kind == "connect_four"
  names = [
      str(i + 1) if is_columns else string.ascii_lowercase[i]
      for i in range(board.columns)
  ]
  lines = ["     " + ("  " + gap).join(names)]
  for row in range(board.rows):
    line = "" if is_columns else str(row + 1)
    line = line.rjust(3) + " "
    for column in range(board.columns):
      cell = row * board.columns + column
      sign = signs[sight.stones[cell]]
      line += (f"[{sign}]" if cell == sight.last else f" {sign} ") + gap
    lines.append(2 * row * gap + line.rstrip())
  return "\n".join(lines)


def describe(step: Step, players: Sequence[str]) -> str:
  """A search in words: values, the moves it likes, the line it expects."""
  root, nodes = step.nodes[0], step.nodes
  lines = [
      f"Value for {players[step.mover]}: {step.judged:+.2f} before search,"
      f" {step.value:+.2f} after {root.visits} simulations.",
      "  move   before   after  visits   value",
  ]
  moves = sorted(
      (node for node in nodes if node.parent == 0),
      key=lambda node: (-node.policy, -node.prior),
  )
  for node in moves[:_MOST_MOVES]:
    value = "-" if node.value is None else f"{node.value:+.2f}"
    lines.append(
        f"  {node.label:<5}  {node.prior:6.3f}  {node.policy:6.3f}"
        f"  {node.visits:6}  {value:>6}"
    )
  if len(moves) > _MOST_MOVES:
    lines.append(f"  and {len(moves) - _MOST_MOVES} more")
  line = [n.label for n in nodes[1:] if n.chosen and n.visits]
  return "\n".join([*lines, f"It expects {' '.join(line)}."])


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.play",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.set_defaults(run=_play, people=(0,))
  parser.add_argument(
      "--workdir", type=pathlib.Path, required=True, help="of a run on a board"
  )
  for flag, people, text in (
      ("--first", (0,), "you move first (this is so if nothing is said)"),
      ("--second", (1,), "the agent moves first"),
      ("--both", (0, 1), "you move for both, with its thoughts on request"),
  ):
    parser.add_argument(
        flag, dest="people", action="store_const", const=people, help=text
    )
  parser.add_argument("--seed", type=int, default=0, help="of all draws (0)")
  parser.add_argument(
      "--num_simulations", type=int, default=64, help="of each search (64)"
  )
  parser.add_argument(
      "--step", type=int,
      help="environment steps of the checkpoint (the newest)",
  )  # fmt: skip
  return parser


def _play(options: argparse.Namespace) -> None:
  agent = board_train.restore_agent(options.workdir, options.step)
  thinker = Thinker(agent, options.num_simulations)
  game = Game(thinker, options.people, options.seed)
  print(f"{_introduce(game)} {_HELP}")
  _answer(game)
  while (words := _ask(game)) is not None:
    if words == "quit":
      break
    _obey(game, words)


def _introduce(game: Game) -> str:
  """Who is who."""
  names, signs = game.board.players, game.board.signs
  you = " and ".join(f"{names[i]} ({signs[i]})" for i in game.people)
  order = {(0,): " and move first", (1,): " and move second"}
  words = f"You are {you}{order.get(game.people, '')}."
  if game.board.kind == "hex":
    first, second = names
    words += f" {first} connects top to bottom, {second} left to right."
  return words


def _ask(game: Game) -> str | None:
  """The next line that is not empty; None at the end of the input."""
  prompt = "> "
  if not game.now.is_over:
    prompt = f"{game.board.players[game.now.mover]}{prompt}"
  while True:
    print(prompt, end="", flush=True)
    line = sys.stdin.readline()
    if not line:
      print()
      return None
    if line.strip():
      return line.strip().lower()


def _obey(game: Game, words: str) -> None:
  """Does what was typed, or says why not."""
  if words == "new":
    game.restart()
    _answer(game)
  elif words == "undo":
    if game.undo():
      print(draw(game.board, game.now.sight))
    else:
      print("You have made no move that could be taken back.")
  elif game.now.is_over:
    print("The game is over: type new, undo or quit.")
  elif words in ("?", "hint"):
    print(describe(game.think()[1], game.board.players))
  else:
    try:
      game.play(game.action(words))
    except ValueError as error:
      print(error)
    else:
      _answer(game)


def _answer(game: Game) -> None:
  """The agent moves if it is its turn; then the board is shown."""
  while not game.now.is_over and game.now.mover not in game.people:
    action, mover = game.think()[0], game.now.mover
    game.play(action)
    name = game.board.players[mover]
    print(f"{name} plays {game.board.name(mover, action)}.")
  print(draw(game.board, game.now.sight))
  if game.now.is_over:
    mover = game.moments[-2].mover
    ending = how_it_ended(game.board, mover, game.now)
    print(f"{ending.capitalize()}.")


if __name__ == "__main__":
  sys.exit(main())
