"""What Stochastic MuZero learns of chance: codes with a meaning, and odds."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import PriorConfig
from mulearn.learn.chance_losses import ChanceLearner, imagine
from mulearn.learn.optimizer import make_optimizer
from mulearn.learn.targets import make_targets
from mulearn.model.board_kinds import make_networks
from mulearn.model.support import Support
from mulearn.types import TrainState, Trajectory

SUPPORT = Support(11, 1.0)
UNROLL = 2
LENGTH = 5


def _coins(batch, **changes) -> Trajectory:
  """Games in which chance answers a move with one of two boards, 3 to 1."""
  shape = (batch, LENGTH)
  heads = jax.random.bernoulli(jax.random.key(0), 0.75, shape)
  boards = jnp.zeros((*shape, 3, 3, 2)).at[..., 0, 0, 0].set(heads)
  boards = boards.at[..., 1, 1, 1].set(~heads)
  values = {
      "observation": boards,
      "prior_logits": jnp.zeros((*shape, 9)),
      "invalid": jnp.zeros((*shape, 9), bool).at[..., 1:].set(
          heads[..., None]
      ),
      "policy": jnp.zeros((*shape, 9)).at[..., 0].set(1.0),
      "improvement": jnp.zeros((*shape, 9)),
      "value": jnp.where(heads, 0.5, -0.5),
      "action": jnp.zeros(shape, jnp.int32),
      "reward": jnp.zeros(shape),
      "discount": jnp.ones(shape),
      "truncated": jnp.zeros(shape, bool),
      "held_out": jnp.zeros(shape, bool),
  }  # fmt: skip
  return Trajectory(**values | changes)


@pytest.fixture
def learner(board_config):
  learn = dataclasses.replace(
      board_config("stochastic").learn,
      explored_below=0.0,
      weight_decay=0.0,
      consistency_weight=1.0,
      learning_rate=0.01,
      td_steps=LENGTH - 1 - UNROLL,
  )
  optimizer = make_optimizer(learn, PriorConfig(), 80)
  return ChanceLearner(optimizer, learn, SUPPORT, None, "float32")


@pytest.fixture
def state(learner, board_config):
  networks = make_networks(board_config("stochastic"), jax.random.key(0))
  start = learner.optimizer.init(networks)
  return TrainState(networks, start, jnp.zeros((), jnp.int32))


@functools.partial(jax.jit, static_argnames="learner")
def _terms(learner, networks, trajectory):
  targets = make_targets(
      trajectory, discount=1.0, unroll_steps=UNROLL,
      td_steps=LENGTH - 1 - UNROLL,
  )  # fmt: skip
  seen = jax.tree.map(lambda x: x[:, : UNROLL + 1], trajectory)
  return imagine(
      networks, seen, targets, config=learner.config, support=SUPPORT
  )


def test_codes_come_to_mean_what_chance_did(learner, state):
  coins = _coins(64)
  weights = jnp.ones(64)

  @jax.jit
  def learn(state):
    def step(state, _):
      return learner.train_step(state, coins, weights)

    return jax.lax.scan(step, state, None, 80)

  before = state.params
  state, metrics = learn(state)
  names = {"after_value", "odds", "commitment", "reward", "policy", "value"}
  assert {f"loss/{name}" for name in names} < set(metrics)
  moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, state.params)
  for path, has_gradient in jax.tree.leaves_with_path(moved):
    assert has_gradient, path
  networks, heads = state.params, coins.observation[:, 1, 0, 0, 0] > 0
  after = networks.act(networks.represent(coins.observation[:, 0]),
                       coins.action[:, 0])  # fmt: skip
  code = networks.encode(after, coins.observation[:, 1], weights).argmax(
      axis=-1
  )
  named = [set(map(int, code[np.asarray(side)])) for side in (heads, ~heads)]
  assert not named[0] & named[1]
  # The odds of a side are those of its codes.
  odds = jax.nn.softmax(networks.foresee(after)[0])
  found = np.asarray(odds[:, jnp.array(sorted(named[0]))].sum(axis=1))
  share = float(coins.observation[:, 1 : UNROLL + 1, 0, 0, 0].mean())
  np.testing.assert_allclose(found, share, atol=0.1)
  # And what comes of a code is what came of the side.
  for side, is_legal in zip(named, (False, True)):
    likely = max(side, key=lambda c: int((code == c).sum()))
    number = jnp.full(64, likely)
    latent, _, _ = networks.settle(after, jax.nn.one_hot(number, 32))
    assert ((networks.legal_logits(latent)[:, 1:] > 0.0) == is_legal).all()
  assert 1.5 < metrics["codes"][-1] < 4.0


def test_an_end_is_a_code_and_the_next_game_is_not_seen(learner, state):
  ended = jnp.ones((3, LENGTH)).at[:, 1].set(0.0)  # With the second move.
  coins = _coins(3, discount=ended)
  imagined = _terms(learner, state.params, coins)
  other = coins._replace(observation=coins.observation.at[:, 2:].add(1.0))
  same = _terms(learner, state.params, other)
  jax.tree.map(np.testing.assert_array_equal, imagined, same)
  _, mask = imagined.terms["odds"]
  np.testing.assert_array_equal(mask, [[1, 1]] * 3)
  # What a cut hides is not taught; the move before it is.
  cut = jnp.zeros((3, LENGTH), bool).at[:, 1].set(True)
  _, mask = _terms(learner, state.params, _coins(3, truncated=cut)).terms[
      "commitment"
  ]
  np.testing.assert_array_equal(mask, [[1, 0]] * 3)


def test_an_afterstate_is_not_taught_by_returns_that_leave_its_move_out(
    learner, state
):
  explored = jnp.ones((1, LENGTH), jnp.int32)  # The policy is all for 0.
  cut = jnp.zeros((1, LENGTH), bool).at[0, 1].set(True)
  worse = jnp.zeros((1, LENGTH, 9)).at[..., 0].set(2.0)
  for changes, rule, taught in (
      ({}, {"explored_below": 0.5}, [1, 1]),
      ({"action": explored}, {"explored_below": 0.5}, [0, 0]),
      ({"action": explored}, {}, [1, 1]),
      ({"action": explored, "improvement": worse}, {}, [1, 1]),
      (
          {"action": explored, "improvement": worse},
          {"explored_nats": 1.0},
          [0, 0],
      ),
      ({"truncated": cut}, {}, [1, 0]),
  ):
    config = dataclasses.replace(learner.config, **rule)
    found = dataclasses.replace(learner, config=config)
    _, mask = _terms(found, state.params, _coins(1, **changes)).terms[
        "after_value"
    ]
    np.testing.assert_array_equal(mask[0], taught)
