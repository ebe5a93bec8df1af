"""Calibration finds the planted way to ask, by likelihood alone."""

import dataclasses
import pathlib

import numpy as np
import pytest

from mulearn import lm
from mulearn.config import PriorConfig
from mulearn.prior import build, calibrate, language, prompts

PLANTED = 2.0


class _Planted:
  """Raw scores whose `byte` normalisation is the truth, times `PLANTED`.

  The demonstrated commands are drawn from the softmax of `truth`; sums and
  means are spoilt by lengths that have nothing to do with it.
  """

  def __init__(self, num_states=400, num_commands=4):
    rng = np.random.default_rng(0)
    self.truth = 2.0 * rng.normal(size=(num_states, num_commands))
    probs = np.exp(self.truth - self.truth.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    self.choice = [rng.choice(num_commands, p=p) for p in probs]
    self.nats = -np.mean(np.log(probs[np.arange(num_states), self.choice]))
    self.bytes = rng.integers(5, 40, size=self.truth.shape)
    self.tokens = rng.integers(1, 9, size=self.truth.shape)

  def demonstrations(self, make):
    return [
        calibrate.Demonstration(make(i), f"command {c}")
        for i, c in enumerate(self.choice)
    ]

  def __call__(self, prompt, contexts, commands):
    rows = []
    for context, group in zip(contexts, commands):
      if not context.startswith("State "):  # The null context of PMI.
        rows.append(_scores([-5.0] * len(group), [3] * 4, [9] * 4))
        continue
      i = int(context.split()[1])
      truth = self.truth[i] if prompt == "quest" else -self.truth[i]
      nats = PLANTED * truth * self.bytes[i]
      rows.append(_scores(nats, self.tokens[i], self.bytes[i]))
    return rows


def _scores(nats, num_tokens, num_bytes):
  """Scores whose nats are spread evenly over tokens that none shares."""
  return lm.Scores(
      [[100 * c + t for t in range(n)] for c, n in enumerate(num_tokens)],
      [np.full(n, x / n) for x, n in zip(nats, num_tokens)],
      np.array(num_bytes),
  )


@pytest.fixture(scope="module")
def planted():
  return _Planted()


@pytest.fixture
def demonstrations(planted, rooms):
  commands = tuple(f"command {i}" for i in range(4))
  return planted.demonstrations(
      lambda i: dataclasses.replace(
          rooms[0], prompt=f"State {i} .", commands=commands
      )
  )


def test_planted_way_is_found(planted, demonstrations):
  rows = calibrate.calibrate(planted, demonstrations)
  assert len(rows) == len(prompts.PROMPTS) * len(lm.METHODS)
  best = rows[0]
  assert best.scoring == language.Scoring("quest", "byte", PLANTED)
  assert best.nats == pytest.approx(planted.nats, rel=0.02)
  assert best.nats < calibrate.uniform_nats(demonstrations)
  assert [r.nats for r in rows] == sorted(r.nats for r in rows)
  # The other prompt says the opposite; no temperature turns that round.
  plain = [r for r in rows if r.scoring.prompt == "plain"]
  assert min(r.nats for r in plain) > best.nats + 0.5


def test_a_row_by_hand(demonstrations):
  pair = demonstrations[:2]
  scores = []
  for d, right in zip(pair, (True, False)):
    index = d.observation.commands.index(d.command)
    row = np.zeros(4)
    row[index if right else index - 1] = 4.0 * np.log(3.0)
    scores.append(row)
  # At temperature 4 the favourite has 3/6, the others 1/6 each.
  row = calibrate.evaluate(language.Scoring("plain", "sum", 4.0), scores, pair)
  assert row.nats == pytest.approx((np.log(2) + np.log(6)) / 2)
  assert row.top1 == 0.5
  assert row.spread == pytest.approx(np.log(3.0) * np.sqrt(3) / 4)


def test_uniform_pays_the_log_of_the_number_of_commands(rooms):
  demonstrations = [calibrate.Demonstration(r, r.commands[0]) for r in rooms]
  expected = (np.log(2) + np.log(3) + np.log(4)) / 3
  assert calibrate.uniform_nats(demonstrations) == pytest.approx(expected)


def test_nothing_to_calibrate_on_is_an_error(planted):
  with pytest.raises(ValueError, match="No demonstrations"):
    calibrate.calibrate(planted, [])


def test_configured_parts_are_kept(planted, demonstrations):
  scoring, rows = build.choose_scoring(
      PriorConfig(method="mean"), planted, demonstrations
  )
  assert {r.scoring.method for r in rows} == {"mean"}
  assert scoring == rows[0].scoring
  scoring, _ = build.choose_scoring(
      PriorConfig(temperature=0.7), planted, demonstrations
  )
  assert scoring == language.Scoring("quest", "byte", 0.7)


def test_table_shows_every_row(planted, demonstrations, capsys):
  rows = calibrate.calibrate(
      planted, demonstrations, prompt_names=("quest",), methods=("byte", "sum")
  )
  calibrate.print_table(rows, demonstrations)
  shown = capsys.readouterr().out
  assert "uniform: 1.386" in shown
  assert shown.index("byte") < shown.index("sum")
  assert f"{rows[0].nats:.3f}" in shown


def test_what_a_study_tried_is_read_back():
  root = pathlib.Path(__file__).parents[2]
  path = root / "experiments/demo/results/calibration.json"
  scoring, rows, uniform = calibrate.read(path)
  assert rows[0].scoring == scoring and len(rows) == 6 * len(lm.METHODS)
  assert rows == sorted(rows, key=lambda row: row.nats)
  assert rows[0].nats < uniform == pytest.approx(1.9385, abs=1e-4)
