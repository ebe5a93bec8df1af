"""Adapters: nothing at first, and the same sum when merged."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import lora, weights

TOKENS = np.arange(2, 26).reshape(2, 12)


def logits(tiny, params):
  return lm.logits(dataclasses.replace(tiny, params=params), TOKENS)


def adapt(tiny, **changes):
  values = {"rank": 2, "alpha": 4.0} | changes
  return lora.adapt(tiny.params, jax.random.key(0), **values)


def fill(adapted):
  """Gives every B something to add."""
  return jax.tree_util.tree_map_with_path(
      lambda path, x: x + 0.1 if ".b" in jax.tree_util.keystr(path) else x,
      adapted,
  )


def test_an_adapter_changes_nothing_at_first(tiny):
  np.testing.assert_array_equal(
      logits(tiny, adapt(tiny)), lm.logits(tiny, TOKENS)
  )


def test_merged_is_adapted(tiny):
  adapted = fill(adapt(tiny))
  found = logits(tiny, lora.merge(adapted))
  np.testing.assert_allclose(found, logits(tiny, adapted), atol=1e-5)
  assert np.abs(found - lm.logits(tiny, TOKENS)).max() > 0.1
  assert jax.tree.structure(lora.merge(adapted)) == jax.tree.structure(
      tiny.params
  )


def test_what_is_added_by_hand(tiny):
  adapted = fill(adapt(tiny, targets=r"blocks\.1\.attention\.q$"))
  matrix = adapted.blocks[1].attention.q
  added = lora.merge(adapted).blocks[1].attention.q[...] - matrix.weight[...]
  # alpha / rank = 2, and every number of B is 0.1.
  wanted = 2 * 0.1 * np.asarray(matrix.a[...]).sum(1, keepdims=True)
  np.testing.assert_allclose(added, np.tile(wanted, (1, 32)), atol=1e-6)
  names = [n for n in weights.parameter_arrays(adapted) if n.endswith(".a")]
  assert names == ["blocks.1.attention.q.a"]


def test_the_decoder_stays_as_it_is(tiny):
  before = list(weights.parameter_arrays(tiny.params))
  adapt(tiny)
  assert list(weights.parameter_arrays(tiny.params)) == before


def test_loops_over_layers_see_adapters(tiny):
  adapted = fill(adapt(tiny))
  places = np.tile(np.arange(12), (2, 1))
  mask = np.tril(np.ones((2, 12, 12), bool))

  @functools.partial(jax.jit, static_argnames="scan")
  def forward(decoder, scan):
    return decoder(TOKENS, places, mask, scan=scan)[0]

  one, other = forward(adapted, False), forward(adapted, True)
  np.testing.assert_allclose(one, other, atol=1e-5)


def test_bfloat16_stays(tiny):
  half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), tiny.params)
  adapted = lora.adapt(half, jax.random.key(0), rank=1, alpha=1.0)
  assert adapted.blocks[0].attention.q.dtype == jnp.bfloat16
  assert adapted.blocks[0].attention.q[...].dtype == jnp.bfloat16
  assert adapted.blocks[0].attention.q.a.dtype == jnp.float32


def test_wrong_arguments(tiny):
  with pytest.raises(ValueError, match="no matrix fits 'nothing'"):
    adapt(tiny, targets="nothing")
  with pytest.raises(ValueError, match="rank=0"):
    adapt(tiny, rank=0)
