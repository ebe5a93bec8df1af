"""The language prior over a fake model: arithmetic, memory and its price."""

import dataclasses

import numpy as np
import pytest

from mulearn import lm
from mulearn.prior import language, prompts


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
    context = prompts.context("plain", room.prompt)
    null = prompts.NULL_CONTEXT
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


def _assert_same_scores(one, two):
  assert one.tokens == two.tokens
  for x, y in zip(one.token_log_probs, two.token_log_probs, strict=True):
    np.testing.assert_array_equal(x, y)
  np.testing.assert_array_equal(one.num_bytes, two.num_bytes)


def _no_model():
  raise AssertionError("The model was loaded.")


def _constrained_by_hand(nats):
  """The hall's commands: first "go" or "take", then "up" or "west"."""
  up, west, shoe = (nats(c) for c in (" go up", " go west", " take shoe"))
  assert up[0] == west[0]  # The same word after the same text.
  first = np.exp([up[0], shoe[0]])
  second = np.exp([up[1], west[1]])
  first, second = first / first.sum(), second / second.sum()
  # The end of a command is all that may follow its last word.
  return np.array([first[0] * second[0], first[0] * second[1], first[1]])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_constrained_decoding_by_hand_cold_and_warm(
    raw, rooms, cache, asked, model_token_nats, temperature
):
  hall = rooms[1]
  context = prompts.context("plain", hall.prompt)
  expected = _constrained_by_hand(lambda c: model_token_nats(context, c))
  assert expected.sum() == pytest.approx(1.0) and expected.std() > 0.01
  expected = expected ** (1.0 / temperature)
  scoring = language.Scoring("plain", "constrained", temperature)
  cold = language.LanguagePrior(raw, scoring)(rooms)
  np.testing.assert_allclose(
      np.exp(cold[1]), expected / expected.sum(), rtol=1e-5
  )
  assert len(asked) == 9
  known = language.RawScores(_no_model, "fake", cache)
  warm = language.LanguagePrior(known, scoring)
  for rows in (warm(rooms), warm(rooms)):  # From the disk, and from memory.
    for x, y in zip(rows, cold, strict=True):
      np.testing.assert_array_equal(x, y)
  assert len(asked) == 9


def test_other_commands_are_other_choices(raw, rooms):
  """What may be written decides, so a command that is alone is certain."""
  prior = language.LanguagePrior(
      raw, language.Scoring("plain", "constrained", 1.0)
  )
  [many] = prior(rooms[1:2])
  [few, one] = prior(
      [
          dataclasses.replace(rooms[1], commands=commands)
          for commands in (("go up", "take shoe"), ("go west",))
      ]
  )
  # "go" is as likely as before, and "up" is now certain.
  assert np.exp(few[0]) == pytest.approx(np.exp(many[:2]).sum(), rel=1e-5)
  np.testing.assert_array_equal(one, [0.0])


def test_answers_are_kept_token_by_token(raw, rooms, cache, model_token_nats):
  """To the last bit of a float32, and ids of any vocabulary exactly."""
  contexts = [prompts.context("plain", r.prompt) for r in rooms]
  commands = [r.commands for r in rooms]
  cold = raw("plain", contexts, commands)
  known = language.RawScores(_no_model, "fake", cache)
  for x, y in zip(cold, known("plain", contexts, commands), strict=True):
    _assert_same_scores(x, y)
  for context, group, scores in zip(contexts, commands, cold):
    for i, command in enumerate(group):
      said = model_token_nats(context, prompts.candidate(command))
      np.testing.assert_array_equal(scores.token_log_probs[i], said)
      assert len(scores.tokens[i]) == len(said)
      assert scores.num_bytes[i] == len(command) + 2
      assert all(isinstance(token, int) for token in scores.tokens[i])
  largest = [2**24 - 1, 262_143, 2**24 - 2]
  answer = np.array([7.0, 9.0, *largest, -0.1, -0.2, -0.3], np.float32)
  scores = language._scores([answer])
  assert scores.tokens == [largest]
  np.testing.assert_array_equal(scores.token_log_probs[0], answer[5:])
  assert scores.num_bytes.tolist() == [9]


