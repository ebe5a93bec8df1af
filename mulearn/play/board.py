"""A board game against the agent of a run, in the terminal."""

from collections.abc import Sequence
import string

import jax

from mulearn.act.board_agent import BoardAgent
from mulearn.explore.board_episode import Moment, Thinker, how_it_ended
from mulearn.explore.boards import Board
from mulearn.explore.record import BoardSight, Step
from mulearn.play import terminal

_MOST_MOVES = 8  # of a hint
_HELP = "Type a move, ? for a hint, undo, new or quit."


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
      f"Value for {players[step.mover]}: {terminal.signed(step.judged)} before"
      f" search, {terminal.signed(step.value)} after {root.visits} simulations.",
      "  move   before   after  visits   value",
  ]
  moves = sorted(
      (node for node in nodes if node.parent == 0),
      key=lambda node: (-(node.policy or 0.0), -node.prior),
  )
  for node in moves[:_MOST_MOVES]:
    value = terminal.signed(node.value)
    lines.append(
        f"  {node.label:<5}  {node.prior:6.3f}  {node.policy:6.3f}"
        f"  {node.visits:6}  {value:>6}"
    )
  if len(moves) > _MOST_MOVES:
    lines.append(f"  and {len(moves) - _MOST_MOVES} more")
  line = [n.label for n in nodes[1:] if n.chosen and n.visits]
  return "\n".join([*lines, f"It expects {' '.join(line)}."])


def play(
    agent: BoardAgent, people: Sequence[int], num_simulations: int, seed: int
) -> None:
  """Plays until the player leaves.

  Args:
    agent: who is played against.
    people: the players that are not the agent's: 0, 1, or both.
    num_simulations: of each search.
    seed: decides what the agent draws by lot.
  """
  game = Game(Thinker(agent, num_simulations), people, seed)
  print(f"{_introduce(game)} {_HELP}")
  _answer(game)
  while (words := terminal.ask(_prompt(game))) is not None:
    if words.lower() == "quit":
      break
    _obey(game, words.lower())


def _introduce(game: Game) -> str:
  """Who is who."""
  names, signs = game.board.players, game.board.signs
  you = " and ".join(f"{names[i]} ({signs[i]})" for i in game.people)
  if len(game.people) == 1:
    you += f" and move {('first', 'second')[game.people[0]]}"
  words = f"You are {you}."
  if game.board.kind == "hex":
    first, second = names
    words += f" {first} connects top to bottom, {second} left to right."
  return words


def _prompt(game: Game) -> str:
  """Who is to move."""
  if game.now.is_over:
    return "> "
  return f"{game.board.players[game.now.mover]}> "


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
