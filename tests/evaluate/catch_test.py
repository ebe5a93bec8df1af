"""Each way to act in Catch is worth what its actions are worth."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env.catch import Catch
from mulearn.evaluate import catch
from mulearn.types import Node


class _Played(NamedTuple):
  action: jax.Array


class _Agent:
  """Its head likes the left, its model knows all, its search the worst."""

  environment = Catch()

  def __init__(self):
    self.worth = self.environment.worth()

  def _check(self, state):
    assert state.row.shape == (len(self.worth.action_values),)

  def plan(self, rng_key, state):
    self._check(state)
    return _Played(jnp.asarray(self.worth.action_values.argmin(axis=-1)))

  def glance(self, state):
    self._check(state)
    num = len(self.worth.action_values)
    logits = jnp.log(jnp.tile(jnp.array([0.5, 0.25, 0.25]), (num, 1)))
    nothing = jnp.zeros(num)
    return Node(
        state, None, logits, logits > 0.0, nothing + 0.5, nothing, nothing
    )

  def look_ahead(self, state):
    self._check(state)
    return jnp.asarray(self.worth.action_values)


@pytest.fixture(scope="module")
def found():
  return catch.examine(_Agent(), jax.random.key(0))


def test_each_way_earns_what_its_actions_earn(found):
  game = Catch()
  num = len(game.worth().action_values)
  best = game.worth().mean_return
  head = np.tile([0.5, 0.25, 0.25], (num, 1))
  left = np.tile([1.0, 0.0, 0.0], (num, 1))
  assert found["value_return"] == pytest.approx(best)
  assert found["policy_return"] == pytest.approx(game.worth(head).mean_return)
  assert found["mode_return"] == pytest.approx(game.worth(left).mean_return)
  assert found["mean_return"] < found["mode_return"] < best


def test_the_value_is_held_against_the_worth_of_the_head(found):
  game = Catch()
  head = np.tile([0.5, 0.25, 0.25], (len(game.worth().action_values), 1))
  exact = np.sum(head * game.worth(head).action_values, axis=-1)
  assert found["value_error"] == pytest.approx(np.abs(0.5 - exact).mean())
