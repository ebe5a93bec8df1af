"""A language model's opinion of the admissible commands."""

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from mulearn import lm
from mulearn.env.base import TextObservation
from mulearn.prior import prompts
from mulearn.prior.cache import Cache, digest

METHODS = ("mean", "half_pmi", "pmi", "sum", "byte")


@dataclasses.dataclass(frozen=True)
class Scoring:
  """How raw log-probabilities become a distribution over commands.

  Attributes:
    prompt: a name in `prompts.PROMPTS`.
    method: mean (nats a token), sum, byte (nats a byte), pmi or half_pmi; see
      `normalise`.
    temperature: of the softmax over the method's scores.
  """

  prompt: str
  method: str
  temperature: float


class RawScores:
  """Asks a language model about commands, and remembers every answer on disk.

  Attributes:
    num_tokens: tokens of all distinct questions so far, whether the cache knew
      the answers or not: what a run costs on an empty cache.
  """

  def __init__(self, load, name: str, cache: Cache):
    """Does not load the model before the first question the cache can't answer.

    Args:
      load: () -> `lm.LanguageModel`, called at most once.
      name: what identifies model and number format in the cache.
      cache: the answers.
    """
    self._load = functools.cache(load)
    self._name = name
    self._cache = cache
    self._scorers: dict[str, lm.Scorer] = {}
    self._memory: dict[bytes, np.ndarray] = {}
    self.num_tokens = 0

  def __call__(
      self,
      prompt: str,
      contexts: Sequence[str],
      commands: Sequence[Sequence[str]],
  ) -> list[np.ndarray]:
    """Scores every command of every context.

    Args:
      prompt: a name in `prompts.PROMPTS`.
      contexts: one text an observation, ending with the cue.
      commands: of each observation.

    Returns:
      For each context `[A, 3]`: nats of the command and its boundary, the
      number of tokens, and the number of bytes.
    """
    prefix = prompts.prefix(prompt)
    keys = [
        [digest(self._name, prefix, context, command) for command in group]
        for context, group in zip(contexts, commands)
    ]
    new = {
        (contexts[i], tuple(commands[i])): i
        for i, group in enumerate(keys)
        if any(key not in self._memory for key in group)
    }
    if new:
      known = self._cache.get([key for i in new.values() for key in keys[i]])
      missing = [
          i
          for i in new.values()
          if any(
              key not in known and key not in self._memory for key in keys[i]
          )
      ]
      known |= self._ask(prefix, contexts, commands, keys, missing)
      for i in new.values():
        rows = {k: known[k] for k in keys[i] if k not in self._memory}
        if rows:  # Else a longer list of the same context held them all.
          row = next(iter(rows.values()))
          self.num_tokens += int(sum(r[1] for r in rows.values()) + row[3])
          self._memory.update(rows)
    return [
        np.array([self._memory[key] for key in group])[:, :3] for group in keys
    ]

  def _ask(self, prefix, contexts, commands, keys, indices):
    """Answers `[nats, tokens, bytes, context tokens]` by key, now on disk."""
    if not indices:
      return {}
    if prefix not in self._scorers:
      self._scorers[prefix] = lm.Scorer(self._load(), prefix)
    scorer = self._scorers[prefix]
    scores = scorer(
        [contexts[i] for i in indices],
        [[prompts.candidate(c) for c in commands[i]] for i in indices],
    )
    answers = {}
    for i, score in zip(indices, scores):
      length = len(scorer.model.tokenizer.encode(contexts[i]))
      rows = np.stack([*score, np.full(len(keys[i]), length)], axis=1)
      answers.update(zip(keys[i], rows.astype(np.float32)))
    self._cache.put(answers)
    return answers


class LanguagePrior:
  """The calibrated language prior; see `prior.base.Prior`."""

  def __init__(self, raw: RawScores, scoring: Scoring):
    """Answers with `raw`, normalised by `scoring`."""
    self._raw = raw
    self._scoring = scoring

  @property
  def num_tokens(self) -> int:
    """Tokens that the language model has read so far."""
    return self._raw.num_tokens

  def __call__(
      self, observations: Sequence[TextObservation]
  ) -> list[np.ndarray]:
    """See `prior.base.Prior`."""
    scores = method_scores(
        self._raw,
        self._scoring.prompt,
        self._scoring.method,
        [o.prompt for o in observations],
        [o.commands for o in observations],
    )
    return [
        log_softmax(row / self._scoring.temperature).astype(np.float32)
        for row in scores
    ]


def method_scores(
    raw: RawScores,
    prompt: str,
    method: str,
    observation_prompts: Sequence[str],
    commands: Sequence[Sequence[str]],
) -> list[np.ndarray]:
  """One score `[A]` an observation, before the temperature.

  Raises:
    ValueError: if there is no such method.
  """
  contexts = [prompts.context(p) for p in observation_prompts]
  rows = raw(prompt, contexts, commands)
  nulls: list[np.ndarray] = [np.zeros(())] * len(rows)
  if method in ("pmi", "half_pmi"):
    distinct = sorted({c for group in commands for c in group})
    [answers] = raw(prompt, [prompts.NULL_CONTEXT], [distinct])
    null_of = dict(zip(distinct, answers[:, 0]))
    nulls = [np.array([null_of[c] for c in group]) for group in commands]
  return [normalise(method, row, null) for row, null in zip(rows, nulls)]


def normalise(method: str, row: np.ndarray, null: np.ndarray) -> np.ndarray:
  """Turns `[A, 3]` raw scores into one score a command.

  With `s` the log-probability of a command's own tokens and boundary: sum is
  `s`, mean `s / tokens`, byte `s / bytes`, and pmi and half_pmi subtract all or
  half of `s` in an uninformative context (Holtzman et al. 2021, "Surface form
  competition", https://arxiv.org/abs/2104.08315).

  Args:
    method: one of `METHODS`.
    row: nats, tokens and bytes of each command.
    null: nats in the uninformative context, `[A]`.

  Returns:
    Scores `[A]`.

  Raises:
    ValueError: if there is no such method.
  """
  nats, tokens, num_bytes = row.T
  match method:
    case "sum":
      return nats
    case "mean":
      return nats / tokens
    case "byte":
      return nats / num_bytes
    case "pmi":
      return nats - null
    case "half_pmi":
      return nats - 0.5 * null
  raise ValueError(f"No scoring method {method!r}; there are {METHODS}.")


def log_softmax(scores: np.ndarray) -> np.ndarray:
  """Normalised log-probabilities of `[A]` scores."""
  shifted = scores - scores.max()
  return shifted - np.log(np.exp(shifted).sum())
