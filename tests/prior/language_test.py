"""The language prior over a fake model: arithmetic, memory and its price."""

import dataclasses

import numpy as np
import pytest

from mulearn import lm
from mulearn.prior import language, prompts

ROW = np.array([[-6.0, 3.0, 12.0], [-2.0, 1.0, 8.0]])
NULL = np.array([-4.0, -1.0])


@pytest.mark.parametrize(
    "method, expected",
    [
        ("sum", [-6.0, -2.0]),
        ("mean", [-2.0, -2.0]),
        ("byte", [-0.5, -0.25]),
        ("pmi", [-2.0, -1.0]),
        ("half_pmi", [-4.0, -1.5]),
    ],
)
def test_methods_by_hand(method, expected):
  assert method in language.METHODS
  np.testing.assert_allclose(language.normalise(method, ROW, NULL), expected)


def test_unknown_method_is_named():
  with pytest.raises(ValueError, match="'median'.*half_pmi"):
    language.normalise("median", ROW, NULL)


def test_log_softmax_is_normalised_and_safe():
  log_probs = language.log_softmax(np.array([1000.0, 999.0, -5000.0]))
  np.testing.assert_allclose(np.exp(log_probs).sum(), 1.0)
  assert log_probs[0] - log_probs[1] == pytest.approx(1.0)


def test_prior_is_the_softmax_of_its_method(raw, rooms, model_nats):
  prior = language.LanguagePrior(
      raw, language.Scoring("plain", "half_pmi", 2.0)
  )
  rows = prior(rooms)
  for room, row in zip(rooms, rows):
    context, null = prompts.context(room.prompt), prompts.NULL_CONTEXT
    candidates = [prompts.candidate(c) for c in room.commands]
    scores = np.array(
        [model_nats(context, c) - 0.5 * model_nats(null, c) for c in candidates]
    )
    expected = np.exp(scores / 2.0) / np.exp(scores / 2.0).sum()
    np.testing.assert_allclose(np.exp(row), expected, rtol=1e-5)
    assert row.dtype == np.float32 and len(row) == len(room.commands)


def test_order_of_commands_and_of_observations_does_not_matter(raw, rooms):
  prior = language.LanguagePrior(raw, language.Scoring("plain", "mean", 1.0))
  rows = prior(rooms)
  turned = [
      dataclasses.replace(r, commands=r.commands[::-1]) for r in rooms[::-1]
  ]
  for row, back in zip(rows, prior(turned)[::-1]):
    np.testing.assert_allclose(row, back[::-1], rtol=1e-6)


def test_every_question_is_asked_once(raw, rooms, asked):
  contexts = [prompts.context(r.prompt) for r in rooms]
  commands = [r.commands for r in rooms]
  first = raw("plain", contexts + contexts, commands + commands)
  assert len(asked) == len(set(asked)) == 9
  again = raw("plain", contexts, commands)
  assert len(asked) == 9
  for x, y in zip(first, again):
    np.testing.assert_array_equal(x, y)
  raw("quest", contexts[:1], commands[:1])  # Another prompt: other questions.
  assert len(asked) == 11


def _tokens(rooms):
  """Tokens of each context, and of each command with its boundary."""
  return sum(
      len(prompts.context(r.prompt).split())
      + sum(len(c.split()) + 1 for c in r.commands)
      for r in rooms
  )


def test_known_answers_need_no_model_and_cost_the_same(
    raw, rooms, cache, asked
):
  prior = language.LanguagePrior(raw, language.Scoring("plain", "mean", 1.0))
  expected = prior(rooms)
  assert prior.num_tokens == _tokens(rooms)

  def load():
    raise AssertionError("The model was loaded.")

  known = language.RawScores(load, "fake", cache)
  warm = language.LanguagePrior(known, language.Scoring("plain", "mean", 1.0))
  for seen in (rooms[:2], rooms, rooms):  # Some of them again.
    rows = warm(seen)
  for x, y in zip(rows, expected):
    np.testing.assert_array_equal(x, y)
  assert warm.num_tokens == prior.num_tokens
  assert len(asked) == 9
  # Another model's answers are not this one's.
  with pytest.raises(AssertionError, match="was loaded"):
    language.RawScores(load, "other", cache)("plain", ["You are."], [("go",)])


def test_same_text_with_other_commands_is_another_question(
    raw, rooms, model_nats
):
  """Two moments may read alike and still offer different commands."""
  less = dataclasses.replace(rooms[2], commands=rooms[2].commands[:2])
  other = dataclasses.replace(rooms[2], commands=("sing", "take lamp"))
  group = [rooms[2], less, other, rooms[2]]
  context = prompts.context(rooms[2].prompt)
  answers = raw("plain", [context] * 4, [o.commands for o in group])
  for o, rows in zip(group, answers):
    expected = [model_nats(context, prompts.candidate(c)) for c in o.commands]
    np.testing.assert_allclose(rows[:, 0], expected)


def test_unknown_prompt_is_named(raw):
  with pytest.raises(ValueError, match="'poem'.*'plain'"):
    raw("poem", ["x"], [("go",)])


def test_real_model_agrees_with_its_own_scorer(cache, rooms):
  raw = language.RawScores(lambda: lm.load("smollm2-135m"), "real", cache)
  prior = language.LanguagePrior(raw, language.Scoring("plain", "mean", 1.0))
  [row] = prior(rooms[2:])
  [expected] = lm.score(
      lm.load("smollm2-135m"),
      [prompts.context(rooms[2].prompt)],
      [[prompts.candidate(c) for c in rooms[2].commands]],
      method="mean",
      prefix=prompts.prefix("plain"),
  )
  np.testing.assert_allclose(row, language.log_softmax(expected), atol=1e-4)
  assert np.exp(row).sum() == pytest.approx(1.0, rel=1e-5)
