"""Windows of a board: a convolution, and nothing learned in one place alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run
from mulearn.model import board_kinds, board_networks, board_windows


@pytest.fixture
def config(board_config):
  config = board_config("simulator")
  config.env.name = "connect_four"
  config.model.window, config.model.window_features = 4, 6
  return config


def test_windows_are_a_convolution(config):
  networks = board_kinds.make_networks(config, jax.random.key(0))
  reader = networks.read
  reader.look.bias[...] = jax.random.normal(jax.random.key(1), (6,))
  planes = jax.random.normal(jax.random.key(2), (5, 6, 7, 2))
  # A window is flattened channel by channel.
  kernel = reader.look.kernel[...].reshape(2, 4, 4, 6).transpose(1, 2, 0, 3)
  seen = jax.lax.conv_general_dilated(
      planes,
      kernel,
      (1, 1),
      "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  assert seen.shape == (5, 3, 4, 6)
  seen = jax.nn.relu(seen + reader.look.bias[...])
  np.testing.assert_allclose(
      reader(planes.reshape(5, -1)),
      reader.read(seen.reshape(5, -1)),
      atol=1e-5,
  )


def test_a_gradient_is_that_of_all_windows(config):
  """Held against finite differences, through the weights that are shared."""
  networks = board_kinds.make_networks(config, jax.random.key(0))
  flat = jax.random.normal(jax.random.key(1), (3, 84))
  weigh = jax.random.normal(jax.random.key(2), (3, config.model.width))

  def measure(networks):
    return jnp.sum(weigh * networks.read(flat))

  gradient = jax.grad(measure)(networks).read.look.kernel[...]
  kernel = networks.read.look.kernel[...]
  way = jax.random.normal(jax.random.key(3), kernel.shape)
  measured = []
  for step in (1e-3, -1e-3):
    networks.read.look.kernel[...] = kernel + step * way
    measured.append(measure(networks))
  slope = (measured[0] - measured[1]) / 2e-3
  np.testing.assert_allclose(jnp.sum(gradient * way), slope, rtol=0.02)


def test_in_half_precision_it_says_nearly_the_same(config):
  networks = board_kinds.make_networks(config, jax.random.key(0))
  half = board_networks.with_kernels_in(networks, "bfloat16")
  planes = jax.random.bernoulli(jax.random.key(1), 0.3, (5, 6, 7, 2))
  near, exact = half.represent(planes), networks.represent(planes)
  assert near.dtype == jnp.float32
  np.testing.assert_allclose(near, exact, atol=0.1)
  assert np.abs(near - exact).max() > 0.0


@pytest.mark.parametrize("kind", ["simulator", "world"])
def test_what_windows_are_read_as_is_learned(kind, board_config):
  config, key = board_config(kind), jax.random.key(0)
  config.model.window = 2
  run = board_run.begin(config, key, key)
  before = np.array(run.state.params.read.look.kernel[...])
  assert before.shape == (2 * 2 * 2, 128)
  # Heads begin at zero, so the first step is theirs alone.
  board_run.play_and_learn(run, key, key, num_updates=3)
  assert (np.array(run.state.params.read.look.kernel[...]) != before).any()


@pytest.mark.parametrize("channels", [0, 4])
@pytest.mark.parametrize(
    ("game", "shape"),
    [("connect_four", r"\(6, 7, 2\)"), ("cartpole", r"\(4,\)")],
)
def test_a_window_that_does_not_fit_is_named(game, shape, channels, config):
  config.env.name, config.model.window = game, 7
  config.model.channels = channels
  with pytest.raises(ValueError, match=f"window is 7, .*{shape}: windows need"):
    board_kinds.make_networks(config, jax.random.key(0))


def test_pictures_are_no_boards():
  with pytest.raises(ValueError, match="each of 8649 windows"):
    board_windows.check(4, (96, 96, 4))


@pytest.mark.parametrize("kind", ["stochastic", "dqn"])
def test_who_has_no_windows_says_so(kind, board_config):
  config, key = board_config(kind), jax.random.key(0)
  config.model.window = 2
  with pytest.raises(
      ValueError, match=f"window is 2, but model.kind is '{kind}"
  ):
    board_run.begin(config, key, key)
