"""Gold paths: tidy, and out of reach of a game."""

import dataclasses

import pytest

from mulearn.env import gold, text


def test_idle_commands_are_left_out(twc, jvm):
  path = gold.GoldSource(twc, jvm).path(3, "train")
  assert (path.spec, path.fold, path.seed) == (twc, "train", 3)
  assert not {"look around", "inventory"} & set(path.commands)
  # Two objects: each is taken once and put once.
  assert sum(command.startswith("take") for command in path.commands) == 2
  assert sum(command.startswith("put") for command in path.commands) == 2


def test_the_simulator_behind_a_game_holds_no_path(spec, jvm):
  game = text.TextWorldGame(spec, jvm)
  game.reset(3, "train")
  assert not list(game._interface.getGoldActionSequence())


def test_path_beyond_the_step_limit_is_refused(twc, jvm):
  short = dataclasses.replace(twc, step_limit=2)
  with pytest.raises(ValueError, match="seed 3 of train.*step_limit"):
    gold.GoldSource(short, jvm).path(3, "train")


def test_source_closes_its_own_jvm(twc):
  with gold.GoldSource(twc) as source:
    process = source._own_jvm._process
    assert source.path(0, "train").commands
  assert process.poll() is not None
