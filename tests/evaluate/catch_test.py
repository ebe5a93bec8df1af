"""Each way to act in Catch is worth what its actions are worth."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env.catch import Catch
from mulearn.evaluate import catch
from mulearn.types import Node

_GAME = Catch()
_BEST = _GAME.worth()
_Q = _BEST.action_values
# What pays, and not by far: what looks away from the balls earns the same .08.
_HEAD = np.asarray(jax.nn.softmax(jnp.asarray(10.0 * _Q, jnp.float32)))


class _Played(NamedTuple):
  action: jax.Array


class _Agent:
  """Its head likes the best, its model the worst, its search the second."""

  environment = _GAME

  def plan(self, rng_key, state):
    assert state.row.shape == (len(_Q),)
    return _Played(jnp.asarray(_Q.argsort(axis=-1)[:, 1]))

  def glance(self, state):
    assert state.row.shape == (len(_Q),)
    logits, nothing = jnp.asarray(10.0 * _Q), jnp.zeros(len(_Q))
    return Node(
        state, None, logits, logits > 99.0, nothing + 0.5, nothing, nothing
    )

  def look_ahead(self, state):
    assert state.row.shape == (len(_Q),)
    return -jnp.asarray(_Q)


@pytest.fixture(scope="module")
def found():
  return catch.examine(_Agent(), jax.random.key(0))


def test_each_way_earns_what_its_actions_earn(found):
  def earned(action):
    return pytest.approx(_GAME.worth(np.eye(3)[action]).mean_return)

  assert found["policy_return"] == pytest.approx(_GAME.worth(_HEAD).mean_return)
  assert found["value_return"] == earned(_Q.argmin(axis=-1))
  assert found["mean_return"] == earned(_Q.argsort(axis=-1)[:, 1])
  assert found["mode_return"] == pytest.approx(_BEST.mean_return)
  ways = ("value", "mean", "policy", "mode")
  returns = [found[f"{way}_return"] for way in ways]
  assert len(set(returns)) == 4 and returns[0] == min(returns)


def test_the_value_is_held_against_the_worth_of_the_head(found):
  exact = np.sum(_HEAD * _GAME.worth(_HEAD).action_values, axis=-1)
  assert found["value_error"] == pytest.approx(np.abs(0.5 - exact).mean())
