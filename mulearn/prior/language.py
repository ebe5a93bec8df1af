"""A language model's opinion of the admissible commands."""

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from mulearn import lm
from mulearn.env.base import TextObservation
from mulearn.prior import prompts
from mulearn.prior.cache import Cache, digest

# Names what an answer holds, so that those of another form are not found.
_FORM = "nats of every token"


@dataclasses.dataclass(frozen=True)
class Scoring:
  """How raw log-probabilities become a distribution over commands.

  Attributes:
    prompt: a name in `prompts.PROMPTS`.
    method: one of `lm.METHODS`; see `lm.normalise`.
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
  ) -> list[lm.Scores]:
    """Scores every command of every context.

    Args:
      prompt: a name in `prompts.PROMPTS`.
      contexts: one text an observation, ending with the cue.
      commands: of each observation.

    Returns:
      For each context what the model says of its commands and their boundary.
    """
    prefix = prompts.prefix(prompt)
    keys = [
        [digest(_FORM, self._name, prefix, context, c) for c in group]
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
          self.num_tokens += int(row[0])
          self.num_tokens += sum(len(r) // 2 - 1 for r in rows.values())
          self._memory.update(rows)
    return [_scores([self._memory[key] for key in group]) for group in keys]

  def _ask(self, prefix, contexts, commands, keys, indices):
    """Answers by key, now on disk; see `_scores` for their form."""
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
      for key, tokens, nats, size in zip(keys[i], *score):
        answers[key] = np.array([length, size, *tokens, *nats], np.float32)
    self._cache.put(answers)
    return answers


def _scores(answers: Sequence[np.ndarray]) -> lm.Scores:
  """Reads answers: tokens of the context, bytes, then token ids and nats.

  Ids are below 2^24, which float32 holds exactly.
  """
  parts = [np.split(answer[2:], 2) for answer in answers]
  return lm.Scores(
      [ids.astype(int).tolist() for ids, _ in parts],
      [nats.astype(np.float64) for _, nats in parts],
      np.array([int(answer[1]) for answer in answers]),
  )


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
  contexts = [prompts.context(prompt, p) for p in observation_prompts]
  scores = raw(prompt, contexts, commands)
  distinct = sorted({c for group in commands for c in group})
  null = dict.fromkeys(distinct, 0.0)
  if method in lm.PMI_METHODS:
    [answer] = raw(prompt, [prompts.NULL_CONTEXT], [distinct])
    null = dict(zip(distinct, answer.log_prob))
  return [
      lm.normalise(method, s, np.array([null[c] for c in group]))
      for s, group in zip(scores, commands)
  ]


def log_softmax(scores: np.ndarray) -> np.ndarray:
  """Normalised log-probabilities of `[A]` scores."""
  shifted = scores - scores.max()
  return shifted - np.log(np.exp(shifted).sum())
