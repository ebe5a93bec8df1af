"""Counts what is compiled again where everything should be compiled by then.

A program that compiles anew in every round is slow without a word: the shape, the
type or the placement of an argument has changed.
"""

import collections
from collections.abc import Hashable, Iterator
import contextlib
import functools
from typing import Any

from absl import logging
import jax

_EVENT = "/jax/core/compile/backend_compile_duration"
# Those who count now; JAX keeps a listener for ever.
_counting: list[collections.Counter[str]] = []


class Compilations:
  """Watches pieces of work that come again and again.

  Attributes:
    again: how often something was compiled in a piece of work of a kind that
      had been done before.
  """

  def __init__(self) -> None:
    self.again = 0
    self._done: set[Hashable] = set()

  @contextlib.contextmanager
  def during(self, *kind: Hashable) -> Iterator[None]:
    """Warns if anything compiles inside although the kind was done before.

    Args:
      *kind: a name, and what the programs inside depend on.
    """
    _listen()
    counts: collections.Counter[str] = collections.Counter()
    _counting.append(counts)
    try:
      yield
    finally:
      _counting.remove(counts)
    if kind in self._done and counts:
      self.again += counts.total()
      names = ", ".join(f"{n} ({count})" for n, count in sorted(counts.items()))
      logging.warning(
          "%s compiled again: %s; %d so far. An argument has another shape,"
          " type or placement than before.",
          kind[0],
          names,
          self.again,
      )
    self._done.add(kind)


@functools.cache
def _listen() -> None:
  jax.monitoring.register_event_duration_secs_listener(_note)


def _note(event: str, unused_seconds: float, **more: Any) -> None:
  if event == _EVENT:
    for counts in _counting:
      counts[str(more.get("fun_name", "a program"))] += 1
