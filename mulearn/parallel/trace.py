"""A profile of a few rounds, for TensorBoard."""

from collections.abc import Iterator
import contextlib
import pathlib

import jax


class Trace:
  """Traces rounds that learn, once the first of them has compiled."""

  def __init__(self, directory: pathlib.Path, num_rounds: int = 0):
    """Does not start yet.

    Args:
      directory: where the profile goes.
      num_rounds: that are traced; 0 for none.
    """
    self._directory = directory
    self._num_rounds = num_rounds
    self._seen = 0

  @contextlib.contextmanager
  def round(self, learns: bool) -> Iterator[None]:
    """Around each round, whether it learns or not."""
    self._seen += learns
    if learns and self._num_rounds and self._seen == 2:
      jax.profiler.start_trace(self._directory)
    yield
    if learns and self._num_rounds and self._seen == 1 + self._num_rounds:
      jax.profiler.stop_trace()
