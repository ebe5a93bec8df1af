"""Networks of pictures: an imaginer like any other, that sees in two axes."""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import LearnConfig, ModelConfig
from mulearn.learn.board_losses import board_loss
from mulearn.learn.targets import make_targets
from mulearn.model.picture_networks import PictureImaginer
from mulearn.model.support import Support
from mulearn.model.value_prefix import remember
from mulearn.types import Trajectory

CONFIG = ModelConfig(width=8, channels=4, num_bins=11)


def _networks(shape=(32, 16, 2)) -> PictureImaginer:
  """Networks with opinions: no parameter is left at zero."""

  @jax.jit
  def make(key):
    rngs = nnx.Rngs(key)
    networks = PictureImaginer(
        CONFIG, observation_shape=shape, num_actions=3, rngs=rngs
    )
    return remember(networks, 2, rngs)

  random = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: np.float32(x + 0.1 * random.normal(size=x.shape)),
      make(jax.random.key(0)),
  )


@pytest.fixture(scope="module")
def networks() -> PictureImaginer:
  return _networks()


def _pictures(*batch) -> jax.Array:
  key = jax.random.key(2)
  return jax.random.randint(key, (*batch, 32, 16, 2), 0, 256).astype(jnp.uint8)


def test_every_parameter_has_a_gradient(networks):
  learn = LearnConfig(unroll_steps=1, td_steps=1, consistency_weight=2.0)
  shape = (2, 3)
  key = jax.random.key(3)
  moves = Trajectory(
      observation=_pictures(*shape),
      prior_logits=jnp.zeros((*shape, 3)),
      invalid=jnp.zeros((*shape, 3), bool),
      policy=jax.nn.softmax(jax.random.normal(key, (*shape, 3))),
      improvement=jnp.zeros((*shape, 3)),
      value=jax.random.normal(key, shape),
      action=jnp.array([[0, 1, 2], [2, 0, 1]]),
      reward=jax.random.normal(key, shape),
      discount=jnp.ones(shape),
      truncated=jnp.zeros(shape, bool),
      held_out=jnp.zeros(shape, bool),
  )
  targets = make_targets(moves, discount=0.9, unroll_steps=1, td_steps=1)

  @jax.jit
  def gradients(networks, moves):
    def loss(networks):
      return board_loss(
          networks, moves, targets, jnp.ones(2),
          config=learn, support=Support(11, 2.0),
      )  # fmt: skip

    return jax.grad(loss, has_aux=True)(networks)

  found, metrics = gradients(networks, moves)
  for path, leaf in jax.tree.leaves_with_path(found):
    assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0.0, path
  assert {"loss/reward", "loss/consistency"} < set(metrics)


def test_a_latent_is_a_map_that_does_not_run_away(networks):
  represent, pictures = jax.jit(networks.represent), _pictures(3)
  latent = represent(pictures)
  assert latent.shape == (3, 2 * 1 * 4)
  other = represent(pictures.at[0].set(0))
  changed = (latent != other).any(axis=-1)
  np.testing.assert_array_equal(changed, [True, False, False])
  state, logits, goes_on = jax.jit(networks.dynamics)(
      networks.reward.begin(latent), jnp.array([0, 1, 2])
  )
  after = networks.reward.latent(state)
  for x in (latent, after):
    np.testing.assert_allclose(x.mean(-1), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(-1), 1.0, atol=1e-3)
  assert logits.shape == (3, 11) and goes_on.shape == (3,)
  policy, value = jax.jit(networks.predict)(jnp.stack([latent, after]))
  assert policy.shape == (2, 3, 3) and value.shape == (2, 3, 11)
  assert networks.legal_logits(after).shape == (3, 3)


def test_brightness_counts_from_0_to_1(networks):
  pictures, represent = _pictures(3), jax.jit(networks.represent)
  floats = pictures.astype(jnp.float32) / 255.0
  np.testing.assert_allclose(represent(pictures), represent(floats), atol=1e-5)


def test_pictures_that_cannot_be_halved_are_named():
  with pytest.raises(ValueError, match="observations are of 10 x 10"):
    _networks((10, 10, 4))
