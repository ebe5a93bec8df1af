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


CONFIG = lm.DecoderConfig(
    vocab_size=7,
    num_layers=1,
    width=8,
    hidden_width=8,
    num_heads=2,
    num_kv_heads=1,
    head_width=4,
)


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


def test_angles_are_computed_once_for_all_layers(either):
  """XLA would fuse sines into the rotation of every layer's heads."""
  tokens, mask = np.ones((2, 8), np.int32), causal(2, 8)
  positions = np.broadcast_to(np.arange(8), (2, 8))
  lowered = FORWARD.lower(either.params, tokens, positions, mask)
  config = either.params.config
  kinds = 2 if config.window else 1  # Of layers, each with a base of its own.
  assert lowered.compile().as_text().count(" sine(") == kinds
  assert config.num_layers > kinds


def test_heads_must_divide():
  with pytest.raises(ValueError, match="num_kv_heads=3"):
    dataclasses.replace(CONFIG, num_heads=4, num_kv_heads=3)


# Windowed, normed and scaled in every way that a family is.
GEMMA = lm.DecoderConfig(
    vocab_size=261,
    num_layers=3,
    width=16,
    hidden_width=24,
    num_heads=4,
    num_kv_heads=2,
    head_width=8,
    activation="gelu",
    embedding_scale=4.0,
    query_scale=0.3,
    qk_norm=True,
    post_norms=True,
    window=5,
    window_pattern=3,
    window_rope_base=100.0,
    tied=False,
)


@pytest.fixture(scope="module")
def gemma():
  params = lm.Decoder(GEMMA, decoder.random_arrays(0))
  return lm.LanguageModel(GEMMA, params, None, "", "")


@pytest.fixture(scope="module", params=["tiny", "gemma"])
def either(request):
  return request.getfixturevalue(request.param)


def test_windows_reach_as_far_as_they_say(gemma):
  # Without the layer that sees everything: two windows of 5 reach 8 further.
  one = dataclasses.replace(GEMMA, num_layers=2)
  params = lm.Decoder(one, decoder.random_arrays(0))
  model = dataclasses.replace(gemma, config=one, params=params)
  tokens = np.random.default_rng(0).integers(0, 261, (1, 20))
  before, _ = run(model, tokens)
  tokens[0, 3] += 1
  after, _ = run(model, tokens)
  changed = np.flatnonzero(np.abs(before - after).max(-1)[0] > 1e-6)
  # Each layer carries a change four further: 3 + 2 * 4.
  assert changed.tolist() == list(range(3, 12))
  whole, _ = run(gemma, tokens)
  tokens[0, 3] -= 1
  assert np.abs(whole - run(gemma, tokens)[0]).max(-1)[0, -1] > 1e-6


def test_windows_are_of_positions_not_of_places(gemma):
  """A trie's branch is as its own text, packed behind another one."""
  rng = np.random.default_rng(1)
  stem, first, second = (rng.integers(0, 261, n) for n in (7, 6, 4))
  tokens = np.concatenate([stem, first, second])[None]
  mask = causal(1, 17)
  mask[0, 13:, 7:13] = False
  positions = np.array([[*range(13), *range(7, 11)]])
  tree, _ = run(gemma, tokens, mask, positions)
  alone, _ = run(gemma, np.concatenate([stem, second])[None])
  np.testing.assert_allclose(tree[0, 13:], alone[0, 7:], atol=1e-5)


def test_any_prefix_equals_the_whole_sequence(either):
  tokens = np.random.default_rng(2).integers(2, 261, (2, 14))
  tokens[1, :9] = tokens[0, :9]
  whole, _ = run(either, tokens)
  _, prefix = run(either, tokens[:1, :9])
  positions = np.broadcast_to(np.arange(9, 14), (2, 5))
  rest, _ = run(either, tokens[:, 9:], positions=positions, prefix=prefix)
  np.testing.assert_allclose(rest, whole[:, 9:], atol=1e-5)


def test_a_cache_of_each_row_equals_the_whole_sequence(either):
  """Rows of 9 and 6 tokens, in slots with gaps between and behind them."""
  tokens = np.random.default_rng(3).integers(2, 261, (2, 12))
  expected = [run(either, tokens[:1])[0][0], run(either, tokens[1:, :9])[0][0]]
  _, own = jax.jit(
      lambda params, tokens, positions, mask: params(
          tokens, positions, mask, all_rows=True
      )
  )(
      either.params,
      tokens[:, :9],
      np.broadcast_to(np.arange(9), (2, 9)),
      causal(2, 9),
  )
  places = np.full((2, 16), -1)
  places[0, 2:11], places[1, 2:8] = np.arange(9), np.arange(6)

  def spread(array):
    wide = np.full((*array.shape[:3], 16, array.shape[4]), 1e3, np.float32)
    wide[:, :, :, 2:11] = array
    return tuple(wide)

  cache = attention.Cache(spread(own.keys), spread(own.values), places)
  new = np.stack([tokens[0, 9:12], tokens[1, 6:9]])
  positions = np.array([[9, 10, 11], [6, 7, 8]])
  rest, _ = run(either, new, positions=positions, prefix=cache)
  np.testing.assert_allclose(rest[0], expected[0][9:], atol=1e-5)
  np.testing.assert_allclose(rest[1], expected[1][6:], atol=1e-5)


def test_scanned_layers_are_the_unrolled_ones(either):
  tokens = np.random.default_rng(4).integers(2, 261, (2, 9))
  positions = np.broadcast_to(np.arange(9), (2, 9))

  def loss(params, scan):
    hidden, _ = params(tokens, positions, causal(2, 9), scan=scan)
    return jnp.mean(jax.nn.logsumexp(params.unembed(hidden), axis=-1)), hidden

  run = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
  unrolled, scanned = run(either.params, False), run(either.params, True)
  for one, other in zip(jax.tree.leaves(unrolled), jax.tree.leaves(scanned)):
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_scanned_layers_see_a_prefix(either):
  tokens = np.random.default_rng(5).integers(2, 261, (2, 5))
  _, prefix = run(either, tokens[:1])
  positions = np.broadcast_to(np.arange(5, 10), (2, 5))
  arguments = (tokens, positions, causal(2, 5), prefix)
  unrolled, _ = FORWARD(either.params, *arguments)
  scanned, none = jax.jit(lambda params, *args: params(*args, scan=True))(
      either.params, *arguments
  )
  assert none is None
  np.testing.assert_allclose(scanned, unrolled, atol=1e-5)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"head_width": 5}, "head_width=5"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"activation": "relu"}, "'relu'"),
    ],
)
def test_impossible_shapes_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(CONFIG, **changes)
