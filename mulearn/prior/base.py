"""What language already believes of the admissible commands.

A prior maps observations to log-probabilities over each one's commands. "No
prior" is a flat prior: nothing downstream asks whether there is one.
"""

from collections.abc import Sequence
import hashlib
from typing import Protocol

import numpy as np

from mulearn.env.base import TextObservation


class Prior(Protocol):
  """Observation -> log-probabilities of its commands."""

  @property
  def num_tokens(self) -> int:
    """Tokens of all distinct questions to a language model so far."""

  def __call__(
      self, observations: Sequence[TextObservation]
  ) -> list[np.ndarray]:
    """One float32 vector an observation, as long as its commands.

    A vector is normalised (its exponentials sum to 1), or all zero for a prior
    that has no opinion.
    """


class UniformPrior:
  """No opinion: zeros, which every fusion rule leaves alone to the last bit."""

  num_tokens = 0

  def __call__(
      self, observations: Sequence[TextObservation]
  ) -> list[np.ndarray]:
    """See `Prior`."""
    return [np.zeros(len(o.commands), np.float32) for o in observations]


class ShuffledPrior:
  """An adversary: another prior's opinions, dealt to the wrong commands.

  The permutation is a function of the observation, so the adversary is
  consistent: the same text gets the same wrong advice.
  """

  def __init__(self, prior: Prior):
    """Deals out what `prior` says."""
    self._prior = prior

  @property
  def num_tokens(self) -> int:
    """See `Prior`."""
    return self._prior.num_tokens

  def __call__(
      self, observations: Sequence[TextObservation]
  ) -> list[np.ndarray]:
    """See `Prior`."""
    shuffled = []
    for observation, scores in zip(observations, self._prior(observations)):
      name = observation.prompt.encode()
      seed = int.from_bytes(hashlib.sha256(name).digest()[:8], "little")
      permutation = np.random.default_rng(seed).permutation(len(scores))
      shuffled.append(scores[permutation])
    return shuffled


def pad(rows: Sequence[np.ndarray], num_slots: int) -> np.ndarray:
  """Stacks vectors of at most K into `[B, K]`, zeros after each one's end."""
  padded = np.zeros((len(rows), num_slots), np.float32)
  for i, row in enumerate(rows):
    padded[i, : len(row)] = row
  return padded
