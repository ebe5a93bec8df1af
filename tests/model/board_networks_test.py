"""Networks of boards: shapes, scales, and a gradient in every parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.model import board_kinds, board_networks


@pytest.mark.parametrize("kind", ["simulator", "world"])
def test_an_untrained_network_has_no_opinion(kind, board_config):
  networks = board_kinds.make_networks(board_config(kind), jax.random.key(0))
  planes = jax.random.normal(jax.random.key(1), (5, 3, 3, 2))
  latent = networks.represent(planes)
  policy, value = networks.predict(latent)
  assert latent.shape == (5, 16)
  assert policy.shape == (5, 9) and value.shape == (5, 11)
  assert not policy.any() and not value.any()


def test_imagined_latents_keep_their_scale(make_board_networks):
  networks = make_board_networks("world")
  latent = networks.represent(jnp.ones((2, 3, 3, 2)))
  for _ in range(20):
    latent, reward, goes_on = networks.dynamics(latent, jnp.array([0, 8]))
  assert reward.shape == (2, 11) and goes_on.shape == (2,)
  np.testing.assert_allclose(
      np.sqrt(np.mean(np.square(latent), axis=-1)), 1.0, atol=0.01
  )


def test_moves_lead_to_different_latents(make_board_networks):
  networks = make_board_networks("world")
  latent = networks.represent(jnp.ones((1, 3, 3, 2))).repeat(9, axis=0)
  after, _, _ = networks.dynamics(latent, jnp.arange(9))
  assert len(np.unique(np.round(after, 3), axis=0)) == 9


def test_a_kind_that_is_none_is_named(board_config):
  config = board_config("world")
  config.model.kind = "oracle"
  with pytest.raises(ValueError, match="'oracle'.*simulator, world"):
    board_kinds.make_networks(config, jax.random.key(0))


def test_matrices_in_half_precision_say_nearly_the_same(make_board_networks):
  networks = make_board_networks("world")
  half = board_networks.with_kernels_in(networks, "bfloat16")
  assert half.judge.inner.kernel[...].dtype == jnp.bfloat16
  assert half.judge.inner.bias[...].dtype == jnp.float32
  latent = networks.represent(jnp.ones((2, 3, 3, 2)))
  near = half.represent(jnp.ones((2, 3, 3, 2)))
  assert near.dtype == jnp.float32
  np.testing.assert_allclose(near, latent, atol=0.05)
  assert np.abs(near - latent).max() > 0.0
