"""The random keys of a run: one a purpose, each met by a counter at its use.

So every random choice is a function of the seed and of how far the run is, and
one that was killed goes on as if it had not been.
"""

from typing import NamedTuple

import jax

from mulearn.types import Array


class Keys(NamedTuple):
  """The seed's keys, one a purpose."""

  init: Array
  start: Array
  act: Array
  learn: Array
  evaluate: Array
  reanalyse: Array

  @classmethod
  def from_seed(cls, seed: int) -> "Keys":
    """The keys of a run.

    Args:
      seed: of the run.
    """
    return cls(*jax.random.split(jax.random.key(seed), len(cls._fields)))


def at(key: Array, counter: int) -> Array:
  """A key for one use.

  Args:
    key: of the purpose; it is not consumed.
    counter: environment steps, which no two uses share.
  """
  return jax.random.fold_in(key, counter)
