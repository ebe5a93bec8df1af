"""The phrase table: numbers that stay, and a vocabulary that only grows so."""

import dataclasses
import json

import numpy as np
import pytest

from mulearn.config import ModelConfig
from mulearn.model.phrases import ROLES, PhraseTable, take_action


def _words(phrases, numbers):
  return [phrases.text(n) for n in np.asarray(numbers) if n]


def test_an_observation_is_read_word_by_word(phrases, rooms):
  numbers = phrases.observe(rooms)
  for i, room in enumerate(rooms):
    assert _words(phrases, numbers.commands[i]) == list(room.commands)
    texts = [fact.partition(": ")[2] for fact in room.facts]
    assert _words(phrases, numbers.facts[i]) == texts
  roles = [ROLES[r] for r in numbers.roles[0] if r]
  assert roles == ["task", "room", "here"]
  np.testing.assert_array_equal(numbers.invalid, numbers.commands == 0)
  # Left-aligned: slot i is command i.
  assert not numbers.invalid[0, :2].any() and numbers.invalid[0, 2:].all()


def test_what_was_tried_is_marked_in_its_slot(phrases, rooms, known_rooms):
  marked = [
      dataclasses.replace(rooms[0], tried=("take hat",)),
      # Given in this game, but not at this sight.
      dataclasses.replace(rooms[1], history=("go up", "take shoe")),
      dataclasses.replace(known_rooms[2], tried=("take lamp", "go east")),
  ]
  tried = phrases.observe(marked).tried
  assert tried.dtype == np.float32
  expected = np.zeros((3, 8))
  expected[0, 1] = expected[2, 0] = expected[2, 3] = 1.0
  np.testing.assert_array_equal(tried, expected)


def test_an_action_is_what_its_slot_holds(phrases, rooms):
  """Tried is what was given at this sight, whatever the history says."""
  seen = [
      dataclasses.replace(rooms[0], tried=("go down",)),
      dataclasses.replace(rooms[0], tried=("go down",)),
      dataclasses.replace(rooms[1], history=("go west",)),
  ]
  numbers = phrases.observe(seen)
  prior = -np.arange(24, dtype=np.float32).reshape(3, 8)
  action = take_action(numbers, prior, np.array([0, 1, 1]))
  assert _words(phrases, action.command) == ["go down", "take hat", "go west"]
  np.testing.assert_array_equal(action.tried, [1.0, 0.0, 0.0])
  np.testing.assert_array_equal(action.prior, [0.0, -9.0, -17.0])


def test_facts_of_other_rooms_keep_their_room(phrases, rooms):
  far = dataclasses.replace(rooms[0], facts=("kitchen: closed fridge",))
  numbers = phrases.observe([far])
  assert _words(phrases, numbers.facts[0]) == ["kitchen: closed fridge"]
  assert ROLES[numbers.roles[0, 0]] == "elsewhere"


def test_numbers_and_embeddings_stay(phrases, rooms):
  first = phrases.observe(rooms)
  table, _ = phrases.arrays()
  phrases.add(["a new thing", "another"])
  again = phrases.observe(rooms)
  for before, after in zip(first, again):
    np.testing.assert_array_equal(before, after)
  known = len(phrases) - 2
  later, _ = phrases.arrays()
  np.testing.assert_array_equal(later[:known], table[:known])
  assert np.any(np.asarray(later[known]) != 0.0)


def test_what_a_program_was_given_does_not_change_below_it(
    embed, tiny_config, rooms
):
  # Several tables, because only memory that is aligned by chance is shared.
  for _ in range(16):
    phrases = PhraseTable(embed, tiny_config.model)
    phrases.fit(rooms)
    phrases.observe(rooms[:1], learn=True)
    given = phrases.arrays()
    before = [np.array(array) for array in given]
    phrases.observe(rooms[1:], learn=True)
    for array, copy in zip(given, before):
      np.testing.assert_array_equal(array, copy)


def test_row_zero_is_padding_and_unused_rows_are_zero(phrases, rooms):
  phrases.observe(rooms, learn=True)
  table, vocabulary = phrases.arrays()
  assert phrases.text(0) == "" and not vocabulary[0]
  assert not np.asarray(table[0]).any()
  assert not np.asarray(table[len(phrases) :]).any()
  assert np.asarray(table[1 : len(phrases)]).any(axis=1).all()


def test_survey_is_centred_and_whitened(embed, rooms):
  config = ModelConfig(num_slots=8, max_facts=8, max_phrases=64)
  phrases = PhraseTable(embed, config)
  phrases.fit(rooms)
  phrases.observe(rooms)
  table = np.asarray(phrases.arrays()[0])[1 : len(phrases)]
  np.testing.assert_allclose(table.mean(axis=0), 0.0, atol=1e-4)
  covariance = table.T @ table / len(table)
  rank = len(table) - 1
  np.testing.assert_allclose(covariance[:rank, :rank], np.eye(rank), atol=0.1)


def test_evaluation_never_enters_the_vocabulary(phrases, rooms):
  phrases.observe(rooms)
  assert not np.asarray(phrases.arrays()[1]).any()
  learned = phrases.observe(rooms[:1], learn=True)
  phrases.observe(rooms[1:])
  vocabulary = np.flatnonzero(phrases.arrays()[1])
  assert set(vocabulary) == set(learned.commands[learned.commands > 0])


def test_too_many_commands_name_the_remedy(phrases, rooms):
  crowded = dataclasses.replace(
      rooms[0], commands=tuple(f"press {i}" for i in range(9))
  )
  with pytest.raises(ValueError, match="9 commands.* 8 slots.*num_slots"):
    phrases.observe([crowded])


def test_too_many_phrases_name_the_remedy(phrases):
  with pytest.raises(ValueError, match="holds 64 phrases.*max_phrases"):
    phrases.add(f"thing {i}" for i in range(64))
  assert len(phrases) == 1


def test_a_table_is_fitted_once_and_before_use(
    embed, tiny_config, phrases, rooms
):
  with pytest.raises(ValueError, match="fit it once"):
    phrases.fit(rooms)
  with pytest.raises(ValueError, match=r"call fit\(\) first"):
    PhraseTable(embed, tiny_config.model).add(["hat"])


def test_a_saved_table_comes_back(phrases, embed, tiny_config, rooms):
  before = phrases.observe(rooms[:2], learn=True)
  arrays, host = phrases.save()
  host = json.loads(json.dumps(host))
  restored = PhraseTable(embed, tiny_config.model)
  restored.restore({k: v.copy() for k, v in arrays.items()}, host)
  for old, new in zip(phrases.arrays(), restored.arrays()):
    np.testing.assert_array_equal(old, new)
  # Both go on alike: old phrases keep their numbers, a new one gets the same.
  for table in (phrases, restored):
    table.observe(rooms[2:], learn=True)
  for old, new in zip(phrases.arrays(), restored.arrays()):
    np.testing.assert_array_equal(old, new)
  again = restored.observe(rooms[:2])
  np.testing.assert_array_equal(before.commands, again.commands)
