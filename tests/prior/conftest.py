"""A language model that is none, and what it would say."""

import numpy as np
import pytest

from mulearn.lm.score import Scores
from mulearn.prior import language
from mulearn.prior.cache import Cache


class _Tokenizer:

  def encode(self, text: str) -> list[str]:
    return text.split()


class _Model:

  tokenizer = _Tokenizer()


def tokens(command: str) -> list[int]:
  """A word, or the boundary, is a token; words that are alike share it."""
  return [sum(map(ord, word)) for word in (*command.split(), "\n")]


def token_nats(context: str, command: str) -> np.ndarray:
  """Log-probabilities that depend on context and all words so far."""
  seen = 7 * len(context) + np.cumsum(tokens(command))
  return -0.5 - seen % 13 / 4.0


def nats(context: str, command: str) -> float:
  """The log-probability of a whole command."""
  return float(token_nats(context, command).sum())


class FakeScorer:
  """Stands for `lm.Scorer`; counts the candidates it was asked about."""

  asked: list[tuple[str, str]] = []

  def __init__(self, model, prefix=""):
    self.model = model

  def __call__(self, contexts, candidates):
    answers = []
    for context, group in zip(contexts, candidates):
      FakeScorer.asked += [(context, c) for c in group]
      answers.append(
          Scores(
              [tokens(c) for c in group],
              [token_nats(context, c) for c in group],
              np.array([len(c) + 1 for c in group]),
          )
      )
    return answers


@pytest.fixture
def asked(monkeypatch):
  """What the fake language model was asked, as it goes on."""
  monkeypatch.setattr(FakeScorer, "asked", [])
  monkeypatch.setattr(language.lm, "Scorer", FakeScorer)
  return FakeScorer.asked


@pytest.fixture
def cache(tmp_path):
  """A cache in a file of its own."""
  opened = Cache(tmp_path / "answers.sqlite")
  yield opened
  opened.close()


@pytest.fixture
def raw(asked, cache):
  """Raw scores of the fake model."""
  return language.RawScores(_Model, "fake", cache)


@pytest.fixture
def model_token_nats():
  """(context, candidate) -> what the fake model says of each token."""
  return token_nats


@pytest.fixture
def model_nats():
  """(context, candidate) -> what the fake model says."""
  return nats
