"""Which tokens are left to draw from, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.lm import sampling

PROBS = np.array([[0.5, 0.25, 0.15, 0.06, 0.04]])


def left(top_k=0, probs=PROBS, **changes):
  values = {"temperature": 1.0, "top_p": 1.0, "min_p": 0.0} | changes
  chosen = sampling.settings(top_k=top_k, **values)
  logits = sampling.filtered(jnp.log(probs), chosen, top_k)
  return np.isfinite(np.asarray(logits)).astype(int).tolist()[0]


def test_each_filter_by_hand():
  assert left() == [1, 1, 1, 1, 1]
  assert left(top_k=2) == [1, 1, 0, 0, 0]
  # .5 + .25 is not yet .8: the third is needed.
  assert left(top_p=0.8) == [1, 1, 1, 0, 0]
  assert left(top_p=0.5) == [1, 0, 0, 0, 0]
  # A tenth of .5 is .05.
  assert left(min_p=0.1) == [1, 1, 1, 1, 0]
  assert left(top_k=99) == [1, 1, 1, 1, 1]


def test_top_p_counts_what_top_k_has_left():
  # Of the first two the likeliest has 2/3.
  assert left(top_k=2, top_p=0.6) == [1, 0, 0, 0, 0]
  assert left(top_k=2, top_p=0.7) == [1, 1, 0, 0, 0]


def test_temperature_comes_first():
  # At temperature 1/2 the likeliest has .73 of the mass.
  assert left(top_p=0.7, temperature=0.5) == [1, 0, 0, 0, 0]


def test_draws_have_the_distribution():
  chosen = sampling.settings(1.0, 3, 1.0, 0.0)
  keys = jax.random.split(jax.random.key(0), 4000)
  logits = jnp.broadcast_to(jnp.log(PROBS), (4000, 5))
  tokens = np.asarray(sampling.choose(logits, keys, chosen, 3))
  shares = np.bincount(tokens, minlength=5) / 4000
  wanted = np.array([0.5, 0.25, 0.15, 0, 0]) / 0.9
  np.testing.assert_allclose(shares, wanted, atol=0.03)


def test_nothing_to_draw_is_the_likeliest():
  assert sampling.settings(0.0, 5, 0.5, 0.5) == {}
  assert sampling.settings(0.7, 1, 1.0, 0.0) == {}
  tokens = sampling.choose(jnp.log(PROBS), None, {})
  assert tokens.tolist() == [0] and tokens.dtype == jnp.int32


@pytest.mark.parametrize(
    "arguments", [(-1, 0, 1, 0), (1, -1, 1, 0), (1, 0, 0, 0), (1, 0, 1, 2)]
)
def test_settings_out_of_range(arguments):
  with pytest.raises(ValueError, match="expected temperature"):
    sampling.settings(*arguments)
