"""Reading the simulator's English."""

import pytest

from mulearn.env import scene

_LOOK = (
    "You are in the kitchen. In one part of the room you see a stove. There is"
    " also an open fridge, that is empty. You also see a trash can that is"
    " closed. In another part of the room you see a counter that has a raw"
    " yellow potato, some lettuce, and a cookbook on it. In one part of the"
    " room you see a dining chair, that has nothing on it. There is also An"
    " open cutlery drawer, that contains a knife. You also see a box, that is"
    " empty. \nTo the South you see the backyard. To the East you see a closed"
    " frosted-glass door. Through an open wood door, to the West you see the"
    " living room. "
)


def test_scene():
  read = scene.read_scene(_LOOK)
  assert read.room == "kitchen"
  assert [thing.describe() for thing in read.things] == [
      "empty box",
      "counter with cookbook and lettuce and raw yellow potato",
      "open cutlery drawer with knife",
      "empty dining chair",
      "open fridge",
      "stove",
      "closed trash can",
  ]
  assert [thing.describe(brief=True) for thing in read.things][3] == (
      "dining chair"
  )
  assert read.exits == (
      "south backyard",
      "east closed frosted-glass door",
      "west living room through open wood door",
  )


def test_bare_room():
  look = "You are in the attic. \nTo the North you see the hall. "
  read = scene.read_scene(look)
  assert read == scene.Scene("attic", (), ("north hall",))


def test_text_that_is_no_room_is_refused():
  with pytest.raises(ValueError, match="ERROR: no game"):
    scene.read_scene("ERROR: no game")


@pytest.mark.parametrize(
    "text, carried",
    [
        ("Inventory: \n  Your inventory is currently empty.\n", ()),
        ("Inventory: \n  a map\n  some lettuce\n", ("lettuce", "map")),
        (
            "Inventory (maximum capacity is 2 items): \n  an apple\n",
            ("apple",),
        ),
    ],
)
def test_inventory(text, carried):
  assert scene.read_inventory(text) == carried


def test_notes_keep_short_headings_and_drop_articles():
  recipe = (
      "Gather all following ingredients.\n\nIngredients:\n  red onion\n\n"
      "Directions:\n  dice the red onion\n  prepare meal\n\n"
  )
  assert scene.read_notes(recipe) == (
      ("ingredients", "red onion"),
      ("directions", "dice red onion"),
      ("directions", "prepare meal"),
  )
  chart = "The map reads:\n  The attic connects to the hall and cellar.\n"
  assert scene.read_notes(chart) == (("", "attic connects to hall and cellar"),)
