"""A TFDS dataset of episodes: gold paths of games, or recorded play.

One record is one episode, in array_record files that need no TensorFlow. A
dataset carries its provenance (what decided the episodes) and the hashes of its
files, so that it is only ever reused for what it was made for, and damage is
found before it is read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import io
import json
import os
import pathlib
import tempfile
from typing import Any

from absl import logging
import tensorflow_datasets as tfds

import mulearn
from mulearn.env import base, gold, text
from mulearn.env import jvm as jvm_lib
from mulearn.replay.episodes import (
    TEXTS,
    Episode,
    EpisodeSource,
    Layout,
    Step,
)

_CARD = "provenance.json"


def play(game: base.TextGame, path: gold.GoldPath) -> Episode:
  """Plays a path of commands.

  Args:
    game: a game of the path's family.
    path: the commands, of which there is at least one.

  Returns:
    The episode.
  """
  now = game.reset(path.seed, path.fold)
  steps = []
  for command in path.commands:
    then = game.step(command)
    discount = 0.0 if then.terminated else 1.0
    steps.append(Step(now.observation, command, then.reward, discount))
    now = then
  steps[0] = dataclasses.replace(steps[0], is_first=True)
  final = Step(
      now.observation,
      discount=0.0 if now.terminated else 1.0,
      is_last=True,
      is_terminal=now.terminated,
  )
  return Episode(path.spec.name, path.fold, path.seed, (*steps, final))


def collect_gold(
    spec: base.GameSpec,
    fold: str,
    seeds: Iterable[int],
    *,
    num_draws: int = 4,
) -> Iterator[Episode]:
  """Plays the gold paths of some games; a game without one is left out.

  In twc and coin the simulator's gold player explores at random, whatever the
  seed: each call gives another path. The shortest of a few is kept, and what is
  to be repeated must be stored with `write`.

  Args:
    spec: the family of games.
    fold: "train", "dev" or "test".
    seeds: which games.
    num_draws: how often each game is asked for a path.

  Yields:
    One episode a game.

  Raises:
    ValueError: a seed does not belong to the fold.
  """
  with contextlib.ExitStack() as stack:
    jvm = stack.enter_context(jvm_lib.Jvm())
    source = stack.enter_context(gold.GoldSource(spec, jvm))
    game = text.TextWorldGame(spec, jvm)
    for seed in seeds:
      path = _shortest_path(source, seed, fold, num_draws)
      if path is not None:
        yield play(game, path)


def gold_provenance(
    spec: base.GameSpec,
    fold: str,
    seeds: Iterable[int],
    *,
    num_draws: int = 4,
) -> dict[str, Any]:
  """Returns what decides the episodes of `collect_gold`, for `write`."""
  return {
      "kind": "gold",
      "name": spec.name,
      "params": dict(spec.params),
      "step_limit": spec.step_limit,
      "fold": fold,
      "seeds": list(seeds),
      "num_draws": num_draws,
      "textworld-express": importlib.metadata.version("textworld-express"),
  }


def _shortest_path(
    source: gold.GoldSource, seed: int, fold: str, num_draws: int
) -> gold.GoldPath | None:
  """The shortest of several gold paths; None if there is none in the limit."""
  base.check_seed(seed, fold)
  paths = []
  for _ in range(num_draws):
    try:
      paths.append(source.path(seed, fold))
    except ValueError as error:
      logging.warning("A draw that does not count: %s", error)
  if not paths:
    logging.warning("%s %s is left out of the demonstrations.", fold, seed)
    return None
  return min(paths, key=lambda path: (len(path.commands), path.commands))


class Episodes(tfds.core.GeneratorBasedBuilder):
  """Episodes of games, one record each, in the order given."""

  VERSION = tfds.core.Version("1.0.0")
  # Nothing is downloaded, so no checksums lie beside the code; looking for them
  # needs importlib_resources, which TFDS 4.9.10 does not install.
  code_path = None

  def __init__(
      self,
      *,
      episodes: Sequence[Any] = (),
      split: str = "train",
      layout: Layout = TEXTS,
      **kwargs,
  ):
    self._episodes = episodes
    self._split = split
    self._layout = layout
    super().__init__(file_format="array_record", **kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
        builder=self,
        description=self.__doc__,
        features=self._layout.features(),
        disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # Nothing is downloaded.
    return {self._split: self._generate_examples()}

  def _generate_examples(self):
    for key, episode in enumerate(self._episodes):
      yield key, self._layout.to_record(episode)


def write(
    directory: str | os.PathLike[str],
    episodes: Iterable[Any],
    *,
    provenance: Mapping[str, Any],
    split: str = "train",
    layout: Layout = TEXTS,
) -> pathlib.Path:
  """Writes episodes as a dataset, or reuses one of the same provenance.

  The dataset appears whole or not at all: it is built beside `directory` and
  renamed. Episodes are only drawn from the iterable if they must be written.

  Args:
    directory: where the dataset's files go; a new or empty folder.
    episodes: what to write, for instance `collect_gold(...)`.
    provenance: what decides the episodes, as JSON; `gold_provenance(...)`.
    split: name of the split.
    layout: of the episodes; those of text games unless given.

  Returns:
    `directory`, for `read` or `tfds.builder_from_directory`.

  Raises:
    ValueError: another dataset is there, or there is nothing to write.
  """
  directory = pathlib.Path(directory)
  wanted = {**provenance, "split": split, "mulearn": mulearn.__version__}
  wanted = json.loads(json.dumps(wanted))
  if directory.exists() and any(directory.iterdir()):
    _check_provenance(directory, wanted)
    return directory
  episodes = list(episodes)
  if not episodes:
    raise ValueError(f"There are no episodes to write to {directory}.")
  directory.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(
      prefix=f".{directory.name}-", dir=directory.parent
  ) as folder:
    builder = Episodes(
        episodes=episodes, split=split, layout=layout, data_dir=folder
    )
    built = _build(builder)
    files = {path.name: _digest(path) for path in sorted(built.iterdir())}
    card = json.dumps({"provenance": wanted, "files": files}, indent=2)
    (built / _CARD).write_text(card)
    try:
      built.rename(directory)
    except OSError:
      if not directory.exists():
        raise
      # Another process was quicker.
      _check_provenance(directory, wanted)
  return directory


def read(
    directory: str | os.PathLike[str],
    split: str = "train",
    layout: Layout = TEXTS,
) -> EpisodeSource:
  """Opens a dataset of episodes.

  Args:
    directory: what `write` returned.
    split: name of the split.
    layout: of the episodes, as they were written.

  Returns:
    Random access to its episodes.

  Raises:
    FileNotFoundError: there is no dataset.
    ValueError: its files are damaged, or it has another split.
  """
  directory = pathlib.Path(directory)
  card = _load_card(directory)
  for name, digest in card["files"].items():
    path = directory / name
    if not path.is_file() or _digest(path) != digest:
      raise ValueError(
          f"{path} is missing or damaged: it is not the file that was written."
          f" Delete {directory} and write it again."
      )
  builder = tfds.builder_from_directory(directory)
  if split not in builder.info.splits:
    raise ValueError(
        f"{directory} has no split {split!r}, only {list(builder.info.splits)}."
    )
  return EpisodeSource(builder.as_data_source(split), layout)


def _build(builder: Episodes) -> pathlib.Path:
  """Builds the dataset's files somewhere under the builder's folder."""
  tfds.disable_progress_bar()
  # TFDS announces on standard output that it downloads, which it does not.
  with contextlib.redirect_stdout(io.StringIO()):
    builder.download_and_prepare()
  return pathlib.Path(builder.data_path)


def _digest(path: pathlib.Path) -> str:
  """SHA-256 of a file."""
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _load_card(directory: pathlib.Path) -> dict[str, Any]:
  """Reads what `write` noted beside a dataset."""
  try:
    return json.loads((directory / _CARD).read_text())
  except FileNotFoundError as error:
    raise FileNotFoundError(
        f"{directory} holds no dataset of episodes ({_CARD} is missing); write"
        " one there first, or delete what is left of it."
    ) from error
  except ValueError as error:
    raise ValueError(
        f"{directory / _CARD} is damaged. Delete {directory} and write it"
        " again."
    ) from error


def _check_provenance(
    directory: pathlib.Path, wanted: Mapping[str, Any]
) -> None:
  """Checks that the dataset in `directory` is the one that is wanted."""
  found = _load_card(directory)["provenance"]
  different = [
      f"{key} is {found.get(key)!r}, wanted {wanted.get(key)!r}"
      for key in sorted({*found, *wanted})
      if found.get(key) != wanted.get(key)
  ]
  if different:
    raise ValueError(
        f"{directory} holds other episodes: {'; '.join(different)}. Delete it,"
        " or write to another directory."
    )
