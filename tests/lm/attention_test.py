"""Attention, rotation and its scaling, by hand."""

import jax.numpy as jnp
import numpy as np

from mulearn import lm
from mulearn.lm import attention


def test_rotation_by_hand():
  angles = attention.rotary(jnp.array([[3]]), head_width=4, base=100.0)
  x = jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
  # Frequencies 1 and 1/10: pairs (1, 3) and (2, 4) turn by 3 and 0.3 radians.
  expected = [
      1 * np.cos(3) - 3 * np.sin(3),
      2 * np.cos(0.3) - 4 * np.sin(0.3),
      3 * np.cos(3) + 1 * np.sin(3),
      4 * np.cos(0.3) + 2 * np.sin(0.3),
  ]
  np.testing.assert_allclose(
      attention.rotate(x, angles).ravel(), expected, atol=1e-5
  )


def test_attention_by_hand():
  rng = np.random.default_rng(0)
  q = rng.normal(size=(1, 1, 2, 1, 4)).astype(np.float32)
  k, v = rng.normal(size=(2, 1, 1, 2, 4)).astype(np.float32)
  shared_k, shared_v = rng.normal(size=(2, 1, 4, 4)).astype(np.float32)
  # The fourth key of the prefix is padding.
  mixed = attention.attend(
      q,
      k,
      v,
      np.tril(np.ones((1, 2, 2), bool)),
      (shared_k, shared_v, np.array([1, 1, 1, 0], bool)),
  )
  for i in range(2):
    keys = np.concatenate([shared_k[0, :3], k[0, 0, : i + 1]])
    values = np.concatenate([shared_v[0, :3], v[0, 0, : i + 1]])
    weights = np.exp(keys @ q[0, 0, i, 0])
    expected = weights @ values / weights.sum()
    np.testing.assert_allclose(mixed[0, 0, i, 0], expected, rtol=1e-5)


def test_llama_3_slows_long_waves_only():
  scaling = lm.RopeScaling(factor=8, low=1, high=4, original_context=64)
  # Waves of 8, 32 and 128 tokens: kept, blended at (64/32 - 1) / 3, slowed.
  frequencies = 2 * np.pi / np.array([8.0, 32.0, 128.0])
  divisors = attention.divisors(frequencies, scaling)
  np.testing.assert_allclose(divisors, [1, 1 / (1 / 3 + 2 / 3 / 8), 8])
  linear = attention.divisors(frequencies, lm.RopeScaling(factor=4))
  np.testing.assert_allclose(linear, [4, 4, 4])
