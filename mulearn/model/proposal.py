"""What continuous actions are drawn from: distributions over `[-1, 1]^D`.

A policy head says the numbers of a distribution, a proposal draws from it and
tells how likely what was drawn is. Hubert et al. 2021, "Learning and planning in
complex action spaces", https://arxiv.org/abs/2104.06303, have both kinds that are
here: section 4.2 and appendix A.
"""

from collections.abc import Callable
import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp

from mulearn.config import ModelConfig
from mulearn.types import Array

_FURTHEST_MEAN = 3.0  # tanh(3) = .995
_LIMIT = 1.0 - 1e-5  # Of an action, 3 units further: arctanh stays finite.


class Proposal(Protocol):
  """A family of distributions over actions `[D]`, by P numbers.

  A temperature above 1 makes what is drawn more diverse.
  """

  def num_outputs(self, action_size: int) -> int:
    """P of actions of size D."""

  def sample(
      self,
      rng_key: Array,
      outputs: Array,
      num_samples: int,
      temperature: float = 1.0,
  ) -> Array:
    """Actions `[B, K, D]` of outputs `[B, P]`; consumes the key."""

  def log_prob(
      self, outputs: Array, actions: Array, temperature: float = 1.0
  ) -> Array:
    """Log-density `[..., K]` of actions `[..., K, D]` by outputs `[..., P]`."""


@dataclasses.dataclass(frozen=True)
class TanhGaussian:
  """`tanh(x)` with `x` normal and independent dimensions; a `Proposal`.

  With `a = tanh(x)` the density is

    log p(a) = log N(x; mean, scale) - log(1 - a^2)

  Haarnoja et al. 2018, "Soft actor-critic", appendix C,
  https://arxiv.org/abs/1801.01290. A temperature multiplies the variance.

  Attributes:
    least_scale: of the normal distribution, whatever the head says.
  """

  least_scale: float = 0.1

  def num_outputs(self, action_size: int) -> int:
    """See `Proposal`: a mean and a scale for each dimension."""
    return 2 * action_size

  def sample(
      self,
      rng_key: Array,
      outputs: Array,
      num_samples: int,
      temperature: float = 1.0,
  ) -> Array:
    """See `Proposal`."""
    mean, scale = self._parameters(outputs, temperature)
    shape = (mean.shape[0], num_samples, mean.shape[-1])
    drawn = mean + scale * jax.random.normal(rng_key, shape)
    return jnp.clip(jnp.tanh(drawn), -_LIMIT, _LIMIT)

  def log_prob(
      self, outputs: Array, actions: Array, temperature: float = 1.0
  ) -> Array:
    """See `Proposal`."""
    mean, scale = self._parameters(outputs, temperature)
    actions = jnp.clip(actions, -_LIMIT, _LIMIT)
    log_density = jax.scipy.stats.norm.logpdf(jnp.arctanh(actions), mean, scale)
    return jnp.sum(log_density - jnp.log1p(-(actions**2)), axis=-1)

  def _parameters(
      self, outputs: Array, temperature: float
  ) -> tuple[Array, Array]:
    """Mean and scale of `x`, each `[..., 1, D]`."""
    mean, scale = jnp.split(outputs[..., None, :], 2, axis=-1)
    mean = _FURTHEST_MEAN * jnp.tanh(mean / _FURTHEST_MEAN)
    scale = self.least_scale + jax.nn.softplus(scale)
    return mean, scale * temperature**0.5


@dataclasses.dataclass(frozen=True)
class Discretised:
  """A categorical for each dimension, over evenly spaced bins; a `Proposal`.

  Tang & Agrawal 2020, "Discretizing continuous action space for on-policy
  optimization", https://arxiv.org/abs/1901.10500. A temperature divides logits.

  Attributes:
    num_bins: from -1 to 1, both included.
  """

  num_bins: int

  def num_outputs(self, action_size: int) -> int:
    """See `Proposal`: a logit for each bin."""
    return action_size * self.num_bins

  def sample(
      self,
      rng_key: Array,
      outputs: Array,
      num_samples: int,
      temperature: float = 1.0,
  ) -> Array:
    """See `Proposal`."""
    log_probs = self._log_probs(outputs, temperature)  # [B, D, bins]
    shape = (num_samples, *log_probs.shape[:-1])
    drawn = jax.random.categorical(rng_key, log_probs, shape=shape)
    bins = jnp.linspace(-1.0, 1.0, self.num_bins)
    return bins[jnp.moveaxis(drawn, 0, 1)]

  def log_prob(
      self, outputs: Array, actions: Array, temperature: float = 1.0
  ) -> Array:
    """See `Proposal`: here a probability, of the nearest bins."""
    log_probs = self._log_probs(outputs, temperature)
    nearest = jnp.round((actions + 1.0) / 2.0 * (self.num_bins - 1))
    chosen = jax.nn.one_hot(nearest.astype(jnp.int32), self.num_bins)
    return jnp.einsum("...kdn,...dn->...k", chosen, log_probs)

  def _log_probs(self, outputs: Array, temperature: float) -> Array:
    """Of each bin of each dimension, `[..., D, bins]`."""
    logits = outputs.reshape(*outputs.shape[:-1], -1, self.num_bins)
    return jax.nn.log_softmax(logits / temperature, axis=-1)


# By the names of `config.model.proposal`.
PROPOSALS: dict[str, Callable[[ModelConfig], Proposal]] = {
    "tanh_gaussian": lambda config: TanhGaussian(),
    "discretised": lambda config: Discretised(config.num_action_bins),
}
