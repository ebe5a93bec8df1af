"""Categorical values: numbers go in and come out, and zero is zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.model.support import Support, squash, unsquash

SUPPORT = Support(num_bins=21, max_value=10.0)


def _logits(probs):
  return jnp.log(jnp.maximum(probs, 1e-30))


def test_squash_by_hand_and_back():
  # h(3) = sqrt(4) - 1 + .003
  np.testing.assert_allclose(squash(jnp.float32(3.0)), 1.003, rtol=1e-6)
  np.testing.assert_allclose(squash(jnp.float32(-8.0)), -2.008, rtol=1e-6)
  x = jnp.linspace(-20.0, 20.0, 81)
  np.testing.assert_allclose(unsquash(squash(x)), x, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.013, -0.7, 1.0, 3.3, -9.99, 10.0])
def test_a_number_survives_its_two_hot_code(value):
  probs = SUPPORT.to_probs(jnp.float32(value))
  assert np.count_nonzero(probs) <= 2
  np.testing.assert_allclose(probs.sum(), 1.0, rtol=1e-6)
  back = SUPPORT.to_scalar(_logits(probs))
  np.testing.assert_allclose(back, value, atol=2e-3)


def test_neighbours_of_a_number_get_its_mass():
  bins = np.linspace(-1, 1, 21) * float(squash(jnp.float32(10.0)))
  probs = np.asarray(
      SUPPORT.to_probs(unsquash(jnp.float32(0.25 * bins[12] + 0.75 * bins[13])))
  )
  np.testing.assert_allclose(probs[12:14], [0.25, 0.75], atol=2e-3)


def test_zero_has_a_bin_of_its_own():
  probs = np.asarray(SUPPORT.to_probs(jnp.zeros(())))
  assert probs[10] == 1.0 and probs.sum() == 1.0
  # Untrained heads have equal logits: they predict nothing, up to rounding.
  assert abs(float(SUPPORT.to_scalar(jnp.zeros(21)))) < 1e-4


def test_what_is_beyond_the_support_is_clipped():
  probs = np.asarray(SUPPORT.to_probs(jnp.array([-50.0, 50.0])))
  assert probs[0, 0] == 1.0 and probs[1, -1] == 1.0
  np.testing.assert_allclose(probs.sum(-1), 1.0)


def test_expectation_is_taken_in_squashed_space():
  probs = jnp.zeros(21).at[0].set(0.25).at[20].set(0.75)
  expected = unsquash(0.5 * squash(jnp.float32(10.0)))
  np.testing.assert_allclose(
      SUPPORT.to_scalar(_logits(probs)), expected, rtol=1e-5
  )


def test_without_squashing_outcomes_have_their_mean():
  plain = Support(num_bins=21, max_value=1.0, squashes=False)
  for value in (-1.0, -0.33, 0.0, 0.5, 1.0):
    probs = plain.to_probs(jnp.float32(value))
    np.testing.assert_allclose(
        plain.to_scalar(_logits(probs)), value, atol=1e-6
    )
  even = jnp.zeros(21).at[jnp.array([10, 20])].set(0.5)  # A draw and a win.
  np.testing.assert_allclose(plain.to_scalar(_logits(even)), 0.5, rtol=1e-6)
  squashed = Support(num_bins=21, max_value=1.0).to_scalar(_logits(even))
  np.testing.assert_allclose(squashed, 0.457, atol=1e-3)


def test_gradient_reaches_the_logits_everywhere():
  gradient = jax.grad(SUPPORT.to_scalar)(jnp.zeros(21))
  assert np.isfinite(gradient).all() and (np.diff(gradient) > 0).all()


@pytest.mark.parametrize("num_bins", [50, 1, 0])
def test_a_support_without_a_middle_is_refused(num_bins):
  with pytest.raises(ValueError, match=f"num_bins is {num_bins}.*odd"):
    Support(num_bins=num_bins, max_value=1.0)
