"""Prompts: which lines of an observation they show, and in what order."""

import pytest

from mulearn.env import journal
from mulearn.prior import prompts

SEEN = (
    "Task: tidy up.\nYou are in the attic.\nYou see: shelf, hat.\n"
    "Exits: down.\nYou carry: shoe.\nNotes: You carry: nothing."
)


def test_without_a_choice_all_is_shown():
  assert not prompts.PROMPTS["plain"].shows
  assert prompts.context("plain", SEEN) == SEEN + "\n>"


def test_only_the_chosen_lines_are_shown():
  """A line is known by its beginning; another may quote it."""
  assert prompts.context("housekeeper", SEEN) == "You carry: shoe.\n>"


def test_several_chosen_lines_keep_their_order(monkeypatch):
  chosen = prompts.Prompt("Play.", ("You see: ", "Task: "))
  monkeypatch.setitem(prompts.PROMPTS, "mine", chosen)
  assert prompts.context("mine", SEEN) == (
      "Task: tidy up.\nYou see: shelf, hat.\n>"
  )
  assert prompts.context("mine", "You are in the hall.") == ">"
  assert prompts.prefix("mine") == "Play.\n\n"


@pytest.mark.parametrize("name", prompts.PROMPTS)
def test_a_prompt_shows_lines_that_a_journal_writes(name):
  player = journal.Journal("Your task is to tidy up.")
  player.record("read note", "Directions:\n  hurry\n")
  look = "You are in the attic. There is also a hat. \nTo the South you see it."
  seen = player.observe(look, "Inventory: \n  a shoe\n", ["take hat"])
  lines = seen.prompt.splitlines()
  for beginning in prompts.PROMPTS[name].shows:
    assert sum(line.startswith(beginning) for line in lines) == 1, beginning
  shown = prompts.context(name, seen.prompt).splitlines()
  assert len(shown) > 1 and set(shown[:-1]) <= set(lines)
  assert shown[-1] == ">"


def test_nothing_is_known_of_the_game_in_the_null_context():
  assert prompts.NULL_CONTEXT == prompts.context("plain", "You are somewhere.")


@pytest.mark.parametrize("ask", [prompts.prefix, prompts.context])
def test_unknown_prompts_are_named(ask):
  arguments = ("poem",) if ask is prompts.prefix else ("poem", SEEN)
  with pytest.raises(ValueError, match="'poem'.*'housekeeper'.*'plain'"):
    ask(*arguments)
