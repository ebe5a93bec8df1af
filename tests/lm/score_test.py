"""Scores: packed tries against plain sequences, and what changes nothing."""

import jax
import numpy as np
import pytest

from mulearn import lm

CONTEXTS = ["in the kitchen\n> ", "", "ニャー 42\n", "put"]
CANDIDATES = [
    ["go", "go north", "put sock in box", "put sock in bin", "put sock"],
    ["go", "a"],
    ["x" * 40],
    [" put", "put", " go", "\n"],
]
PREFIX = "a transcript:\n> go\n"


def plain(model, prefix, context, candidate, boundary):
  """Log-probability by one full forward pass without any sharing."""
  encode = model.tokenizer.encode
  start = (encode(prefix) or [model.tokenizer.end_id]) + encode(context)
  end = encode(candidate) + encode(boundary)
  tokens = np.zeros((1, 96), np.int32)
  tokens[0, : len(start) + len(end)] = start + end
  log_probs = jax.nn.log_softmax(lm.logits(model, tokens))[0]
  return sum(
      float(log_probs[len(start) - 1 + i, token]) for i, token in enumerate(end)
  )


def expected(model, prefix, boundary="\n"):
  return [
      [plain(model, prefix, context, c, boundary) for c in group]
      for context, group in zip(CONTEXTS, CANDIDATES)
  ]


def log_probs(scores):
  return np.concatenate([s.log_prob for s in scores])


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize("boundary", ["\n", " .\n"])
def test_tries_equal_plain_sequences(tiny, prefix, boundary):
  scores = lm.Scorer(tiny, prefix)(CONTEXTS, CANDIDATES, boundary)
  wanted = np.concatenate(expected(tiny, prefix, boundary))
  np.testing.assert_allclose(log_probs(scores), wanted, atol=1e-4)


def test_tries_equal_plain_sequences_in_the_real_model(smollm2):
  prefix = "You are in a house. Put things where they belong.\n"
  context = "You are in the kitchen. You carry a dirty sock.\n>"
  candidates = [" go", " go north", " put dirty sock in washing machine"]
  (scores,) = lm.Scorer(smollm2, prefix)([context], [candidates])
  wanted = [plain(smollm2, prefix, context, c, "\n") for c in candidates]
  np.testing.assert_allclose(scores.log_prob, wanted, atol=1e-4)


def test_counts(tiny):
  scores = lm.Scorer(tiny)(CONTEXTS, CANDIDATES)
  # "go" is one token, " north" six bytes; the boundary counts.
  assert scores[0].num_tokens[:2].tolist() == [2, 8]
  assert scores[0].num_bytes[:2].tolist() == [3, 9]
  (japanese,) = lm.Scorer(tiny)([""], [["猫"]])
  assert japanese.num_bytes.tolist() == [4]


def test_order_changes_nothing(tiny):
  scorer = lm.Scorer(tiny, PREFIX)
  scores = scorer(CONTEXTS, CANDIDATES)
  backward = scorer(CONTEXTS[::-1], [c[::-1] for c in CANDIDATES[::-1]])
  for one, other in zip(scores, backward[::-1]):
    np.testing.assert_allclose(one.log_prob, other.log_prob[::-1], atol=1e-5)


def test_company_changes_nothing(tiny):
  scorer = lm.Scorer(tiny, PREFIX)
  together = scorer(CONTEXTS * 9, CANDIDATES * 9)
  for i, (context, group) in enumerate(zip(CONTEXTS, CANDIDATES)):
    (alone,) = scorer([context], [group])
    for copy in together[i :: len(CONTEXTS)]:
      np.testing.assert_allclose(copy.log_prob, alone.log_prob, atol=1e-5)


def test_a_prefix_is_only_an_optimisation(tiny):
  # The prefix ends in a newline, where the tokenizer splits anyway.
  shared = lm.Scorer(tiny, PREFIX)(CONTEXTS, CANDIDATES)
  first = lm.Scorer(tiny, PREFIX[:1])
  longer = first([PREFIX[1:] + context for context in CONTEXTS], CANDIDATES)
  np.testing.assert_allclose(log_probs(shared), log_probs(longer), atol=1e-4)


def test_boundary_makes_candidates_exclusive(tiny):
  # Of all one-token continuations, "ends here" and "goes on" sum to one.
  scorer = lm.Scorer(tiny)
  tokens = [tiny.tokenizer.decode([i]) for i in range(2, 261)]
  ascii_tokens = [t for t in tokens if len(t) == 1 and t.isascii()]
  (scores,) = scorer(["go"], [[t for t in ascii_tokens]])
  assert np.exp(scores.log_prob).sum() < 1
  go, north = scorer([""], [["go", "go north"]])[0].log_prob
  assert np.exp(go) + np.exp(north) < 1


