"""What a player of a text game remembers, and how the observation is worded.

The simulator shows one room at a time. A person would write down what was read
and keep in mind where things were seen; the journal does, so that an
observation says what the player knows. Memory goes into `facts` alone: the
prompt depends on the present state only, so that a cache of prompts hits.
"""

import itertools

from mulearn.env import base
from mulearn.env import scene as scene_lib

MAX_FACTS = 48


class Journal:
  """The memory of one game, from its reset on."""

  def __init__(self, task: str):
    task = " ".join(task.split())
    self._task = task.removeprefix("Your task is to ")
    self._source = task
    self._notes: dict[tuple[str, str], None] = {}
    self._scenes: dict[str, scene_lib.Scene] = {}
    self._commands: list[str] = []
    self._sight: tuple[str, tuple[str, ...]] | None = None
    self._past: list[tuple[object, str]] = []  # Sights, and what was done.

  def record(self, command: str, answer: str) -> None:
    """Remembers a command and writes down what was read.

    Args:
      command: the command given.
      answer: the simulator's direct answer to it.
    """
    self._commands.append(command)
    self._past.append((self._sight, command))
    reads = command.startswith("read ") or command == "task"
    # The task itself is always in view.
    if reads and " ".join(answer.split()) != self._source:
      self._notes |= dict.fromkeys(scene_lib.read_notes(answer))

  def observe(
      self, look: str, inventory: str, commands: list[str]
  ) -> base.TextObservation:
    """Words the present state, and remembers the room.

    Args:
      look: the simulator's description of the room.
      inventory: the simulator's list of what is carried.
      commands: admissible commands in any order.

    Returns:
      The observation.
    """
    scene = scene_lib.read_scene(look)
    carried = scene_lib.read_inventory(inventory)
    # The most recent room is the last key.
    self._scenes.pop(scene.room, None)
    self._scenes[scene.room] = scene
    prompt = self._prompt(scene, carried)
    self._sight = (prompt, tuple(sorted(set(commands))))
    return base.TextObservation(
        task=self._task,
        facts=self._facts(scene, carried),
        prompt=prompt,
        commands=self._sight[1],
        history=tuple(self._commands),
        tried=base.tried_before(self._past, self._sight),
    )

  def _facts(
      self, scene: scene_lib.Scene, carried: tuple[str, ...]
  ) -> tuple[str, ...]:
    """The clauses for the encoder, the most useful first."""
    facts = [f"task: {self._task}", f"room: {scene.room}"]
    facts += [f"carrying: {item}" for item in carried or ("nothing",)]
    facts += [f"here: {thing.describe()}" for thing in scene.things]
    facts += [f"exit: {way}" for way in scene.exits]
    facts += ["note: " + ": ".join(filter(None, note)) for note in self._notes]
    labels = zip(("last", "before"), reversed(self._commands))
    facts += [f"{label}: {command}" for label, command in labels]
    return tuple((facts + self._memories(scene.room))[:MAX_FACTS])

  def _memories(self, room: str) -> list[str]:
    """Rooms seen before, the most recent first."""
    others = [seen for name, seen in self._scenes.items() if name != room]
    others.reverse()
    facts = [f"visited: {seen.room}" for seen in others]
    for seen in others:
      things = sorted(seen.things, key=_dullness)
      facts += [f"{seen.room}: {thing.describe()}" for thing in things]
      facts += [f"{seen.room}: exit {way}" for way in seen.exits]
    return facts

  def _prompt(self, scene: scene_lib.Scene, carried: tuple[str, ...]) -> str:
    """The compact text for the language model."""
    things = [thing.describe(brief=True) for thing in scene.things]
    lines = [
        f"Task: {self._task}",
        f"You are in the {scene.room}.",
        f"You see: {', '.join(things) or 'nothing'}.",
    ]
    if scene.exits:
      lines.append(f"Exits: {', '.join(scene.exits)}.")
    lines.append(f"You carry: {', '.join(carried) or 'nothing'}.")
    if self._notes:
      lines.append(f"Notes: {self._written()}.")
    return "\n".join(lines)

  def _written(self) -> str:
    """The notes as text, each heading once."""
    groups = itertools.groupby(self._notes, key=lambda note: note[0])
    texts = []
    for heading, notes in groups:
      lines = "; ".join(line for _, line in notes)
      texts.append(f"{heading}: {lines}" if heading else lines)
    return ". ".join(texts)


def _dullness(thing: scene_lib.Thing) -> int:
  """Orders remembered things: stocked ones, loose ones, bare furniture."""
  if thing.contents:
    return 0
  return 2 if thing.state else 1
