"""Attention within packed rows, over a prefix that all rows share."""

from typing import NamedTuple

import jax
from jax import Array
import jax.numpy as jnp
import numpy as np


class Prefix(NamedTuple):
  """Keys and values of tokens that every row of a batch shares.

  Attributes:
    keys: `[num_layers, num_kv_heads, P, head_width]`, rotated.
    values: `[num_layers, num_kv_heads, P, head_width]`.
    length: `[]`, int, how many of the P are tokens; the others are padding.
  """

  keys: Array
  values: Array
  length: Array

  def layer(self, index: int) -> tuple[Array, Array, Array]:
    """Returns keys, values `[kv, P, head_width]` and which are tokens `[P]`."""
    valid = jnp.arange(self.keys.shape[2]) < self.length
    return self.keys[index], self.values[index], valid


def rotary(
    positions: Array, head_width: int, base: float
) -> tuple[Array, Array]:
  """Cosines and sines of RoFormer's angles (arXiv:2104.09864, eq. 15).

  Args:
    positions: `[B, L]`, int.
    head_width: size of one head.
    base: theta.

  Returns:
    Two arrays `[B, L, 1, head_width / 2]`, float32.
  """
  half = head_width // 2
  # On the host in float64, since the angle multiplies the error of a power.
  frequencies = base ** (-np.arange(half) / half)
  angles = positions[..., None, None] * jnp.asarray(frequencies, jnp.float32)
  # Else XLA computes both again for every head of every layer.
  return jax.lax.optimization_barrier((jnp.cos(angles), jnp.sin(angles)))


def rotate(x: Array, angles: tuple[Array, Array]) -> Array:
  """Rotates the halves of each head against each other.

  Args:
    x: `[B, L, heads, head_width]`.
    angles: cosines and sines, each `[B, L, 1, head_width / 2]`.

  Returns:
    `[B, L, heads, head_width]`.
  """
  cos, sin = angles
  first, second = jnp.split(x, 2, axis=-1)
  return jnp.concatenate(
      [first * cos - second * sin, second * cos + first * sin], axis=-1
  )


def attend(
    q: Array,
    k: Array,
    v: Array,
    mask: Array,
    prefix: tuple[Array, Array, Array] | None,
) -> Array:
  """Softmax attention over a shared prefix and the row itself.

  All of a batch sees all of the prefix, so that part is one matrix product for
  each key head. Heads come first because XLA's matrix products on CPU run at
  full speed only where nothing has to be transposed (4 times slower if not).

  Args:
    q: `[kv, B, L, G, head_width]`, scaled; G query heads share a key head.
    k: `[kv, B, L, head_width]`.
    v: `[kv, B, L, head_width]`.
    mask: `[B, L, L]`.
    prefix: see `Prefix.layer`; or None.

  Returns:
    `[kv, B, L, G, head_width]`, float32.
  """
  q, k, v = jax.lax.optimization_barrier((q, k, v))
  num_kv, batch, length, groups, width = q.shape
  rows = (num_kv * batch, length * groups, width)
  keys = (num_kv * batch, length, width)
  own = _product("nqh,nmh->nqm", q.reshape(rows), k.reshape(keys))
  own = own.reshape(num_kv, batch, length, groups, length)
  lowest = jnp.finfo(jnp.float32).min
  own = jnp.where(mask[None, :, :, None], own, lowest)
  peak = jnp.max(own, axis=-1, keepdims=True)
  if prefix is not None:
    flat = (num_kv, batch * length * groups, -1)
    shared = _product("nqh,nph->nqp", q.reshape(flat), prefix[0])
    shared = jnp.where(prefix[2], shared, lowest)
    peak = jnp.maximum(
        peak, jnp.max(shared, axis=-1, keepdims=True).reshape(peak.shape)
    )
  own = jnp.exp(own - peak)
  total = jnp.sum(own, axis=-1, keepdims=True)
  weights = own.astype(v.dtype).reshape(rows[0], rows[1], length)
  mixed = _product("nqm,nmh->nqh", weights, v.reshape(keys)).reshape(q.shape)
  if prefix is not None:
    shared = jnp.exp(shared - peak.reshape(*flat[:2], 1))
    total += jnp.sum(shared, axis=-1, keepdims=True).reshape(total.shape)
    mixed += _product(
        "nqp,nph->nqh", shared.astype(v.dtype), prefix[1]
    ).reshape(q.shape)
  return mixed / total


def _product(equation: str, a: Array, b: Array) -> Array:
  return jnp.einsum(equation, a, b, preferred_element_type=jnp.float32)
