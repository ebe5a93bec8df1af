"""CRR on a model small enough to do by hand, and what the loss makes of it."""

import math

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import LearnConfig
from mulearn.learn import crr
from mulearn.learn.board_losses import board_loss
from mulearn.learn.targets import make_targets
from mulearn.model.board_networks import Predictor, Reward
from mulearn.model.support import Support
from mulearn.types import Node, Trajectory

# The policy head says 1/4, 1/4, 1/2; a third action is at times invalid.
_LOGITS = jnp.log(jnp.array([[0.25, 0.25, 0.5], [0.5, 0.5, 0.3]]))
_INVALID = jnp.array([[False, False, False], [False, False, True]])


class _Table:
  """A model in which action `a` pays `a`, and leads to a worth of 10."""

  def step(self, rng_key, state, action):
    del rng_key
    size = action.shape[0]
    return Node(
        state=state,
        actions=None,
        prior_logits=None,
        invalid=None,
        value=jnp.full(size, 10.0),
        reward=action.astype(float),
        discount=jnp.where(state == 0, 0.5, 0.0),
    )


def _root():
  zeros = jnp.zeros(2)
  return Node(
      jnp.array([0, 1]), None, _LOGITS, _INVALID, zeros, zeros, zeros + 1.0
  )


def _teach(action, scale):
  return crr.teach(
      _Table(), jax.random.key(0), _root(), jnp.array(action), scale=scale
  )


def test_the_value_is_that_of_the_policy_by_the_model():
  found = _teach([0, 0], 0.0)
  # Q is 5, 6, 7 at the first and 0, 1 at the second, which ends the game.
  np.testing.assert_allclose(found["value"], [6.25, 0.5], rtol=1e-6)


@pytest.mark.parametrize(
    "action, scale, weights",
    [
        ([2, 1], 0.0, [1.0, 1.0]),  # Advantages .75 and .5.
        ([1, 0], 0.0, [0.0, 0.0]),  # -.25 and -.5.
        ([2, 0], 0.5, [math.exp(1.5), math.exp(-1.0)]),
        ([0, 1], 0.1, [math.exp(-12.5), 20.0]),  # exp(5) is too much.
    ],
)
def test_a_move_weighs_by_how_much_it_beats_the_policy(action, scale, weights):
  found = _teach(action, scale)["policy"]
  expected = np.eye(3)[action] * np.array(weights)[:, None]
  np.testing.assert_allclose(found, expected, rtol=1e-5)


class _Head:
  """Networks of one policy for all positions; nothing is imagined."""

  log_policy = Predictor.log_policy

  def __init__(self, logits):
    self.logits = logits
    self.reward = Reward(1, 3, rngs=nnx.Rngs(0))

  def represent(self, seen):
    return jnp.zeros((seen.shape[0], 1))

  def dynamics(self, latent, action):
    return latent, jnp.zeros((len(action), 3)), jnp.zeros(len(action))

  def predict(self, latent):
    shape = latent.shape[:-1]
    return (
        jnp.broadcast_to(self.logits, (*shape, 3)),
        jnp.zeros((*shape, 3)),
    )

  def legal_logits(self, latent):
    return jnp.zeros((*latent.shape[:-1], 3))


def _sequence(policy, discount, truncated=(False, False, False)):
  """Three positions of one lane."""
  nothing = jnp.zeros((1, 3, 3))
  return Trajectory(
      observation=nothing, prior_logits=nothing, invalid=nothing.astype(bool),
      policy=jnp.array([policy]), improvement=nothing,
      value=jnp.zeros((1, 3)), action=jnp.zeros((1, 3), jnp.int32),
      reward=jnp.zeros((1, 3)), discount=jnp.array([discount]),
      truncated=jnp.array([truncated]), held_out=jnp.zeros((1, 3), bool),
  )  # fmt: skip


def _pull(trajectory):
  """The gradient of the policy's part of the loss, of the head's logits."""
  config = LearnConfig(
      unroll_steps=2, td_steps=0, value_weight=0.0, reward_weight=0.0,
      continue_weight=0.0, admissible_weight=0.0,
  )  # fmt: skip
  targets = make_targets(trajectory, discount=1.0, unroll_steps=2, td_steps=0)

  def loss(logits):
    return board_loss(
        _Head(logits), trajectory, targets, jnp.ones(1),
        config=config, support=Support(3, 1.0),
    )[0]  # fmt: skip

  return jax.grad(loss)(jnp.zeros(3))


def test_behaviour_is_cloned_at_every_position_of_the_game():
  played = np.eye(3)[[0, 0, 1]].tolist()
  # A mean over 3 positions of softmax - played, each 1/3.
  np.testing.assert_allclose(
      _pull(_sequence(played, [1.0, 1.0, 1.0])),
      [1 / 3 - 2 / 3, 1 / 3 - 1 / 3, 1 / 3],
      atol=1e-6,
  )


@pytest.mark.parametrize("cut", [False, True])
def test_nothing_is_cloned_behind_the_end_of_a_game(cut):
  """The third position is another game's."""
  played = np.eye(3)[[0, 0, 1]].tolist()
  trajectory = (
      _sequence(played, [1.0, 1.0, 1.0], [False, True, False])
      if cut
      else _sequence(played, [1.0, 0.0, 1.0])
  )
  expected = 2 / 3 * np.array([1 / 3 - 1.0, 1 / 3, 1 / 3])
  np.testing.assert_allclose(_pull(trajectory), expected, atol=1e-6)


def test_the_loss_pulls_by_the_weight():
  weighted = [[20.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, 0.0]]
  pull = _pull(_sequence(weighted, [1.0, 1.0, 1.0]))
  # (20 (softmax - e_0) + 0 + .5 (softmax - e_1)) / 3.
  third = np.full(3, 1 / 3)
  expected = (20 * (third - np.eye(3)[0]) + 0.5 * (third - np.eye(3)[1])) / 3
  np.testing.assert_allclose(pull, expected, rtol=1e-5)
