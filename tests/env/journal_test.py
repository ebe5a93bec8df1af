"""What the player remembers."""

from mulearn.env import journal

_EMPTY = "Inventory: \n  Your inventory is currently empty.\n"


def _look(room, *things, way="South"):
  seen = "".join(f"There is also {thing}. " for thing in things)
  return f"You are in the {room}. {seen}\nTo the {way} you see the hall. "


def _journal():
  return journal.Journal("Your task is to find  the\ncoin.")


def test_first_observation():
  seen = _journal().observe(
      _look("attic", "a coin", "a desk, that has nothing on it"),
      _EMPTY,
      ["take coin", "look around", "look around"],
  )
  assert seen.task == "find the coin."
  assert seen.facts == (
      "task: find the coin.",
      "room: attic",
      "carrying: nothing",
      "here: coin",
      "here: empty desk",
      "exit: south hall",
  )
  assert seen.prompt == (
      "Task: find the coin.\nYou are in the attic.\nYou see: coin, desk.\n"
      "Exits: south hall.\nYou carry: nothing."
  )
  assert seen.commands == ("look around", "take coin")


def test_the_last_two_commands_and_rooms_seen_before():
  player = _journal()
  player.observe(_look("attic", "a chest that is closed", "a cap"), _EMPTY, [])
  player.record("move south", "You are in the hall.")
  player.observe(_look("hall"), _EMPTY, [])
  player.record("move south", "You are in the yard.")
  player.record("look around", "You are in the yard.")
  facts = player.observe(_look("yard"), _EMPTY, []).facts
  assert facts[4:] == (
      "last: look around",
      "before: move south",
      "visited: hall",
      "visited: attic",
      "hall: exit south hall",
      "attic: cap",
      "attic: closed chest",
      "attic: exit south hall",
  )


def test_what_was_read_stays_as_notes_once():
  player = _journal()
  recipe = "Ingredients:\n  egg\n  ham\n\nDirections:\n  fry the egg\n"
  for _ in range(2):
    player.record("read cookbook", recipe)
  player.record("task", "Your task is to find the coin.")
  player.record("examine egg", "Directions:\n  none\n")
  seen = player.observe(_look("attic"), _EMPTY, [])
  assert [fact for fact in seen.facts if fact.startswith("note")] == [
      "note: ingredients: egg",
      "note: ingredients: ham",
      "note: directions: fry egg",
  ]
  assert seen.prompt.endswith(
      "\nNotes: ingredients: egg; ham. directions: fry egg."
  )


def test_the_present_survives_the_cap():
  player = _journal()
  things = [f"a thing{i}" for i in range(30)]
  for room in ("attic", "cellar"):
    player.observe(_look(room, *things), _EMPTY, [])
  facts = player.observe(_look("hall", *things), _EMPTY, []).facts
  assert len(facts) == journal.MAX_FACTS
  assert sum(fact.startswith("here: ") for fact in facts) == 30
  assert "visited: attic" in facts
  assert not any(fact.startswith("attic: ") for fact in facts)
