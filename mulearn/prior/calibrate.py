"""Choosing how the language model is asked, on train games alone.

Prompt, scoring method and temperature are those under which the commands of
gold paths of *train* games are likeliest. The whole table is kept with the run.
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib

import numpy as np
import rich.console
import rich.table

from mulearn import lm
from mulearn.env.base import GameSpec, TextObservation
from mulearn.env.gold import GoldSource
from mulearn.env.jvm import Jvm
from mulearn.env.text import TextWorldGame
from mulearn.prior import language, prompts

TEMPERATURES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)


@dataclasses.dataclass(frozen=True)
class Demonstration:
  """One command of a gold path.

  Attributes:
    observation: what was seen.
    command: what the gold path does there.
  """

  observation: TextObservation
  command: str


@dataclasses.dataclass(frozen=True)
class Row:
  """One way to ask, at its best temperature.

  Attributes:
    scoring: prompt, method, temperature.
    nats: mean negative log-likelihood of the demonstrated commands.
    top1: how often the demonstrated command is the likeliest.
    spread: mean over observations of the standard deviation of the
      log-probabilities, in nats: how much the prior moves a search.
  """

  scoring: language.Scoring
  nats: float
  top1: float
  spread: float


def demonstrate(
    spec: GameSpec, seeds: Sequence[int], fold: str = "train"
) -> list[Demonstration]:
  """Walks the gold paths of games.

  Args:
    spec: the family of games.
    seeds: of the fold.
    fold: "train" for calibration; "dev" to look at what was calibrated.

  Returns:
    Every command of every path that the simulator can solve in the limit.
  """
  demonstrations = []
  with Jvm() as jvm:
    source, game = GoldSource(spec, jvm), TextWorldGame(spec, jvm)
    for seed in seeds:
      try:
        path = source.path(seed, fold)
      except ValueError:  # No gold path within the step limit.
        continue
      observation = game.reset(seed, fold).observation
      for command in path.commands:
        demonstrations.append(Demonstration(observation, command))
        observation = game.step(command).observation
  return demonstrations


def calibrate(
    raw: language.RawScores,
    demonstrations: Sequence[Demonstration],
    *,
    prompt_names: Sequence[str] = tuple(prompts.PROMPTS),
    methods: Sequence[str] = lm.METHODS,
) -> list[Row]:
  """Tries every prompt and method, each at its best temperature.

  Args:
    raw: asks the language model.
    demonstrations: of train games.
    prompt_names: names in `prompts.PROMPTS`.
    methods: names in `lm.METHODS`.

  Returns:
    Rows, the likeliest first.

  Raises:
    ValueError: if there are no demonstrations.
  """
  if not demonstrations:
    raise ValueError("No demonstrations to calibrate on; give train games.")
  rows = []
  for prompt in prompt_names:
    for method in methods:
      scores = language.method_scores(
          raw,
          prompt,
          method,
          [d.observation.prompt for d in demonstrations],
          [d.observation.commands for d in demonstrations],
      )
      rows.append(
          min(
              (
                  evaluate(
                      language.Scoring(prompt, method, temperature),
                      scores,
                      demonstrations,
                  )
                  for temperature in TEMPERATURES
              ),
              key=lambda row: row.nats,
          )
      )
  return sorted(rows, key=lambda row: row.nats)


def evaluate(
    scoring: language.Scoring,
    scores: Sequence[np.ndarray],
    demonstrations: Sequence[Demonstration],
) -> Row:
  """Likelihood, accuracy and spread of one way to ask."""
  nats, top1, spread = [], [], []
  for score, demonstration in zip(scores, demonstrations):
    log_probs = language.log_softmax(score / scoring.temperature)
    index = demonstration.observation.commands.index(demonstration.command)
    nats.append(-log_probs[index])
    top1.append(np.argmax(log_probs) == index)
    spread.append(np.std(log_probs))
  return Row(
      scoring,
      float(np.mean(nats)),
      float(np.mean(top1)),
      float(np.mean(spread)),
  )


def uniform_nats(demonstrations: Sequence[Demonstration]) -> float:
  """What a flat prior would pay: the mean log number of commands."""
  sizes = [len(d.observation.commands) for d in demonstrations]
  return float(np.mean(np.log(sizes)))


def read(path: pathlib.Path) -> tuple[language.Scoring, list[Row], float]:
  """What a study chose and tried, from its `calibration.json`.

  Args:
    path: the file.

  Returns:
    The scoring, the rows, and the nats of a uniform prior.
  """
  found = json.loads(path.read_text())
  rows = [
      Row(**row | {"scoring": language.Scoring(**row["scoring"])})
      for row in found["rows"]
  ]
  return language.Scoring(**found["scoring"]), rows, found["uniform_nats"]


def print_table(
    rows: Sequence[Row], demonstrations: Sequence[Demonstration]
) -> None:
  """Shows what was tried, the best way first."""
  table = rich.table.Table(
      title=f"Language prior on {len(demonstrations)} gold commands of train"
      f" games (uniform: {uniform_nats(demonstrations):.3f} nats)"
  )
  for column in ("prompt", "method", "temperature", "nats", "top-1", "spread"):
    table.add_column(column, justify="left" if column < "o" else "right")
  for row in rows:
    table.add_row(
        row.scoring.prompt,
        row.scoring.method,
        f"{row.scoring.temperature:g}",
        f"{row.nats:.3f}",
        f"{row.top1:.3f}",
        f"{row.spread:.2f}",
    )
  rich.console.Console().print(table)
