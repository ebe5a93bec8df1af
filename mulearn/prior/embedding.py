"""Phrases as the language model's hidden states, remembered on disk."""

from collections.abc import Sequence
import functools

import numpy as np

from mulearn import lm
from mulearn.prior.cache import Cache, digest


class Embedding:
  """Texts -> `[N, width]`; equal texts are asked once, ever."""

  def __init__(self, load, name: str, layer: int, cache: Cache):
    """Loads nothing until a text is new.

    Args:
      load: () -> `lm.LanguageModel`, called at most once.
      name: what identifies model and number format in the cache.
      layer: whose hidden states are averaged over a text's tokens.
      cache: the answers.
    """
    self._load = functools.cache(load)
    self._name = f"{name}:embedding:{layer}"
    self._layer = layer
    self._cache = cache

  def __call__(self, texts: Sequence[str]) -> np.ndarray:
    """Embeds texts `[N]` as float32 `[N, width]`."""
    keys = {text: digest(self._name, text) for text in texts}
    known = self._cache.get(list(keys.values()))
    new = [text for text, key in keys.items() if key not in known]
    if new:
      vectors = lm.encode(self._load(), new, layer=self._layer)
      answers = {keys[text]: row for text, row in zip(new, vectors)}
      self._cache.put(answers)
      known |= answers
    return np.stack([known[keys[text]] for text in texts])
