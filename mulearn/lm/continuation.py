"""What one prompt has got so far: where it stops, and what is told of it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mulearn.lm.tokenizer import Tokenizer

OnToken = Callable[[int, Any], None]


class Continuation:
  """The tokens that follow one prompt.

  Attributes:
    finished: whether no more tokens are wanted.
  """

  def __init__(
      self,
      tokenizer: Tokenizer,
      index: int,
      stop: Sequence[str],
      as_text: bool,
      on_token: OnToken | None,
  ):
    """Starts without a token.

    Args:
      tokenizer: ids to text.
      index: of the prompt, for the callback.
      stop: texts before which it ends.
      as_text: whether callback and result are texts or token ids.
      on_token: see `generate`.
    """
    if "" in stop:
      raise ValueError("a stop string is empty; leave it out.")
    self.finished = False
    self._tokenizer = tokenizer
    self._index = index
    self._stop = tuple(stop)
    self._as_text = as_text
    self._on_token = on_token
    self._ids: list[int] = []
    self._told = 0

  def extend(self, ids: np.ndarray, ends: np.ndarray, last: bool) -> None:
    """Takes the next tokens.

    Args:
      ids: `[n]`, ignored once finished.
      ends: `[V]`, True for tokens before which it ends.
      last: whether no more can come.
    """
    if self.finished:
      return
    for token in map(int, ids):
      self.finished = bool(ends[token])
      if self.finished:
        break
      self._ids.append(token)
      if (
          self._stop
          and self._cut(self._tokenizer.decode(self._ids)) is not None
      ):
        self.finished = True
        break
    self.finished = self.finished or last
    self._tell()

  def result(self) -> Any:
    """Returns the text, or the token ids that come before a stop string."""
    text = self._tokenizer.decode(self._ids)
    end = self._cut(text)
    if self._as_text:
      return text[:end]
    ids = list(self._ids)
    while end is not None and len(self._tokenizer.decode(ids)) > end:
      ids.pop()
    return ids

  def _cut(self, text: str) -> int | None:
    """Returns where the first stop string begins, None without one."""
    places = [text.find(stop) for stop in self._stop]
    return min((place for place in places if place >= 0), default=None)

  def _tell(self) -> None:
    if self._on_token is None:
      return
    result = self.result()
    if not self.finished:
      result = result[: self._certain(result)]
    if len(result) > self._told:
      self._on_token(self._index, result[self._told :])
      self._told = len(result)

  def _certain(self, result: Any) -> int:
    """Returns how much of an unfinished result no later token can change."""
    text = result if self._as_text else self._tokenizer.decode(result)
    # Some bytes of a character are still missing.
    safe = len(text.rstrip("\ufffd"))
    for stop in self._stop:
      for size in range(1, len(stop)):
        if text.endswith(stop[:size]):
          safe = min(safe, len(text) - size)
    if self._as_text:
      return safe
    ids = list(result)
    while len(self._tokenizer.decode(ids)) > safe:
      ids.pop()
    return len(ids)
