"""Tests that episodes survive the disk, and that damage does not pass."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from mulearn.env import base, gold
from mulearn.replay import demonstrations
from mulearn.replay.episodes import Episode, Step

_SPEC = base.GameSpec("clock", (("hours", 3),), 12)


class _Clock:
  """A game that says the time: it ends at 3 with a reward, or is cut at 5."""

  def reset(self, seed, fold):
    self._time, self._name = 0, f"{fold} {seed}"
    self._history = ()
    return self._step(0.0)

  def step(self, command):
    self._time += 1 if command == "tick" else 2
    self._history += (command,)
    return self._step(0.25 * self._time)

  def close(self):
    pass

  def _step(self, reward):
    observation = base.TextObservation(
        task=f"Read the clock of {self._name}.",
        facts=tuple(f"{hour} has struck" for hour in range(self._time)),
        prompt=f"It is\n{self._time}.\n",
        commands=("skip é", "tick") if self._time < 3 else (),
        history=self._history,
    )
    ended = self._time == 3
    return base.TextStep(observation, reward, ended, not ended, 0.0, ended)


def _episode(seed=1, commands=("tick", "skip é")):
  path = gold.GoldPath(_SPEC, "train", seed, commands)
  return demonstrations.play(_Clock(), path)


def _searched(episode):
  """The episode as a search would have recorded it, in exact floats."""
  steps = [
      dataclasses.replace(
          step, policy=(0.25, 0.75), prior=(-math.inf, -0.5), value=float(t)
      )
      for t, step in enumerate(episode.steps[:-1])
  ]
  return dataclasses.replace(episode, steps=(*steps, episode.steps[-1]))


def _write(directory, episodes, **provenance):
  return demonstrations.write(directory, episodes, provenance=provenance)


def test_play_aligns_observation_action_and_reward():
  episode = _episode()
  assert [s.observation.prompt for s in episode.steps] == [
      "It is\n0.\n",
      "It is\n1.\n",
      "It is\n3.\n",
  ]
  assert [s.action for s in episode.steps] == ["tick", "skip é", ""]
  assert [s.reward for s in episode.steps] == [0.25, 0.75, 0.0]
  assert [s.discount for s in episode.steps] == [1.0, 0.0, 0.0]
  assert [s.is_first for s in episode.steps] == [True, False, False]
  assert [s.is_last for s in episode.steps] == [False, False, True]
  assert [s.is_terminal for s in episode.steps] == [False, False, True]
  assert episode.num_moves == 2


def test_an_episode_that_was_cut_is_not_terminal():
  last = _episode(commands=("tick",)).steps[-1]
  assert last.is_last and not last.is_terminal and last.discount == 1.0


def test_round_trip_keeps_everything_in_order(tmp_path):
  episodes = [_episode(seed) for seed in range(20)]
  episodes.append(_searched(_episode(99, ("tick", "tick", "tick"))))
  source = demonstrations.read(_write(tmp_path / "data", episodes, seeds=20))
  assert len(source) == 21
  assert [source[i] for i in range(21)] == episodes


def test_steps_with_and_without_a_search_keep_their_rows(tmp_path):
  whole = _searched(_episode(1, ("tick", "tick", "tick")))
  bare = dataclasses.replace(whole.steps[1], policy=(), prior=(), value=None)
  mixed = dataclasses.replace(
      whole, steps=(whole.steps[0], bare, *whole.steps[2:])
  )
  source = demonstrations.read(_write(tmp_path / "data", [mixed]))
  assert source[0] == mixed


def test_the_files_are_plain_tfds_with_the_field_names_of_rlds(tmp_path):
  directory = _write(tmp_path / "data", [_episode()])
  builder = tfds.builder_from_directory(directory)
  assert builder.info.splits["train"].num_examples == 1
  steps = builder.as_data_source("train")[0]["steps"]
  assert set(steps) >= {
      *("observation", "action", "reward", "discount"),
      *("is_first", "is_last", "is_terminal"),
  }
  assert steps["action"] == [b"tick", "skip é".encode(), b""]
  assert list(directory.glob("*.array_record*"))


def test_the_same_provenance_is_reused_without_playing(tmp_path):
  directory = _write(tmp_path / "data", [_episode()], seeds=1)

  def never():
    raise AssertionError("played again")
    yield

  assert _write(tmp_path / "data", never(), seeds=1) == directory
  assert len(demonstrations.read(directory)) == 1


def test_another_provenance_is_refused_by_name(tmp_path):
  directory = _write(tmp_path / "data", [_episode()], seeds=[1, 2])
  with pytest.raises(ValueError, match=r"seeds is \[1, 2\], wanted \[3\]"):
    _write(directory, [_episode()], seeds=[3])


def test_gold_provenance_names_what_decides_the_episodes():
  given = demonstrations.gold_provenance(_SPEC, "train", range(2))
  assert given["seeds"] == [0, 1] and given["step_limit"] == 12
  assert given["params"] == {"hours": 3} and given["textworld-express"]
  json.dumps(given)


def test_nothing_half_written_is_left_behind(tmp_path):
  def breaks():
    yield _episode()
    raise KeyError("the game died")

  with pytest.raises(KeyError, match="the game died"):
    _write(tmp_path / "data", breaks())
  lopsided = dataclasses.replace(_episode().steps[0], policy=(1.0,))
  episode = Episode("clock", "train", 7, (lopsided,))
  with pytest.raises(ValueError, match="policy of none or 2 numbers"):
    _write(tmp_path / "data", [episode])
  assert not list(tmp_path.iterdir())


def test_a_crash_before_the_rename_leaves_no_dataset(tmp_path, monkeypatch):
  def fails(self, target):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(demonstrations.pathlib.Path, "rename", fails)
  with pytest.raises(OSError, match="No space left"):
    _write(tmp_path / "data", [_episode()])
  assert not list(tmp_path.iterdir())


def test_a_quicker_process_with_the_same_provenance_wins(tmp_path):
  def overtaken():
    _write(tmp_path / "data", [_episode(5)], seeds=1)
    yield _episode(6)

  directory = _write(tmp_path / "data", overtaken(), seeds=1)
  assert demonstrations.read(directory)[0].seed == 5
  assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("harm", ["truncated", "flipped", "missing"])
def test_damaged_files_are_one_clear_error(tmp_path, harm):
  directory = _write(tmp_path / "data", [_episode()])
  (path,) = directory.glob("*.array_record*")
  content = bytearray(path.read_bytes())
  if harm == "truncated":
    path.write_bytes(content[: len(content) // 2])
  elif harm == "flipped":
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
  else:
    path.unlink()
  with pytest.raises(ValueError, match="missing or damaged.*Delete"):
    demonstrations.read(directory)


def test_a_damaged_card_is_one_clear_error(tmp_path):
  directory = _write(tmp_path / "data", [_episode()])
  (directory / "provenance.json").write_text('{"files"')
  with pytest.raises(ValueError, match="damaged. Delete"):
    demonstrations.read(directory)


def test_no_dataset_and_no_split_are_clear_errors(tmp_path):
  with pytest.raises(FileNotFoundError, match="holds no dataset"):
    demonstrations.read(tmp_path / "nothing")
  directory = _write(tmp_path / "data", [_episode()])
  with pytest.raises(ValueError, match="no split 'test'.*train"):
    demonstrations.read(directory, "test")
  (tmp_path / "foreign").mkdir()
  (tmp_path / "foreign" / "file").write_text("mine")
  with pytest.raises(FileNotFoundError, match="holds no dataset"):
    _write(tmp_path / "foreign", [_episode()])
  with pytest.raises(ValueError, match="no episodes"):
    _write(tmp_path / "empty", [])


@pytest.mark.parametrize("fact", ["", "two\nlines"])
def test_texts_that_could_not_be_told_apart_are_refused(tmp_path, fact):
  seen = base.TextObservation("task", (fact,), "prompt", ())
  with pytest.raises(ValueError, match="must be one line"):
    _write(tmp_path / "data", [Episode("clock", "train", 0, (Step(seen),))])


def test_writing_and_reading_need_no_tensorflow(tmp_path):
  program = (
      "import sys\n"
      "from mulearn.env import base\n"
      "from mulearn.replay import demonstrations, episodes\n"
      "step = episodes.Step(base.TextObservation('t', ('f',), 'p', ('c',)))\n"
      "episode = episodes.Episode('clock', 'train', 0, (step,))\n"
      "path = demonstrations.write(sys.argv[1], [episode], provenance={})\n"
      "assert demonstrations.read(path)[0] == episode\n"
      "assert 'tensorflow' not in sys.modules\n"
  )
  subprocess.run(
      [sys.executable, "-c", program, str(tmp_path / "data")],
      check=True,
  )


def test_gold_paths_of_a_real_game_are_collected(tmp_path):
  spec = base.GameSpec(
      "twc", (("numLocations", 1), ("numItemsToPutAway", 1)), 12
  )
  seeds = range(3)
  directory = demonstrations.write(
      tmp_path / "data",
      demonstrations.collect_gold(spec, "train", seeds),
      provenance=demonstrations.gold_provenance(spec, "train", seeds),
  )
  source = demonstrations.read(directory)
  episodes = [source[i] for i in range(len(source))]
  assert [episode.seed for episode in episodes] == [0, 1, 2]
  for episode in episodes:
    assert episode.steps[-1].is_terminal
    assert sum(s.reward for s in episode.steps) == pytest.approx(1.0)
    for step in episode.steps[:-1]:
      assert step.action in step.observation.commands


def test_games_without_a_gold_path_within_the_limit_are_left_out():
  spec = base.GameSpec("twc", (("numLocations", 1),), 1)
  assert not list(demonstrations.collect_gold(spec, "train", [0]))
  with pytest.raises(ValueError, match="does not belong"):
    list(demonstrations.collect_gold(spec, "train", [20_000]))


def test_the_shortest_of_several_gold_paths_is_kept():
  spec = base.GameSpec("coin", (("numLocations", 4),), 30)
  drawn = [("b", "b", "b"), ("c", "c"), None, ("a", "z")]

  class Source:

    def path(self, seed, fold):
      commands = drawn.pop(0)
      if commands is None:
        raise ValueError("none within the limit")
      return gold.GoldPath(spec, fold, seed, commands)

  path = demonstrations._shortest_path(Source(), 3, "train", 4)
  assert path.commands == ("a", "z") and not drawn
