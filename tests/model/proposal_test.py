"""Proposals: densities are what is drawn from, at every temperature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import ModelConfig
from mulearn.model.proposal import PROPOSALS, Discretised, TanhGaussian

KEY = jax.random.key(0)


@functools.partial(jax.jit, static_argnums=0)
def _density_and_draws(proposal, outputs, actions, temperature):
  """Densities `[N]` of actions `[N, D]`, and draws `[40_000, D]`."""
  density = jnp.exp(proposal.log_prob(outputs, actions, temperature))
  drawn = proposal.sample(KEY, outputs[None], 40_000, temperature)[0]
  return density, drawn


def test_the_density_of_tanh_is_one_in_all_and_that_of_the_draws():
  edge = np.linspace(-0.99999, 0.99999, 200_001)
  for temperature in (1.0, 2.0):
    density, drawn = jax.device_get(
        _density_and_draws(
            TanhGaussian(), jnp.array([0.4, -1.0]), edge[:, None], temperature
        )
    )
    np.testing.assert_allclose(np.trapezoid(density, edge), 1.0, atol=1e-3)
    for power in (1, 2):
      moment = np.trapezoid(density * edge**power, edge)
      np.testing.assert_allclose(np.mean(drawn**power), moment, atol=0.01)


def test_bins_are_drawn_as_often_as_they_are_likely():
  outputs = np.array([0.0, 1.0, -1.0, 2.0, 0.0, 0.0])  # Of two dimensions.
  grid = np.stack(np.meshgrid(*2 * [np.linspace(-1.0, 1.0, 3)]), -1)
  grid = grid.reshape(9, 2)
  for temperature in (1.0, 3.0):
    chances, drawn = jax.device_get(
        _density_and_draws(Discretised(3), outputs, grid, temperature)
    )
    first = np.exp(outputs[:3] / temperature)
    second = np.exp(outputs[3:] / temperature)
    both = np.outer(second / second.sum(), first / first.sum()).ravel()
    np.testing.assert_allclose(chances, both, rtol=1e-5)
    shares = [np.mean(np.all(drawn == action, axis=-1)) for action in grid]
    np.testing.assert_allclose(shares, both, atol=0.01)


def test_what_the_head_says_of_a_dimension_is_of_that_dimension():
  """The density of two dimensions is the product of those of one."""
  one = jax.jit(TanhGaussian().log_prob)
  both = np.array([0.5, -2.0, 0.1, 1.0], np.float32)  # Means, then scales.
  actions = np.array([[0.2, -0.9], [0.7, 0.0]], np.float32)
  apart = sum(one(both[i::2], actions[:, i : i + 1]) for i in range(2))
  np.testing.assert_allclose(one(both, actions), apart, rtol=1e-5)


@pytest.mark.parametrize("name", PROPOSALS)
def test_far_actions_are_bounded_and_have_finite_gradients(name):
  proposal = PROPOSALS[name](ModelConfig())

  @jax.jit
  def gradient(outputs):
    actions = proposal.sample(KEY, outputs, 64).at[0, 0].set(1.0)
    slope = jax.grad(lambda x: proposal.log_prob(x, actions).sum())
    return actions, slope(outputs)

  actions, slope = gradient(np.full((1, proposal.num_outputs(2)), 50.0))
  assert np.abs(actions).max() <= 1.0 and np.isfinite(slope).all()