def test_a_prompt_that_shows_less_asks_less(raw, rooms, asked):
  """Moments that differ in what is not shown are one question."""
  group = [
      dataclasses.replace(rooms[0], prompt=f"{place}\nYou carry: hat.")
      for place in ("You are in the attic.", "You are in the hall.")
  ]
  for name, questions in (("housekeeper", 1), ("plain", 2)):
    asked.clear()
    prior = language.LanguagePrior(raw, language.Scoring(name, "mean", 1.0))
    prior(group)
    assert len({context for context, _ in asked}) == questions
  assert all("You are in" in context for context, _ in asked)


def test_every_question_is_asked_once(raw, rooms, asked):
  contexts = [prompts.context("plain", r.prompt) for r in rooms]
  commands = [r.commands for r in rooms]
  first = raw("plain", contexts + contexts, commands + commands)
  assert len(asked) == len(set(asked)) == 9
  again = raw("plain", contexts, commands)
  assert len(asked) == 9
  for x, y in zip(first, again):
    _assert_same_scores(x, y)
  raw("quest", contexts[:1], commands[:1])  # Another prompt: other questions.
  assert len(asked) == 11


def _tokens(rooms):
  """Tokens of each context, and of each command with its boundary."""
  return sum(
      len(prompts.context("plain", r.prompt).split())
      + sum(len(c.split()) + 1 for c in r.commands)
      for r in rooms
  )


def test_known_answers_need_no_model_and_cost_the_same(
    raw, rooms, cache, asked
):
  prior = language.LanguagePrior(raw, language.Scoring("plain", "mean", 1.0))
  expected = prior(rooms)
  assert prior.num_tokens == _tokens(rooms)
  known = language.RawScores(_no_model, "fake", cache)
  warm = language.LanguagePrior(known, language.Scoring("plain", "mean", 1.0))
  for seen in (rooms[:2], rooms, rooms):  # Some of them again.
    rows = warm(seen)
  for x, y in zip(rows, expected):
    np.testing.assert_array_equal(x, y)
  assert warm.num_tokens == prior.num_tokens
  assert len(asked) == 9
  # Another model's answers are not this one's.
  with pytest.raises(AssertionError, match="was loaded"):
    language.RawScores(_no_model, "other", cache)(
        "plain", ["You are."], [("go",)]
    )


def test_same_text_with_other_commands_is_another_question(
    raw, rooms, model_nats
):
  """Two moments may read alike and still offer different commands."""
  less = dataclasses.replace(rooms[2], commands=rooms[2].commands[:2])
  other = dataclasses.replace(rooms[2], commands=("sing", "take lamp"))
  group = [rooms[2], less, other, rooms[2]]
  context = prompts.context("plain", rooms[2].prompt)
  answers = raw("plain", [context] * 4, [o.commands for o in group])
  for o, scores in zip(group, answers):
    expected = [model_nats(context, prompts.candidate(c)) for c in o.commands]
    np.testing.assert_allclose(scores.log_prob, expected)


def test_unknown_prompt_is_named(raw):
  with pytest.raises(ValueError, match="'poem'.*'plain'"):
    raw("poem", ["x"], [("go",)])


def test_unknown_method_is_named(raw, rooms):
  prior = language.LanguagePrior(raw, language.Scoring("plain", "median", 1.0))
  with pytest.raises(ValueError, match="'median'.*half_pmi"):
    prior(rooms)


@pytest.fixture(scope="module")
def smollm2():
  return lm.load("smollm2-135m")


@pytest.mark.parametrize("method", ["mean", "constrained"])
def test_real_model_agrees_with_its_own_scorer(smollm2, cache, rooms, method):
  raw = language.RawScores(lambda: smollm2, "real", cache)
  scoring = language.Scoring("plain", method, 1.0)
  [row] = language.LanguagePrior(raw, scoring)(rooms[2:])
  [expected] = lm.score(
      smollm2,
      [prompts.context("plain", rooms[2].prompt)],
      [[prompts.candidate(c) for c in rooms[2].commands]],
      method=method,
      prefix=prompts.prefix("plain"),
  )
  np.testing.assert_allclose(row, language.log_softmax(expected), atol=1e-4)
  assert np.exp(row).sum() == pytest.approx(1.0, rel=1e-5)
  known = language.RawScores(_no_model, "real", cache)
  [warm] = language.LanguagePrior(known, scoring)(rooms[2:])
  np.testing.assert_array_equal(warm, row)
