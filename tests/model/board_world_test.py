"""MuZero's model of a board: perspective, ends, and what it may know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.board_agent import BoardSettings
from mulearn.parallel.mesh import make_mesh


@pytest.fixture
def settings(board_config):
  return BoardSettings.from_config(board_config("world"))


def test_the_root_knows_what_is_legal_and_nodes_below_do_not(
    settings, make_board_networks, board_states
):
  networks = make_board_networks("world")
  root = settings.root(networks, jax.random.key(0), board_states((4, 0), ()))
  np.testing.assert_array_equal(np.flatnonzero(root.invalid[0]), [0, 4])
  node = settings.model(networks).step(
      jax.random.key(0), root.state, jnp.array([1, 1])
  )
  assert not node.invalid.any()
  assert node.actions is None  # Slots are the squares.


def test_every_imagined_move_turns_the_view_as_far_as_the_game_goes_on(
    settings, make_board_networks, board_states
):
  networks = make_board_networks("world")
  latent = settings.root(networks, jax.random.key(0), board_states(())).state
  for bias, expected in ((30.0, -1.0), (0.0, -0.5), (-30.0, 0.0)):
    networks.continues.kernel[...] *= 0.0
    networks.continues.bias[...] = jnp.array([bias])
    model = settings.model(networks)
    node = model.step(jax.random.key(0), latent, jnp.array([3]))
    np.testing.assert_allclose(node.discount, [expected], atol=1e-6)


def test_what_is_thought_illegal_is_hardly_tried(
    settings, make_board_networks, board_states
):
  networks = make_board_networks("world")
  networks.legal.kernel[...] *= 0.0
  networks.legal.bias[...] = jnp.where(jnp.arange(9) < 8, -30.0, 30.0)
  plan = settings.plan(
      networks,
      jax.random.key(0),
      board_states((), ()),
      num_simulations=16,
      deterministic=True,
      mesh=make_mesh(jax.devices()[:1]),
  )
  visits = np.asarray(plan.tree.children_visits)
  assert visits[:, 0, :8].any()  # At the root the rules decide.
  assert visits[:, 1:, 8].any() and not visits[:, 1:, :8].any()
