"""The decoder: who sees whom, and what a shared prefix changes (nothing)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import attention, decoder

FORWARD = jax.jit(lambda params, *args, **kwargs: params(*args, **kwargs))


def causal(batch, length):
  return np.tril(np.ones((batch, length, length), bool))


def run(model, tokens, mask=None, positions=None, **kwargs):
  tokens = np.asarray(tokens)
  batch, length = tokens.shape
  if positions is None:
    positions = np.broadcast_to(np.arange(length), (batch, length))
  mask = causal(batch, length) if mask is None else mask
  return FORWARD(model.params, tokens, positions, mask, **kwargs)


def test_causality(tiny):
  before, _ = run(tiny, [[5, 6, 7, 8, 9, 10]])
  after, _ = run(tiny, [[5, 6, 7, 8, 99, 10]])
  np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)
  assert np.abs(before[:, 4:] - after[:, 4:]).max() > 1e-2


def test_siblings_do_not_see_each_other(tiny):
  # 5 6 -> 7 and 5 6 -> 8: the second branch is as if the first were not there.
  parents = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]])
  tree, _ = run(
      tiny,
      [[5, 6, 7, 8]],
      mask=parents[None].astype(bool),
      positions=np.array([[0, 1, 2, 2]]),
  )
  first, _ = run(tiny, [[5, 6, 7]])
  second, _ = run(tiny, [[5, 6, 8]])
  np.testing.assert_allclose(tree[0, 2], first[0, 2], atol=1e-5)
  np.testing.assert_allclose(tree[0, 3], second[0, 2], atol=1e-5)


def test_prefix_equals_the_whole_sequence(tiny):
  tokens = np.random.default_rng(0).integers(2, 261, (2, 12))
  tokens[1, :7] = tokens[0, :7]
  whole, _ = run(tiny, tokens)
  _, prefix = run(tiny, tokens[:1, :7])
  rest, _ = run(
      tiny,
      tokens[:, 7:],
      positions=np.broadcast_to(np.arange(7, 12), (2, 5)),
      prefix=prefix,
  )
  assert prefix.length == 7
  np.testing.assert_allclose(rest, whole[:, 7:], atol=1e-5)


def test_a_batch_is_its_rows(tiny):
  tokens = np.random.default_rng(1).integers(2, 261, (3, 6))
  batch, _ = run(tiny, tokens)
  for row in range(3):
    alone, _ = run(tiny, tokens[row : row + 1])
    np.testing.assert_allclose(batch[row], alone[0], atol=1e-5)


def test_positions_are_relative(tiny):
  tokens = np.array([[5, 6, 7, 8]])
  near, _ = run(tiny, tokens)
  far, _ = run(tiny, tokens, positions=np.array([[40, 41, 42, 43]]))
  np.testing.assert_allclose(near, far, atol=1e-4)
  apart, _ = run(tiny, tokens, positions=np.array([[0, 3, 6, 9]]))
  assert np.abs(near - apart).max() > 1e-3


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


CONFIG = lm.DecoderConfig(
    vocab_size=7,
    num_layers=1,
    width=8,
    hidden_width=8,
    num_heads=2,
    num_kv_heads=1,
    head_width=4,
)


def test_attention_by_hand():
  rng = np.random.default_rng(0)
  q = rng.normal(size=(1, 1, 2, 1, 4)).astype(np.float32)
  k, v = rng.normal(size=(2, 1, 1, 2, 4)).astype(np.float32)
  shared_k, shared_v = rng.normal(size=(2, 1, 4, 4)).astype(np.float32)
  # The fourth key of the prefix is padding.
  mixed = attention.attend(
      q, k, v, causal(1, 2), (shared_k, shared_v, np.array([1, 1, 1, 0], bool))
  )
  for i in range(2):
    keys = np.concatenate([shared_k[0, :3], k[0, 0, : i + 1]])
    values = np.concatenate([shared_v[0, :3], v[0, 0, : i + 1]])
    weights = np.exp(keys @ q[0, 0, i, 0])
    expected = weights @ values / weights.sum()
    np.testing.assert_allclose(mixed[0, 0, i, 0], expected, rtol=1e-5)


def test_bfloat16_is_close_and_accumulates_in_float32(tiny):
  model = dataclasses.replace(
      tiny,
      params=lm.Decoder(
          tiny.config, decoder.random_arrays(0, dtype="bfloat16")
      ),
  )
  tokens = [[5, 6, 7, 8, 9, 10]]
  exact, _ = run(tiny, tokens)
  rounded, prefix = run(model, tokens)
  assert rounded.dtype == jnp.float32
  assert prefix.keys.dtype == jnp.bfloat16
  np.testing.assert_allclose(exact, rounded, atol=0.1)


def test_gradients_reach_every_parameter(tiny):
  def loss(params):
    tokens = jnp.array([[5, 6, 7]])
    hidden, _ = params(tokens, jnp.arange(3)[None], causal(1, 3))
    return jnp.mean(jax.nn.logsumexp(params.unembed(hidden), axis=-1))

  gradients = jax.jit(jax.grad(loss))(tiny.params)
  for gradient in jax.tree.leaves(gradients):
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_heads_must_divide():
  with pytest.raises(ValueError, match="num_kv_heads=3"):
    dataclasses.replace(CONFIG, num_heads=4, num_kv_heads=3)
