"""Records: what is not stored is rebuilt as the game had it."""

import dataclasses

import pytest

from mulearn.env import base, gold, text
from mulearn.env import jvm as jvm_lib
from mulearn.replay import demonstrations
from mulearn.replay.episodes import Episode, Step, features

SPEC = base.GameSpec("twc", (("numLocations", 1), ("numItemsToPutAway", 1)), 12)


def _step(prompt, commands, history, tried, action):
  seen = base.TextObservation(
      "tidy", ("fact",), prompt, commands, history, tried
  )
  return Step(seen, action)


def _read(tmp_path, episode):
  directory = demonstrations.write(tmp_path / "data", [episode], provenance={})
  return demonstrations.read(directory)[0]


def test_history_and_tried_are_not_stored():
  stored = set(features()["steps"].feature["observation"].keys())
  assert stored == {"task", "facts", "prompt", "commands"}


def test_what_was_tried_is_rebuilt_by_hand(tmp_path):
  both = ("lie down", "wait")
  given = ("wait", "lie down", "wait", "wait", "wait", "lie down")
  episode = Episode(
      "bed",
      "train",
      0,
      (
          _step("up", both, given[:0], (), given[0]),
          _step("up", both, given[:1], ("wait",), given[1]),
          _step("down", ("wait",), given[:2], (), given[2]),
          # The same words with other commands are another sight.
          _step("up", ("wait",), given[:3], (), given[3]),
          _step("up", both, given[:4], ("wait", "lie down"), given[4]),
          # Given again, it is named once.
          _step("up", both, given[:5], ("wait", "lie down"), given[5]),
          _step("down", ("wait",), given, ("wait",), ""),
      ),
  )
  assert _read(tmp_path, episode) == episode


def _wander(game, commands):
  """The commands a player gives who looks, takes and puts back."""
  step, given = game.reset(3, "train"), []
  for beginning in commands:
    given.append(
        next(c for c in step.observation.commands if c.startswith(beginning))
    )
    step = game.step(given[-1])
  return tuple(given)


@pytest.fixture(scope="module")
def wandered():
  """An episode of a real game in which sights recur."""
  with jvm_lib.Jvm() as jvm:
    game = text.TextWorldGame(SPEC, jvm)
    words = ("look", "take ", "look", "put ", "look", "inventory", "look")
    path = gold.GoldPath(SPEC, "train", 3, _wander(game, words))
    return demonstrations.play(game, path)


def test_records_of_a_real_game_remember_what_was_tried(tmp_path, wandered):
  tried = [set(step.observation.tried) for step in wandered.steps]
  assert any(tried) and len(set(map(frozenset, tried))) > 2
  assert _read(tmp_path, wandered) == wandered
  forgetful = dataclasses.replace(
      wandered.steps[-1],
      observation=dataclasses.replace(
          wandered.steps[-1].observation, history=(), tried=()
      ),
  )
  bare = dataclasses.replace(wandered, steps=(*wandered.steps[:-1], forgetful))
  # Whatever the episode said, the record says what happened.
  assert _read(tmp_path / "other", bare) == wandered
