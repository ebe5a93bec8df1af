"""Reads the simulator's English back into short clauses.

`In one part of the room you see a counter that has a raw yellow potato, and a
cookbook on it.` becomes `counter with cookbook and raw yellow potato`. Things
are sorted by name, so that a state reached in two ways reads the same.
"""

import dataclasses
import re

_LEAD_IN = re.compile(
    r"(?:In one part of the room you see|There is also|You also see"
    r"|In another part of the room you see) "
)
_ROOM = re.compile(r"You are in the (?P<room>.+?)\. (?P<things>.*)\n")
_EXIT = re.compile(
    r"(?:Through an open (?P<door>[^.]+?), to|To) the (?P<side>\w+) you see"
    r" (?:the (?P<room>[^.]+)|a (?P<closed>closed [^.]+))\."
)
_ARTICLE = re.compile(r"^(?:an?|some|the) ", re.IGNORECASE)
# The simulator's ways to describe a thing, most specific first.
_FORMS = tuple(
    (re.compile(pattern, re.IGNORECASE), state)
    for pattern, state in (
        (r"an open (?P<name>.+?), that is empty", "open"),
        (r"an open (?P<name>.+?), that contains (?P<contents>.+)", "open"),
        (r"an? (?P<name>.+?) that is closed", "closed"),
        (r"an? (?P<name>.+?), that (?:has nothing on it|is empty)", "empty"),
        (r"an? (?P<name>.+?) that has (?P<contents>.+) on it", "full"),
        (r"an? (?P<name>.+?), that contains (?P<contents>.+)", "full"),
    )
)


@dataclasses.dataclass(frozen=True)
class Thing:
  """A thing in a room.

  Attributes:
    name: its name without the article.
    state: "", "open", "closed", "empty" or "full".
    contents: what is seen on it or in it, sorted.
  """

  name: str
  state: str = ""
  contents: tuple[str, ...] = ()

  def describe(self, brief: bool = False) -> str:
    """Says it in a few words; `brief` leaves out that a surface is empty."""
    words = self.name
    if self.state == "closed":
      words = f"closed {words}"
    elif self.state == "open":
      words = f"open {words}"
    elif self.state == "empty" and not brief:
      words = f"empty {words}"
    if self.contents:
      words += " with " + " and ".join(self.contents)
    return words


@dataclasses.dataclass(frozen=True)
class Scene:
  """What a room shows.

  Attributes:
    room: the room's name.
    things: what is in it, sorted by name.
    exits: clauses such as "south corridor", in the simulator's order.
  """

  room: str
  things: tuple[Thing, ...]
  exits: tuple[str, ...]


def read_scene(look: str) -> Scene:
  """Reads the text of `look around`.

  Args:
    look: the simulator's description of the room.

  Returns:
    The room as clauses.

  Raises:
    ValueError: the text does not begin as a room's description does.
  """
  match = _ROOM.match(look)
  if match is None:
    raise ValueError(f"Expected the description of a room, got {look!r}.")
  clauses = _LEAD_IN.split(match["things"])
  things = [read_thing(clause.strip(" .")) for clause in clauses if clause]
  exits = [_read_exit(found) for found in _EXIT.finditer(look[match.end() :])]
  return Scene(
      room=match["room"],
      things=tuple(sorted(things, key=lambda thing: thing.name)),
      exits=tuple(exits),
  )


def read_thing(clause: str) -> Thing:
  """Reads one clause, such as "a bench, that has nothing on it"."""
  for form, state in _FORMS:
    match = form.fullmatch(clause)
    if match:
      contents = match.groupdict().get("contents")
      return Thing(match["name"], state, _read_list(contents or ""))
  return Thing(without_article(clause))


def read_inventory(text: str) -> tuple[str, ...]:
  """Reads the text of `inventory`: a heading, then one line for each thing."""
  lines = [line.strip() for line in text.splitlines()[1:]]
  return tuple(
      sorted(
          without_article(line)
          for line in lines
          if line and line != "Your inventory is currently empty."
      )
  )


def read_notes(text: str) -> tuple[tuple[str, str], ...]:
  """Keeps what is worth writing down of a text that was read.

  The body of a recipe or a map is indented under headings. A heading of one
  word ("Directions:") stays with its lines; articles are dropped, which makes
  the words those of the commands.

  Args:
    text: what came back from `read cookbook`, say.

  Returns:
    For each indented line its heading, or "", and its words.
  """
  heading, notes = "", []
  for line in text.splitlines():
    words = line.strip().rstrip(".")
    if words and not line.startswith(" "):
      heading = words[:-1].lower() if re.fullmatch(r"\w+:", words) else ""
    elif words:
      notes.append((heading, re.sub(r"\b[Tt]he ", "", words)))
  return tuple(notes)


def without_article(words: str) -> str:
  """Drops a leading article."""
  return _ARTICLE.sub("", words)


def _read_list(words: str) -> tuple[str, ...]:
  """Reads "some lettuce, and a banana"."""
  items = re.split(r", (?:and )?", words) if words else ()
  return tuple(sorted(without_article(item) for item in items))


def _read_exit(match: re.Match[str]) -> str:
  """Reads one sentence about a way out."""
  side = match["side"].lower()
  if match["closed"]:
    return f"{side} {match['closed']}"
  door = f" through open {match['door']}" if match["door"] else ""
  return f"{side} {match['room']}{door}"
