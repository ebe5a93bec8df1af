"""Proposals: densities are what is drawn from, at every temperature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import ModelConfig
from mulearn.model.proposal import PROPOSALS, Discretised, TanhGaussian

KEY = jax.random.key(0)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_density_of_tanh_is_one_in_all_and_that_of_the_draws(temperature):
  proposal = TanhGaussian()
  outputs = jnp.array([0.4, -1.0])
  edge = jnp.linspace(-0.99999, 0.99999, 200_001)
  density = jnp.exp(proposal.log_prob(outputs, edge[:, None], temperature))
  total = jnp.trapezoid(density, edge)
  np.testing.assert_allclose(total, 1.0, atol=1e-3)
  drawn = proposal.sample(KEY, outputs[None], 50_000, temperature)
  assert drawn.shape == (1, 50_000, 1)
  for power in (1, 2):
    moment = jnp.trapezoid(density * edge**power, edge)
    np.testing.assert_allclose(jnp.mean(drawn**power), moment, atol=0.01)


def test_what_the_head_says_of_a_dimension_is_of_that_dimension():
  """Two dimensions are two of one."""
  one = TanhGaussian()
  both = jnp.array([0.5, -2.0, 0.1, 1.0])  # Means, then scales.
  actions = jnp.array([[0.2, -0.9], [0.7, 0.0]])
  apart = sum(one.log_prob(both[i::2], actions[:, i : i + 1]) for i in range(2))
  np.testing.assert_allclose(one.log_prob(both, actions), apart, rtol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_bins_are_drawn_as_often_as_they_are_likely(temperature):
  proposal = Discretised(3)
  outputs = jnp.array([[0.0, 1.0, -1.0, 2.0, 0.0, 0.0]])
  drawn = proposal.sample(KEY, outputs, 40_000, temperature)[0]
  grid = jnp.stack(jnp.meshgrid(*2 * [jnp.linspace(-1.0, 1.0, 3)]), -1)
  grid = grid.reshape(9, 2)
  chances = jnp.exp(proposal.log_prob(outputs[0], grid, temperature))
  np.testing.assert_allclose(chances.sum(), 1.0, rtol=1e-5)
  shares = [jnp.mean(jnp.all(drawn == action, axis=-1)) for action in grid]
  np.testing.assert_allclose(shares, chances, atol=0.01)
  # Of the first dimension: e^0, e^1 and e^-1, at this temperature.
  first = jnp.exp(jnp.array([0.0, 1.0, -1.0]) / temperature)
  at_left = jnp.sum(jnp.where(grid[:, 0] == -1.0, chances, 0.0))
  np.testing.assert_allclose(at_left, first[0] / first.sum(), rtol=1e-5)


@pytest.mark.parametrize("name", PROPOSALS)
def test_far_actions_are_bounded_and_have_finite_gradients(name):
  proposal = PROPOSALS[name](ModelConfig())
  outputs = jnp.full((1, proposal.num_outputs(2)), 50.0)
  actions = proposal.sample(KEY, outputs, 64)
  assert jnp.abs(actions).max() <= 1.0
  actions = actions.at[0, 0].set(1.0)

  def loss(outputs):
    return jnp.sum(proposal.log_prob(outputs, actions))

  assert np.isfinite(jax.grad(loss)(outputs)).all()
