"""Codes: named by the largest, with a gradient as if there were no choice."""

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.model import chance_networks


def test_a_code_is_one_hot_and_hands_its_gradient_on():
  encoding = jnp.array([[0.3, 0.9, -2.0], [0.0, -1.0, -1.5]])
  weights = jnp.array([[2.0, -1.0, 5.0], [0.5, 0.25, 0.0]])
  code = chance_networks.straight_through(encoding)
  np.testing.assert_allclose(code, [[0, 1, 0], [1, 0, 0]], atol=1e-6)
  found = jax.grad(
      lambda e: jnp.sum(weights * chance_networks.straight_through(e))
  )(encoding)
  np.testing.assert_allclose(found, weights)


def test_a_move_is_imagined_with_its_likeliest_answer(make_board_networks):
  networks = make_board_networks("stochastic")
  planes = jax.random.normal(jax.random.key(0), (4, 3, 3, 2))
  action = jnp.array([0, 3, 5, 8])
  after = networks.act(networks.represent(planes), action)
  odds, _ = networks.foresee(after)
  numbers = odds.argmax(axis=-1)
  assert len(set(map(int, numbers))) > 1
  expected = networks.settle(after, jax.nn.one_hot(numbers, 32))
  found = networks.dynamics(networks.represent(planes), action)
  jax.tree.map(np.testing.assert_array_equal, found, expected)
