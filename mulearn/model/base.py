"""The one seam between models and search: the node, and what makes one."""

from typing import Any, Protocol

import jax.numpy as jnp

from mulearn.types import Array, Node, PyTree


class Model(Protocol):
  """What search needs: a pytree that can start a node and continue from one."""

  def root(
      self, rng_key: Array, observation: PyTree, prior_logits: Array
  ) -> Node:
    """The node of a real observation, with the language prior `[B, K]`."""

  def step(self, rng_key: Array, state: Any, action: Any) -> Node:
    """The node reached from `state` by `action`, pytrees `[B, ...]`."""


def mask_logits(logits: Array, invalid: Array) -> Array:
  """Gives invalid slots the smallest finite log-probability.

  Args:
    logits: `[..., K]`.
    invalid: True where a slot may not be chosen, `[..., K]`.

  Returns:
    Logits `[..., K]`, shifted so that the largest valid one is 0.
  """
  lowest = jnp.finfo(logits.dtype).min
  logits = jnp.where(invalid, lowest, logits)
  logits = logits - jnp.max(logits, axis=-1, keepdims=True)
  return jnp.where(invalid, lowest, logits)
