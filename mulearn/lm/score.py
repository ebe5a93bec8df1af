"""Log-probabilities of candidate continuations of many contexts.

The shared prefix is computed once, each context once, and the candidates of a
context share one token trie behind it (see `pack.py`); only the positions
after which something is predicted meet the vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mulearn.lm import forward, pack
from mulearn.lm.model import LanguageModel

METHODS = ("constrained", "mean", "sum", "pmi", "half_pmi", "byte")
PMI_METHODS = ("pmi", "half_pmi")  # These ask an uninformative context too.

# Where a context and its candidates are longer, the candidates are split.
_SEGMENT = 256


class Scores(NamedTuple):
  """What a model says about the A candidates of one context.

  Attributes:
    tokens: of each candidate and the boundary, A lists of int.
    token_log_probs: nats of each of these tokens, A float64 vectors.
    num_bytes: `[A]`, int, UTF-8 bytes of the candidate and the boundary.
  """

  tokens: list[list[int]]
  token_log_probs: list[np.ndarray]
  num_bytes: np.ndarray

  @property
  def log_prob(self) -> np.ndarray:
    """Nats of all tokens of each candidate, `[A]`, float64."""
    return np.array([row.sum() for row in self.token_log_probs])

  @property
  def num_tokens(self) -> np.ndarray:
    """Tokens of each candidate, boundary included, `[A]`."""
    return np.array([len(row) for row in self.tokens])


def constrained(
    tokens: Sequence[Sequence[int]], token_log_probs: Sequence[np.ndarray]
) -> np.ndarray:
  """Log-probability of each candidate if decoding may write nothing else.

  At each token the model's distribution is renormalised over those with which
  some candidate goes on, so a candidate pays for its choices and not for the
  spelling of what has been decided: the local normalisation of constrained
  decoding (Geng et al. 2023, "Grammar-constrained decoding for structured NLP
  tasks without finetuning", https://arxiv.org/abs/2305.13971).

  Args:
    tokens: of each candidate, its boundary included.
    token_log_probs: nats of these tokens.

  Returns:
    Nats `[A]`; over distinct candidates, none a prefix of another, their
    exponentials sum to 1.
  """
  choices: dict[tuple[int, ...], dict[int, float]] = {}
  for ids, values in zip(tokens, token_log_probs):
    for i, (token, value) in enumerate(zip(ids, values)):
      choices.setdefault(tuple(ids[:i]), {})[token] = value
  totals = {
      start: np.logaddexp.reduce(list(options.values()))
      for start, options in choices.items()
  }
  return np.array([
      sum(v - totals[tuple(ids[:i])] for i, v in enumerate(values))
      for ids, values in zip(tokens, token_log_probs)
  ])  # fmt: skip


def normalise(method: str, scores: Scores, null: np.ndarray) -> np.ndarray:
  """Turns the log-probabilities of tokens into one score a candidate.

  With `s` the log-probability of a candidate's own tokens and boundary: sum is
  `s`, mean `s / tokens`, byte `s / bytes`, and pmi and half_pmi subtract all or
  half of `s` in an uninformative context (Holtzman et al. 2021, "Surface form
  competition", https://arxiv.org/abs/2104.08315); see `constrained` for the
  last.

  Args:
    method: one of `METHODS`.
    scores: of the A candidates of a context.
    null: nats in the uninformative context, `[A]`; only PMI reads it.

  Returns:
    Scores `[A]`, in nats.

  Raises:
    ValueError: if there is no such method.
  """
  match method:
    case "constrained":
      return constrained(scores.tokens, scores.token_log_probs)
    case "sum":
      return scores.log_prob
    case "mean":
      return scores.log_prob / scores.num_tokens
    case "byte":
      return scores.log_prob / scores.num_bytes
    case "pmi":
      return scores.log_prob - null
    case "half_pmi":
      return scores.log_prob - 0.5 * null
  raise ValueError(f"No scoring method {method!r}; there are {METHODS}.")


class _Job(NamedTuple):
  """Some candidates of one context, packed as one segment."""

  context: int
  texts: list[str]
  segment: pack.Segment
  paths: list[list[int]]


class Scorer:
  """Scores candidates after contexts that begin alike."""

  def __init__(
      self, model: LanguageModel, prefix: str = "", max_context: int = 1024
  ):
    """Computes the keys and values of the prefix.

    Args:
      model: the language model.
      prefix: text before every context, tokenised by itself. Without one the
        token that separates documents stands before a context.
      max_context: longest context in tokens; of a longer one only the last so
        many count.
    """
    longest = pack.SHAPES[-1][1] // 2
    if not 0 <= max_context <= longest:
      raise ValueError(
          f"max_context={max_context} is not between 0 and {longest}."
      )
    self.model = model
    self.max_context = max_context
    tokenizer = model.tokenizer
    tokens = tokenizer.start_ids + tokenizer.encode(prefix)
    tokens = tokens or [tokenizer.end_id]
    # The last token is computed with each context, so that there is always a
    # token that predicts a candidate's first one.
    self._cache = forward.compute_prefix(model.params, tokens[:-1])
    self._last = tokens[-1:]

  def __call__(
      self,
      contexts: Sequence[str],
      candidates: Sequence[Sequence[str]],
      boundary: str = "\n",
  ) -> list[Scores]:
    """Scores every candidate of every context.

    Each candidate is tokenised by itself (give it its leading space) and ends
    with the boundary, so that "go" is not a prefix of "go north".

    Args:
      contexts: one text for each state, tokenised by itself.
      candidates: for each context, its candidate texts.
      boundary: the text that ends a candidate; one or more tokens.

    Returns:
      For each context, the scores of its candidates in the order given.

    Raises:
      ValueError: the arguments do not match, or a candidate is too long.
    """
    if len(contexts) != len(candidates):
      raise ValueError(
          f"{len(contexts)} contexts but {len(candidates)} lists of candidates;"
          " give one list for each context."
      )
    if not boundary:
      raise ValueError(
          "boundary is empty; give the text that ends a candidate."
      )
    encode = self.model.tokenizer.encode
    ending = encode(boundary)
    distinct = sorted({text for group in candidates for text in group})
    tokens = {text: encode(text) + ending for text in distinct}
    jobs = self._jobs(contexts, candidates, tokens)
    results = self._log_probs(jobs, tokens)
    sizes = {text: len((text + boundary).encode()) for text in distinct}
    return [
        Scores(
            [tokens[text] for text in group],
            [results[i, text] for text in group],
            np.array([sizes[text] for text in group], np.int64),
        )
        for i, group in enumerate(candidates)
    ]

  def _jobs(
      self,
      contexts: Sequence[str],
      candidates: Sequence[Sequence[str]],
      tokens: dict[str, list[int]],
  ) -> list[_Job]:
    jobs = []
    for i, (context, group) in enumerate(zip(contexts, candidates)):
      ids = self.model.tokenizer.encode(context)
      ids = self._last + ids[max(0, len(ids) - self.max_context) :]
      for texts in _split(len(ids), group, tokens):
        built = pack.trie(ids, [tokens[text] for text in texts])
        jobs.append(_Job(i, texts, *built))
    return jobs

  def _log_probs(
      self, jobs: list[_Job], tokens: dict[str, list[int]]
  ) -> dict[tuple[int, str], np.ndarray]:
    """Returns the nats of every token of each (context, candidate)."""
    params = self.model.params
    # All batches are under way before the first result is waited for.
    batches = [
        (batch, forward.hidden_states(params, *batch[:3], self._cache))
        for batch in pack.pack([job.segment for job in jobs])
    ]
    rows, row_of, targets, owners, count = [], [], [], [], 0
    for batch, hidden in batches:
      index: dict[int, int] = {}
      for j, offset in batch.places:
        for text, path in zip(jobs[j].texts, jobs[j].paths):
          for node, target in zip(path, tokens[text]):
            row = index.setdefault(offset + node, len(index))
            row_of.append(count + row)
            targets.append(target)
          owners.append((jobs[j].context, text))
      rows.append(np.asarray(hidden)[list(index)])
      count += len(index)
    if not owners:
      return {}
    values = forward.predictions(params, np.concatenate(rows), row_of, targets)
    ends = np.cumsum([len(tokens[text]) for _, text in owners])
    parts = np.split(values, ends[:-1])
    return {o: part.astype(np.float64) for o, part in zip(owners, parts)}


def score(
    model: LanguageModel,
    contexts: Sequence[str],
    candidates: Sequence[Sequence[str]],
    method: str = "mean",
    prefix: str = "",
    null_context: str = "",
    boundary: str = "\n",
) -> list[np.ndarray]:
  """Scores candidates by one of the methods of `normalise`.

  Args:
    model: the language model.
    contexts: one text for each state.
    candidates: for each context, its candidate texts.
    method: one of `METHODS`.
    prefix: text before every context, computed once.
    null_context: the uninformative context of the PMI methods, after the same
      prefix.
    boundary: the text that ends a candidate.

  Returns:
    For each context the `[A]` float64 scores of its candidates, in nats.

  Raises:
    ValueError: the method is unknown, or see `Scorer.__call__`.
  """
  if method not in METHODS:  # Said before the model is asked.
    raise ValueError(f"No scoring method {method!r}; there are {METHODS}.")
  scorer = Scorer(model, prefix)
  scores = scorer(contexts, candidates, boundary)
  texts = sorted({text for group in candidates for text in group})
  null = dict.fromkeys(texts, 0.0)
  if method in PMI_METHODS:
    [answer] = scorer([null_context], [texts], boundary)
    null = dict(zip(texts, answer.log_prob))
  return [
      normalise(method, s, np.array([null[text] for text in group]))
      for s, group in zip(scores, candidates)
  ]


def _split(
    context_length: int,
    candidates: Sequence[str],
    tokens: dict[str, list[int]],
) -> list[list[str]]:
  """Splits a context's candidates into tries of a moderate size.

  Neighbours in sorted order share most, so they stay together; a long context
  is worth sharing by more candidates.
  """
  limit = max(_SEGMENT - context_length, context_length // 2, 32)
  groups: list[list[str]] = []
  size = limit
  for text in sorted(set(candidates)):
    size += len(tokens[text])
    if size > limit:
      groups.append([])
      size = len(tokens[text])
    groups[-1].append(text)
  return groups
