"""Categorical values: scalars as distributions over a fixed support.

A scalar `x` is squashed by the invertible `h` and split between the two
nearest bins, so that its expectation is exact ("two-hot"). Schrittwieser et al.
2020, Appendix F, https://arxiv.org/abs/1911.08265; `h` is from Pohlen et al.
2018, "Observe and look further", https://arxiv.org/abs/1805.11593.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.config import ModelConfig
from mulearn.types import Array

_EPSILON = 1e-3


def squash(x: Array) -> Array:
  """`h(x) = sign(x) (sqrt(|x| + 1) - 1) + eps x`, elementwise."""
  return jnp.sign(x) * (jnp.sqrt(jnp.abs(x) + 1.0) - 1.0) + _EPSILON * x


def unsquash(y: Array) -> Array:
  """The inverse of `squash`, elementwise."""
  root = jnp.sqrt(1.0 + 4.0 * _EPSILON * (jnp.abs(y) + 1.0 + _EPSILON))
  return jnp.sign(y) * (((root - 1.0) / (2.0 * _EPSILON)) ** 2 - 1.0)


@dataclasses.dataclass(frozen=True)
class Support:
  """`num_bins` bins, evenly spaced in `h`, that reach `+-max_value`.

  Attributes:
    num_bins: S; odd, so that one bin is exactly zero.
    max_value: the largest magnitude, in units of return.
    squashes: whether `h` is used. Without it, as MuZero does in board games,
      the value of several outcomes is their mean; with it, it is nearer to 0.
  """

  num_bins: int
  max_value: float
  squashes: bool = True

  @classmethod
  def from_config(cls, config: ModelConfig) -> "Support":
    """That of values and rewards."""
    return cls(config.num_bins, config.max_return, config.squashes_returns)

  def __post_init__(self):
    if self.num_bins < 3 or self.num_bins % 2 == 0:
      raise ValueError(
          f"num_bins is {self.num_bins}; an odd number of at least 3 is needed"
          " (one bin is exactly zero)."
      )

  @property
  def _limit(self) -> Array:
    return self._squash(jnp.float32(self.max_value))

  def _squash(self, x: Array) -> Array:
    return squash(x) if self.squashes else x

  def to_probs(self, x: Array) -> Array:
    """Two-hot targets: `[...]` -> `[..., S]`; values beyond it are clipped."""
    position = self._squash(x) / self._limit * 0.5 + 0.5
    position = jnp.clip(position, 0.0, 1.0) * (self.num_bins - 1)
    low = jnp.floor(position)
    high_weight = (position - low)[..., None]
    low = low.astype(jnp.int32)
    high = jnp.minimum(low + 1, self.num_bins - 1)
    return (1.0 - high_weight) * jax.nn.one_hot(
        low, self.num_bins
    ) + high_weight * jax.nn.one_hot(high, self.num_bins)

  def to_scalar(self, logits: Array) -> Array:
    """Expectation in `h`, mapped back: logits `[..., S]` -> `[...]`."""
    bins = jnp.linspace(-self._limit, self._limit, self.num_bins)
    found = jnp.sum(jax.nn.softmax(logits) * bins, axis=-1)
    return unsquash(found) if self.squashes else found
