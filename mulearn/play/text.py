"""A text game beside the agent of a run, in the terminal.

Whoever plays gives the commands, may ask what the agent would do and why, and
may let it give one. The games are those that training never saw.
"""

from collections.abc import Sequence
import difflib
import shutil

import jax
from rich.columns import Columns
from rich.console import Console

from mulearn.act.agent import Agent
from mulearn.env.base import FOLD_SEEDS, TextObservation, TextStep
from mulearn.env.pool import TextPool
from mulearn.explore import text_episode
from mulearn.explore.record import Step
from mulearn.play import terminal

_MOST_COMMANDS = 12  # of the agent's thoughts
_HELP = (
    "Type a command or its number, ? for the agent's thoughts, a to let it give"
    " one, undo, new or quit."
)


class Game:
  """A held-out game that a person and the agent play together.

  Attributes:
    now: what the game answered last.
    number: of the game among the test games.
    most_commands: after which it is cut.
  """

  def __init__(
      self, agent: Agent, pool: TextPool, num_simulations: int, number: int
  ):
    """Begins a game.

    Args:
      agent: who is asked.
      pool: hosts the game, in lane 0.
      num_simulations: of each search.
      number: of the test game, from 0; it decides the agent's draws as well.

    Raises:
      ValueError: there is no simulation, or no such game.
    """
    if num_simulations < 1:
      raise ValueError(
          f"num_simulations is {num_simulations}; a search needs at least 1."
      )
    self._agent = agent
    self._pool = pool
    self._num_simulations = num_simulations
    self.most_commands = agent.config.env.step_limit
    self.begin(number)

  def begin(self, number: int) -> None:
    """Begins the test game of this number."""
    self.now: TextStep = text_episode.start_game(self._pool, number)
    self.number = number
    self._key = jax.random.key(number)

  @property
  def given(self) -> tuple[str, ...]:
    """The commands so far."""
    return self._pool.history(0)[2]

  @property
  def is_over(self) -> bool:
    """Ended or cut."""
    return self.now.terminated or self.now.truncated

  def think(self) -> tuple[str, Step]:
    """The command that the agent would give, and its search."""
    think_key, self._key = jax.random.split(self._key)
    return text_episode.think(
        self._agent, think_key, self.now.observation, self._num_simulations
    )

  def give(self, command: str) -> None:
    """Gives an admissible command."""
    self.now = self._pool.step({0: command})[0]

  def undo(self) -> bool:
    """Takes the last command back, if there is one."""
    seed, fold, given = self._pool.history(0)
    if given:
      self.now = self._pool.restore(0, seed, fold, given[:-1])
    return bool(given)


def play(
    agent: Agent, pool: TextPool, num_simulations: int, number: int
) -> None:
  """Plays until the player leaves; see `Game` for the arguments."""
  game = Game(agent, pool, num_simulations, number)
  print(f"{agent.config.env.name}, test game {number}. {_HELP}")
  print(look(game))
  while (words := terminal.ask("> ")) is not None:
    if words.lower() == "quit":
      break
    _obey(game, words)


def look(game: Game) -> str:
  """What is seen, where the game stands, and what may be done."""
  now = game.now
  lines = [
      "",
      now.observation.prompt,
      f"Score {now.score:.2f}; commands given: {len(game.given)} of"
      f" {game.most_commands}.",
  ]
  if now.success:
    lines.append("The task is done. Type new, undo or quit.")
  elif now.terminated:
    lines.append("The game is lost. Type new, undo or quit.")
  elif now.truncated:
    lines.append("No commands are left. Type new, undo or quit.")
  else:
    lines.append(_numbered(now.observation.commands))
  return "\n".join(lines)


def find_command(observation: TextObservation, words: str) -> str:
  """The admissible command that was typed, whole or by its number.

  Raises:
    ValueError: there is none; the message names those that are near.
  """
  commands = observation.commands
  if words.isdecimal():
    if not 1 <= int(words) <= len(commands):
      raise ValueError(
          f"There is no command {words}; they are 1 to {len(commands)}."
      )
    return commands[int(words) - 1]
  words = " ".join(words.lower().split())
  if words in commands:
    return words
  near = difflib.get_close_matches(words, commands, n=3, cutoff=0.5)
  # Half a command is further from it than others of its length are.
  near += [c for c in commands if words in c and c not in near][:3]
  advice = f"Did you mean {' or '.join(near)}?" if near else _HELP
  raise ValueError(f"{words!r} cannot be done here. {advice}")


def describe(step: Step) -> str:
  """A search in words: values, the commands it likes, the line it expects."""
  root = step.nodes[0]
  lines = [
      f"Value {terminal.signed(step.judged)} before search,"
      f" {terminal.signed(step.value)} after {root.visits} simulations."
  ]
  if step.trust is None:
    lines.append("It asks no language model.")
  else:
    lines.append(f"Its trust in the language model is {step.trust:.2f}.")
  moves = sorted(
      (node for node in step.nodes if node.parent == 0),
      key=lambda node: (-(node.policy or 0.0), -node.prior),
  )
  shown = moves[:_MOST_COMMANDS]
  width = max(7, *(len(node.label) for node in shown))
  lines.append(
      f"  {'command':<{width}}  language  prior  visits   value  after"
  )
  for node in shown:
    said = "-" if node.language is None else f"{node.language:.3f}"
    lines.append(
        f"  {node.label:<{width}}  {said:>8}  {node.prior:.3f}"
        f"  {node.visits:>6}  {terminal.signed(node.value):>6}"
        f"  {node.policy or 0.0:.3f}"
    )
  if len(moves) > len(shown):
    lines.append(f"  and {len(moves) - len(shown)} more")
  line = [n.label for n in step.nodes[1:] if n.chosen and n.visits]
  return "\n".join([*lines, f"It would: {', then '.join(line)}."])


def _numbered(commands: Sequence[str]) -> str:
  """The commands with their numbers, in as many columns as fit."""
  numbered = [f"{i:3} {command}" for i, command in enumerate(commands, 1)]
  width = shutil.get_terminal_size().columns
  console = Console(width=width, highlight=False, markup=False, emoji=False)
  with console.capture() as capture:
    console.print(Columns(numbered, equal=True, column_first=True))
  return capture.get().rstrip()


def _obey(game: Game, words: str) -> None:
  """Does what was typed, or says why not."""
  match words.lower():
    case "new":
      game.begin((game.number + 1) % len(FOLD_SEEDS["test"]))
      print(f"Test game {game.number}.")
      print(look(game))
    case "undo" if game.undo():
      print(look(game))
    case "undo":
      print("No command was given that could be taken back.")
    case _ if game.is_over:
      print("The game is over: type new, undo or quit.")
    case "?" | "hint":
      print(describe(game.think()[1]))
    case "a":
      command, _ = game.think()
      print(f"The agent: {command}")
      game.give(command)
      print(look(game))
    case _:
      _try(game, words)


def _try(game: Game, words: str) -> None:
  """Gives the command that was typed, or says what is wrong with it."""
  try:
    command = find_command(game.now.observation, words)
  except ValueError as error:
    print(error)
  else:
    game.give(command)
    print(look(game))
