"""What the player remembers."""

import pytest

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


_CARRIED = "Inventory: \n  a cap\n"


def test_a_sight_recurs_after_taking_and_putting_back():
  """What was tried is known again when all looks as it did, and only then."""
  player = _journal()
  there, gone = _look("attic", "a cap", "a desk"), _look("attic", "a desk")
  free, laden = ["look around", "take cap"], ["look around", "put cap"]
  assert player.observe(there, _EMPTY, free).tried == ()
  player.record("look around", there)
  assert player.observe(there, _EMPTY, free).tried == ("look around",)
  player.record("take cap", "Taken.")
  assert player.observe(gone, _CARRIED, laden).tried == ()
  player.record("put cap", "Done.")
  # The order in which a game lists its commands is no part of the sight.
  again = player.observe(there, _EMPTY, free[::-1])
  assert again.tried == ("look around", "take cap")
  assert again.history == ("look around", "take cap", "put cap")
  player.record("take cap", "Taken.")
  assert player.observe(gone, _CARRIED, laden).tried == ("put cap",)


@pytest.mark.parametrize("change", ["room", "inventory", "commands", "notes"])
def test_another_sight_has_nothing_tried(change):
  player = _journal()
  player.observe(_look("attic"), _EMPTY, ["wait"])
  player.record("wait", "Time passes.")
  room = "hall" if change == "room" else "attic"
  inventory = _CARRIED if change == "inventory" else _EMPTY
  commands = ["sing", "wait"] if change == "commands" else ["wait"]
  if change == "notes":
    player.record("read note", "Directions:\n  hurry\n")
  seen = player.observe(_look(room), inventory, commands)
  assert seen.tried == ()
  assert seen.history[0] == "wait"


def test_looking_twice_at_a_moment_tries_nothing():
  player = _journal()
  for _ in range(2):
    assert player.observe(_look("attic"), _EMPTY, ["wait"]).tried == ()
  player.record("wait", "Time passes.")
  for _ in range(2):
    assert player.observe(_look("attic"), _EMPTY, ["wait"]).tried == ("wait",)


def test_commands_without_a_look_between_belong_to_the_last_sight():
  player = _journal()
  player.record("sing", "Before anything was seen.")
  assert player.observe(_look("attic"), _EMPTY, ["sing"]).tried == ()
  player.record("move south", "You are in the hall.")
  player.record("move north", "You are in the attic.")
  seen = player.observe(_look("attic"), _EMPTY, ["sing"])
  assert seen.tried == ("move south", "move north")
