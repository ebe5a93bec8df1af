"""Episodes of text games, and how one is laid out as a TFDS record.

The field names are those of RLDS (Ramos et al. 2021,
https://arxiv.org/abs/2111.02767): `steps/observation`, `steps/action`,
`steps/reward`, ... Steps are a `Sequence`, since the nested `Dataset` feature
needs TensorFlow, which nothing here does. A step's lists of texts are one text
of lines; its numbers over the commands are rows of one flat list, as long as
the step has commands. Numbers are stored as float32.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from mulearn.env import base


@dataclasses.dataclass(frozen=True)
class Step:
  """One moment of an episode: what was seen, done, and what came of it.

  Attributes:
    observation: what the player knew.
    action: the command given; empty at the last step.
    reward: reward of that command.
    discount: 0 if that command ended the game, else 1; at the last step, 0 if
      the game is over.
    is_first: the step of the reset.
    is_last: the final observation, after the last command.
    is_terminal: the game itself ended here; a last step that is not terminal
      was cut.
    policy: search policy over `observation.commands`, or empty.
    prior: language prior (logits) over `observation.commands`, or empty.
    value: root value after search, or None.
  """

  observation: base.TextObservation
  action: str = ""
  reward: float = 0.0
  discount: float = 1.0
  is_first: bool = False
  is_last: bool = False
  is_terminal: bool = False
  policy: tuple[float, ...] = ()
  prior: tuple[float, ...] = ()
  value: float | None = None


@dataclasses.dataclass(frozen=True)
class Episode:
  """One played game.

  Attributes:
    name: name of the game.
    fold: "train", "dev" or "test".
    seed: the game's seed.
    steps: one for each command, and one for the final observation.
  """

  name: str
  fold: str
  seed: int
  steps: tuple[Step, ...]

  @property
  def num_moves(self) -> int:
    """Number of commands given."""
    return len(self.steps) - 1


# The actions before a step are its history.
_REBUILT = ("history", "tried")


def features() -> tfds.features.FeaturesDict:
  """Returns the features of one record."""
  observation = {
      field.name: tfds.features.Text()
      for field in dataclasses.fields(base.TextObservation)
      if field.name not in _REBUILT
  }
  steps = {
      "observation": observation,
      "action": tfds.features.Text(),
      "reward": np.float32,
      "discount": np.float32,
      "is_first": np.bool_,
      "is_last": np.bool_,
      "is_terminal": np.bool_,
      "value": np.float32,
  }
  return tfds.features.FeaturesDict(
      {
          "name": tfds.features.Text(),
          "fold": tfds.features.Text(),
          "seed": np.int64,
          "steps": tfds.features.Sequence(steps),
          "policy": tfds.features.Sequence(np.float32),
          "prior": tfds.features.Sequence(np.float32),
      }
  )


def to_record(episode: Episode) -> dict[str, Any]:
  """Lays an episode out as `features` describes.

  Args:
    episode: what to store.

  Returns:
    Nested dictionaries and lists.

  Raises:
    ValueError: a text of a list is empty or has several lines, or a step's
      numbers do not fit its commands.
  """
  steps = []
  for step in episode.steps:
    seen = step.observation
    steps.append(
        {
            "observation": {
                "task": seen.task,
                "facts": _join(seen.facts),
                "prompt": seen.prompt,
                "commands": _join(seen.commands),
            },
            "action": step.action,
            "reward": step.reward,
            "discount": step.discount,
            "is_first": step.is_first,
            "is_last": step.is_last,
            "is_terminal": step.is_terminal,
            "value": math.nan if step.value is None else step.value,
        }
    )
  return {
      "name": episode.name,
      "fold": episode.fold,
      "seed": episode.seed,
      "steps": steps,
      "policy": _flatten(episode, "policy"),
      "prior": _flatten(episode, "prior"),
  }


def from_record(record: dict[str, Any]) -> Episode:
  """Makes an episode of what a TFDS data source gives.

  Args:
    record: as of `to_record`, transposed to columns, with texts as bytes.

  Returns:
    The episode.
  """
  columns = record["steps"]
  seen = {
      name: [x.decode() for x in column]
      for name, column in columns["observation"].items()
  }
  policy, prior = iter(record["policy"]), iter(record["prior"])
  steps = []
  actions = [given.decode() for given in columns["action"]]
  sights = list(zip(seen["prompt"], map(_split, seen["commands"])))
  for t, action in enumerate(actions):
    commands = sights[t][1]
    observation = base.TextObservation(
        task=seen["task"][t],
        facts=_split(seen["facts"][t]),
        prompt=seen["prompt"][t],
        commands=commands,
        history=tuple(actions[:t]),
        tried=base.tried_before(zip(sights[:t], actions), sights[t]),
    )
    value = float(columns["value"][t])
    steps.append(
        Step(
            observation=observation,
            action=action,
            reward=float(columns["reward"][t]),
            discount=float(columns["discount"][t]),
            is_first=bool(columns["is_first"][t]),
            is_last=bool(columns["is_last"][t]),
            is_terminal=bool(columns["is_terminal"][t]),
            policy=_row(policy, len(commands)),
            prior=_row(prior, len(commands)),
            value=None if math.isnan(value) else value,
        )
    )
  name, fold = record["name"].decode(), record["fold"].decode()
  return Episode(name, fold, int(record["seed"]), tuple(steps))


def _join(texts: Sequence[str]) -> str:
  """Makes one text of lines, checking that the lines can be told apart."""
  for line in texts:
    if not line or "\n" in line:
      raise ValueError(f"{line!r} must be one line of text, and not empty.")
  return "\n".join(texts)


def _split(lines: str) -> tuple[str, ...]:
  """The inverse of `_join`."""
  return tuple(lines.split("\n")) if lines else ()


def _flatten(episode: Episode, field: str) -> list[float]:
  """Concatenates a field's rows over the commands; NaN for an absent row."""
  numbers: list[float] = []
  for t, step in enumerate(episode.steps):
    row, size = getattr(step, field), len(step.observation.commands)
    if len(row) not in (0, size) or any(math.isnan(x) for x in row):
      raise ValueError(
          f"Step {t} of {episode.name} {episode.fold} {episode.seed} must have"
          f" a {field} of none or {size} numbers, as it has {size} commands;"
          f" got {row}."
      )
    numbers.extend(row or [math.nan] * size)
  return numbers


def _row(numbers: Iterator[float], size: int) -> tuple[float, ...]:
  """Takes the next row of what `_flatten` made."""
  row = tuple(float(next(numbers)) for _ in range(size))
  return () if any(math.isnan(x) for x in row) else row


class Layout(NamedTuple):
  """How episodes of some kind lie in a data set.

  Attributes:
    features: -> the features of one record.
    to_record: episode -> what TFDS stores.
    from_record: what a TFDS data source gives -> episode.
  """

  features: Callable[[], tfds.features.FeaturesDict]
  to_record: Callable[[Any], dict[str, Any]]
  from_record: Callable[[dict[str, Any]], Any]


TEXTS = Layout(features, to_record, from_record)


class EpisodeSource:
  """Random access to the episodes of a data set, for Grain or by index."""

  def __init__(self, records: Sequence[dict[str, Any]], layout: Layout = TEXTS):
    """Wraps the data source of a data set of `demonstrations.write`."""
    self._records = records
    self._layout = layout

  def __len__(self) -> int:
    return len(self._records)

  def __getitem__(self, index: int) -> Any:
    return self._layout.from_record(self._records[index])
