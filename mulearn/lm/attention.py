"""Attention within packed rows, over a past that is shared or each row's own.

What a token sees is said by masks and positions, never by its place in a row:
so windows reach as far in a trie of candidates as in the plain text.
"""

from typing import NamedTuple

import jax
from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm.config import RopeScaling


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

  def layer(self, index: int) -> tuple[Array, Array]:
    """Returns keys and values of a layer, each `[kv, P, head_width]`."""
    return self.keys[index], self.values[index]

  def positions(self) -> Array:
    """Returns the position of each key `[1, P]`, -1 for padding."""
    places = jnp.arange(self.keys.shape[-2])
    return jnp.where(places < self.length, places, -1)[None]


class Cache(NamedTuple):
  """Keys and values that belong to each row of a batch.

  Attributes:
    keys: for each layer `[num_kv_heads, B, S, head_width]`, rotated.
    values: for each layer `[num_kv_heads, B, S, head_width]`.
    places: `[B, S]`, int, the position of each key, -1 where there is none.
  """

  keys: tuple[Array, ...]
  values: tuple[Array, ...]
  places: Array

  def layer(self, index: int) -> tuple[Array, Array]:
    """Returns keys and values of a layer, each `[kv, B, S, head_width]`."""
    return self.keys[index], self.values[index]

  def positions(self) -> Array:
    """Returns the position of each key `[B, S]`, -1 where there is none."""
    return self.places


class View(NamedTuple):
  """What the tokens of a batch see in one kind of layer.

  Attributes:
    angles: see `rotate`.
    mask: `[B, L, L]`, True where a query may look within its row.
    past: `[B or 1, L or 1, P]`, True where a query may look into the past; or
      None without one.
  """

  angles: tuple[Array, Array]
  mask: Array
  past: Array | None

  def windowed(
      self,
      window: int,
      angles: tuple[Array, Array],
      positions: Array,
      past_positions: Array | None,
  ) -> "View":
    """Returns the view of which only the last `window` positions are left."""
    mask = self.mask & _near(positions, positions, window)
    past = self.past
    if past is not None:
      past = past & _near(positions, past_positions, window)
    return View(angles, mask, past)


def _near(queries: Array, keys: Array, window: int) -> Array:
  return queries[:, :, None] - keys[:, None, :] < window


def rotary(
    positions: Array,
    head_width: int,
    base: float,
    scaling: RopeScaling | None = None,
) -> tuple[Array, Array]:
  """Cosines and sines of RoFormer's angles (arXiv:2104.09864, eq. 15).

  Args:
    positions: `[B, L]`, int.
    head_width: size of one head.
    base: theta.
    scaling: for longer contexts, or None.

  Returns:
    Two arrays `[B, L, 1, head_width / 2]`, float32.
  """
  half = head_width // 2
  # On the host in float64, since the angle multiplies the error of a power.
  frequencies = base ** (-np.arange(half) / half)
  if scaling is not None:
    frequencies = frequencies / divisors(frequencies, scaling)
  angles = positions[..., None, None] * jnp.asarray(frequencies, jnp.float32)
  # In a loop, since XLA would compute both again in every layer: on CPU it
  # forgets optimisation barriers before it fuses.
  both = jax.lax.map(
      lambda is_cos: jnp.where(is_cos, jnp.cos(angles), jnp.sin(angles)),
      np.array([True, False]),
  )
  return both[0], both[1]


def divisors(frequencies: np.ndarray, scaling: RopeScaling) -> np.ndarray:
  """What each rotary frequency is divided by to reach longer contexts.

  Llama 3's rule keeps the waves that fit into the original context `high`
  times and blends between the two in the inverse (its code, `apply_scaling`).

  Args:
    frequencies: `[head_width / 2]`, radians a token.
    scaling: the rule.

  Returns:
    `[head_width / 2]`.
  """
  if not scaling.high:
    return np.full_like(frequencies, scaling.factor)
  waves = scaling.original_context * frequencies / (2 * np.pi)
  kept = (waves - scaling.low) / (scaling.high - scaling.low)
  kept = np.clip(kept, 0, 1)
  return 1 / ((1 - kept) / scaling.factor + kept)


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
    past: tuple[Array, Array, Array] | None,
) -> Array:
  """Softmax attention over the past and the row itself.

  Where all of a batch sees the same past, that part is one matrix product for
  each key head. Heads come first because XLA's matrix products on CPU run at
  full speed only where nothing has to be transposed (4 times slower if not).

  Args:
    q: `[kv, B, L, G, head_width]`, scaled; G query heads share a key head.
    k: `[kv, B, L, head_width]`.
    v: `[kv, B, L, head_width]`.
    mask: `[B, L, L]`.
    past: keys and values, each `[kv, P, head_width]` where all rows share them
      or `[kv, B, P, head_width]`, and which are seen, `[P]` or as in `View`.

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
  if past is not None:
    shared = past[0].ndim == 3
    flat = (num_kv, batch * length * groups, width) if shared else rows
    seen_k, seen_v = (x.reshape(flat[0], -1, width) for x in past[:2])
    earlier = _product("nqh,nph->nqp", q.reshape(flat), seen_k)
    earlier = earlier.reshape(*q.shape[:-1], -1)
    earlier = jnp.where(past[2][..., None, :], earlier, lowest)
    peak = jnp.maximum(peak, jnp.max(earlier, axis=-1, keepdims=True))
  own = jnp.exp(own - peak)
  total = jnp.sum(own, axis=-1, keepdims=True)
  weights = own.astype(v.dtype).reshape(rows[0], rows[1], length)
  mixed = _product("nqm,nmh->nqh", weights, v.reshape(keys)).reshape(q.shape)
  if past is not None:
    earlier = jnp.exp(earlier - peak)
    total += jnp.sum(earlier, axis=-1, keepdims=True)
    weights = earlier.astype(v.dtype).reshape(flat[0], flat[1], -1)
    mixed += _product("nqp,nph->nqh", weights, seen_v).reshape(q.shape)
  return mixed / total


def _product(equation: str, a: Array, b: Array) -> Array:
  return jnp.einsum(equation, a, b, preferred_element_type=jnp.float32)
