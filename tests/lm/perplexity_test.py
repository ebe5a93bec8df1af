"""The trainer's log-probabilities are the scorer's and those of full passes."""

import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import perplexity, text_data

CONTEXTS = ["in the kitchen\n> ", "put", "ニャー 42\n"]
ANSWERS = ["go north", " sock", "x"]


def rows_of(model, length):
  examples = [
      {"prompt": context, "completion": answer + "\n"}
      for context, answer in zip(CONTEXTS, ANSWERS)
  ]
  (encoded,) = zip(*(text_data.encode(model.tokenizer, e) for e in examples))
  # A scorer puts the separator before a context, and ends at the boundary.
  start = [model.tokenizer.start_id]
  encoded = [
      text_data.Encoded(start + e.tokens[:-1], [False] + e.learnt[:-1])
      for e in encoded
  ]
  return text_data.pack(encoded, length)


@pytest.mark.parametrize("scan", [False, True])
def test_trainer_and_scorer_agree(tiny, scan):
  rows = rows_of(tiny, 64)
  assert len(rows.tokens) == 1  # They share a row.
  found = perplexity.log_probs(tiny.params, rows, scan=scan) * rows.weights
  scores = lm.Scorer(tiny)(CONTEXTS, [[answer] for answer in ANSWERS])
  for i, score in enumerate(scores, 1):
    mine = float(found[rows.segments == i].sum())
    np.testing.assert_allclose(mine, score.log_prob[0], atol=1e-4)


def test_they_agree_in_the_real_model(smollm2):
  rows = rows_of(smollm2, 64)
  found = perplexity.log_probs(smollm2.params, rows) * rows.weights
  scores = lm.Scorer(smollm2)(CONTEXTS, [[answer] for answer in ANSWERS])
  wanted = sum(score.log_prob[0] for score in scores)
  np.testing.assert_allclose(float(found.sum()), wanted, atol=1e-4)


def test_perplexity_by_full_passes(tiny):
  texts = ["put the sock in the box", "go", "north " * 6]
  nats, count = 0.0, 0
  for text in texts:
    ids = tiny.tokenizer.encode(text) + [tiny.tokenizer.end_id]
    row = np.array([[tiny.tokenizer.start_id] + ids])
    log_probs = jax.nn.log_softmax(lm.logits(tiny, row))[0]
    nats -= sum(float(log_probs[i, t]) for i, t in enumerate(ids))
    count += len(ids)
  for length, batch_size in ((64, 1), (48, 4), (67, 2)):
    found = perplexity.evaluate(
        tiny, texts, length=length, batch_size=batch_size
    )
    assert found.num_tokens == count
    np.testing.assert_allclose(found.nats, nats / count, atol=1e-5)
  np.testing.assert_allclose(found.perplexity, np.exp(nats / count), rtol=1e-4)


def test_company_changes_nothing(tiny):
  alone = perplexity.evaluate(tiny, ["put the sock in"], length=32)
  together = perplexity.evaluate(
      tiny,
      [
          {"prompt": "north " * 4, "completion": ""},
          {"prompt": "", "completion": "put the sock in"},
      ],
      length=64,
  )
  # The first has only its end to learn; take it out.
  end = perplexity.evaluate(
      tiny, [{"prompt": "north " * 4, "completion": ""}], length=64
  )
  rest = together.nats * together.num_tokens - end.nats
  np.testing.assert_allclose(rest, alone.nats * alone.num_tokens, atol=1e-4)
