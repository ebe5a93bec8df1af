"""Encodings: the mean of a layer, whatever else is in the batch."""

import functools

import jax
import numpy as np
import pytest

from mulearn import lm

TEXTS = ["take dirty sock", "go", "a bench, that has nothing on it", "ニャー"]
PADDED = 40


def plain(model, text, layer):
  ids = [model.tokenizer.end_id, *model.tokenizer.encode(text)]
  tokens = np.zeros((1, PADDED), np.int32)
  tokens[0, : len(ids)] = ids
  hidden = hidden_states(model.params, tokens, num_layers=layer)
  return np.asarray(hidden)[0, 1 : len(ids)].mean(axis=0)


@functools.partial(jax.jit, static_argnames="num_layers")
def hidden_states(params, tokens, num_layers):
  positions = np.arange(PADDED)[None]
  mask = np.tril(np.ones((1, PADDED, PADDED), bool))
  return params(tokens, positions, mask, num_layers=num_layers)[0]


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_mean_of_a_layer(tiny, layer):
  encoded = lm.encode(tiny, TEXTS, layer)
  assert encoded.shape == (4, tiny.config.width)
  assert encoded.dtype == np.float32
  for row, text in zip(encoded, TEXTS):
    np.testing.assert_allclose(row, plain(tiny, text, layer), atol=1e-5)


def test_two_thirds_of_the_depth_is_the_default(tiny):
  np.testing.assert_array_equal(
      lm.encode(tiny, TEXTS), lm.encode(tiny, TEXTS, 2)
  )


def test_repeats_and_order(tiny):
  once = lm.encode(tiny, TEXTS)
  again = lm.encode(tiny, [TEXTS[2], TEXTS[0], TEXTS[2]])
  np.testing.assert_allclose(again, once[[2, 0, 2]], atol=1e-5)


def test_many_texts(tiny):
  texts = [f"put {i} in {j}" for i in range(12) for j in range(12)]
  encoded = lm.encode(tiny, texts)
  for i in (0, 50, 143):
    np.testing.assert_allclose(encoded[i], plain(tiny, texts[i], 2), atol=1e-5)


def test_empty(tiny):
  assert lm.encode(tiny, []).shape == (0, tiny.config.width)
  np.testing.assert_array_equal(lm.encode(tiny, ["", "go"])[0], 0)


def test_of_a_long_text_the_beginning_counts(tiny):
  one, other = lm.encode(tiny, ["abcd" + "z" * 50, "abcd"], max_tokens=4)
  np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 4, -1])
def test_a_layer_must_exist(tiny, layer):
  with pytest.raises(ValueError, match=f"layer {layer}"):
    lm.encode(tiny, TEXTS, layer)


def test_the_real_model_knows_what_is_alike(smollm2):
  texts = ["take dirty sock", "take dirty shirt", "The treaty of 1848"]
  encoded = lm.encode(smollm2, texts)
  unit = encoded / np.linalg.norm(encoded, axis=-1, keepdims=True)
  likeness = unit @ unit.T
  assert likeness[0, 1] > likeness[0, 2]