def test_many_candidates_are_split(tiny):
  candidates = [f"go {i:04d}" for i in range(150)]
  (scores,) = lm.Scorer(tiny)(["in"], [candidates])
  for i in (0, 77, 149):
    wanted = plain(tiny, "", "in", candidates[i], "\n")
    np.testing.assert_allclose(scores.log_prob[i], wanted, atol=1e-4)


def test_repeated_and_absent_candidates(tiny):
  scores = lm.Scorer(tiny)(["a", "b"], [["go", "go"], []])
  assert scores[0].log_prob[0] == scores[0].log_prob[1]
  assert scores[1].log_prob.shape == (0,)
  assert not lm.Scorer(tiny)([], [])


def test_of_a_long_context_the_end_counts(tiny):
  scorer = lm.Scorer(tiny, max_context=8)
  long, short = scorer(["zzzz" * 30 + "abcdefgh", "abcdefgh"], [["go"]] * 2)
  np.testing.assert_allclose(long.log_prob, short.log_prob, atol=1e-5)


def test_methods(tiny):
  arguments = (tiny, CONTEXTS, CANDIDATES)
  raw = lm.Scorer(tiny, PREFIX)(CONTEXTS, CANDIDATES)
  null = lm.Scorer(tiny, PREFIX)(["?"] * 4, CANDIDATES)
  wanted = {
      "constrained": [lm.constrained(s.tokens, s.token_log_probs) for s in raw],
      "sum": [s.log_prob for s in raw],
      "mean": [s.log_prob / s.num_tokens for s in raw],
      "byte": [s.log_prob / s.num_bytes for s in raw],
      "pmi": [s.log_prob - n.log_prob for s, n in zip(raw, null)],
      "half_pmi": [s.log_prob - n.log_prob / 2 for s, n in zip(raw, null)],
  }
  assert set(wanted) == set(lm.METHODS)
  for method, values in wanted.items():
    scores = lm.score(*arguments, method, prefix=PREFIX, null_context="?")
    for one, other in zip(scores, values):
      np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    "method, expected",
    [
        ("sum", [-6.0, -2.0]),
        ("mean", [-2.0, -2.0]),
        ("byte", [-0.5, -0.25]),
        ("pmi", [-2.0, -1.0]),
        ("half_pmi", [-4.0, -1.5]),
        # One choice, at the first token, of e^-1 against e^-2.
        ("constrained", [-0.31326169, -1.31326169]),
    ],
)
def test_methods_by_hand(method, expected):
  assert method in lm.METHODS
  scores = lm.Scores(
      [[1, 2, 9], [9]],
      [np.array([-1.0, -2.0, -3.0]), np.array([-2.0])],
      np.array([12, 8]),
  )
  null = np.array([-4.0, -1.0])
  np.testing.assert_allclose(lm.normalise(method, scores, null), expected)


def test_unknown_method_is_named():
  scores = lm.Scores([[1]], [np.array([-1.0])], np.array([1]))
  with pytest.raises(ValueError, match="'median'.*constrained.*half_pmi"):
    lm.normalise("median", scores, np.zeros(1))


def test_wrong_arguments(tiny):
  scorer = lm.Scorer(tiny)
  with pytest.raises(ValueError, match="2 contexts but 1"):
    scorer(["a", "b"], [["go"]])
  with pytest.raises(ValueError, match="boundary"):
    scorer(["a"], [["go"]], boundary="")
  with pytest.raises(ValueError, match="'median'"):
    lm.score(tiny, ["a"], [["go"]], method="median")
  with pytest.raises(ValueError, match="max_context"):
    lm.Scorer(tiny, max_context=10**6)
  with pytest.raises(ValueError, match="shorten"):
    scorer(["a"], [["go " * 2000]])


def test_constrained_decoding_pays_for_choices_alone():
  # Two ways out of the first token; the second token of the last is forced.
  tokens = [[1, 2, 9], [1, 3, 9], [4, 5, 9]]
  values = [np.log([0.2, 0.1, 0.5]), np.log([0.2, 0.3, 0.5]),
            np.log([0.6, 0.01, 0.01])]  # fmt: skip
  result = np.exp(lm.constrained(tokens, values))
  np.testing.assert_allclose(result, [0.0625, 0.1875, 0.75], rtol=1e-12)


def test_constrained_scores_are_a_distribution(tiny):
  rows = lm.score(tiny, CONTEXTS, CANDIDATES, method="constrained")
  for row, group in zip(rows, CANDIDATES):
    assert len(row) == len(group)
    distinct = dict(zip(group, row))
    np.testing.assert_allclose(np.exp(list(distinct.values())).sum(), 1.0)
