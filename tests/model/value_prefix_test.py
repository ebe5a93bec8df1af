"""The value prefix: sums are taught, and search gets rewards back from them."""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mulearn.config import LearnConfig, ModelConfig
from mulearn.learn.board_losses import board_loss
from mulearn.learn.targets import make_targets
from mulearn.model.board_networks import Imaginer
from mulearn.model.board_world import BoardObservation, BoardWorldModel
from mulearn.model.support import Support
from mulearn.model.value_prefix import PrefixReward, remember
from mulearn.types import Trajectory

SUPPORT = Support(21, 4.0)
# What is said of values and ends says nothing here.
LEARN = LearnConfig(
    unroll_steps=4, td_steps=1, unroll_gradient=1.0, value_weight=0.0,
    continue_weight=0.0,
)  # fmt: skip


def _head(prefix_moves) -> PrefixReward:
  """A head with opinions: no parameter is left at zero."""
  head = PrefixReward(6, 21, prefix_moves, rngs=nnx.Rngs(0))
  keys = iter(jax.random.split(jax.random.key(1), 9))
  return jax.tree.map(
      lambda x: x + jax.random.normal(next(keys), x.shape), head
  )


def _networks(prefix_moves=3) -> Imaginer:
  config = ModelConfig(width=32, num_bins=21, max_return=4.0)
  rngs = nnx.Rngs(0)
  networks = Imaginer(config, observation_size=4, num_actions=3, rngs=rngs)
  return remember(networks, prefix_moves, rngs)


@pytest.mark.parametrize(
    "prefix_moves, sums",
    [(1, [1, 2, -4, 8, 0]), (2, [1, 3, -4, 4, 0]), (5, [1, 3, -1, 7, 7])],
)
def test_running_sums_by_hand_and_their_differences(prefix_moves, sums):
  head = _head(prefix_moves)
  reward = jnp.array([[1.0, 2.0, -4.0, 8.0, 0.0]])
  taught = head.taught(reward)
  np.testing.assert_array_equal(taught, [sums])
  state, found = head.begin(jnp.zeros((1, 2))), []
  for said in taught.T:
    state, _ = head.say(state, jnp.ones((1, 2)), jnp.ones((1, 6)))
    state, one = head.settle(state, said)
    found.append(one)
  np.testing.assert_array_equal(jnp.stack(found, axis=1), reward)
  np.testing.assert_array_equal(head.latent(state), jnp.ones((1, 2)))


def test_the_memory_reaches_back_to_its_fresh_start_and_no_further():
  head = _head(2)
  outcomes = jax.random.normal(jax.random.key(2), (4, 1, 6))

  def said(outcomes):
    state, logits = head.begin(jnp.zeros((1, 2))), []
    for outcome in outcomes:
      state, one = head.say(state, jnp.zeros((1, 2)), outcome)
      logits.append(one)
    return np.stack(logits)

  before, after = said(outcomes), said(outcomes.at[0].add(1.0))
  changed = (before != after).any(axis=(1, 2))
  np.testing.assert_array_equal(changed, [True, True, False, False])


def test_rows_begin_anew_each_at_its_own_depth():
  """Search continues from nodes of different depths in one batch."""
  head = _head(2)
  outcome = jax.random.normal(jax.random.key(2), (1, 6))
  state, latent = head.begin(jnp.zeros((1, 2))), jnp.zeros((1, 2))
  states, logits, rewards = [], [], []
  for said in (1.0, 4.0, 9.0):
    states.append(state)
    state, one = head.say(state, latent, outcome)
    state, reward = head.settle(state, jnp.array([said]))
    logits.append(one[0])
    rewards.append(reward[0])
  assert rewards == [1.0, 3.0, 9.0]
  together = jax.tree.map(lambda *x: jnp.concatenate(x), *states)
  three = jnp.zeros((3, 2)), jnp.repeat(outcome, 3, axis=0)
  after, one = head.say(together, *three)
  np.testing.assert_allclose(one, jnp.stack(logits), rtol=1e-5)
  _, reward = head.settle(after, jnp.array([1.0, 4.0, 9.0]))
  np.testing.assert_array_equal(reward, rewards)


def _moves(**changes) -> Trajectory:
  """Four sequences in which every move's reward is another's."""
  keys = iter(jax.random.split(jax.random.key(3), 4))
  shape = (4, LEARN.unroll_steps + LEARN.td_steps + 1)
  fields = {
      "observation": jax.random.normal(next(keys), (*shape, 2, 2, 1)),
      "prior_logits": jnp.zeros((*shape, 3)),
      "invalid": jnp.zeros((*shape, 3), bool),
      "policy": jnp.full((*shape, 3), 1 / 3),
      "improvement": jnp.zeros((*shape, 3)),
      "value": jnp.zeros(shape),
      "action": jax.random.randint(next(keys), shape, 0, 3),
      "reward": jnp.round(jax.random.uniform(next(keys), shape), 1),
      "discount": jnp.ones(shape),
      "truncated": jnp.zeros(shape, bool),
      "held_out": jnp.zeros(shape, bool),
  }
  return Trajectory(**fields | changes)


@jax.jit
def _loss(networks, moves):
  targets = make_targets(moves, discount=1.0, unroll_steps=4, td_steps=1)
  weights = jnp.ones(len(moves.reward))
  return board_loss(
      networks, moves, targets, weights, config=LEARN, support=SUPPORT
  )


def test_nothing_is_added_behind_an_end_and_nothing_taught_behind_a_cut():
  networks, moves = _networks(), _moves()
  networks.reward.bias[...] = jnp.arange(21.0)  # An opinion of its own.
  ended = moves._replace(discount=moves.discount.at[:, 1].set(0.0))
  targets = make_targets(ended, discount=1.0, unroll_steps=4, td_steps=1)
  first, second = np.asarray(moves.reward)[:, :2].T
  # Every third move begins anew: there the absorbing rewards are 0.
  expected = np.stack([first, first + second, first + second, 0 * first], 1)
  taught = networks.reward.taught(targets.reward)
  np.testing.assert_array_equal(taught, expected)
  cut = moves._replace(truncated=moves.truncated.at[:, 1].set(True))
  for one, counted in ((ended, 2), (cut, 2), (moves, 4)):
    for move in (1, 2, 3):
      other = one._replace(reward=one.reward.at[:, move].add(1.0))
      losses = (_loss(networks, m)[1]["loss/reward"] for m in (one, other))
      assert len(set(map(float, losses))) == 1 + (move < counted)


def test_sums_learned_by_heart_are_rewards_in_the_world():
  moves, optimizer = _moves(), optax.adam(3e-3)

  def update(carry, _):
    networks, state = carry
    gradient = jax.grad(lambda n: _loss(n, moves)[0])(networks)
    updates, state = optimizer.update(gradient, state)
    return (optax.apply_updates(networks, updates), state), None

  @jax.jit
  def learn(networks):
    carry = networks, optimizer.init(networks)
    return jax.lax.scan(update, carry, None, 600)[0][0]

  world = BoardWorldModel(learn(_networks()), SUPPORT, 1.0, 1.0)
  seen = BoardObservation(moves.observation[:, 0], moves.invalid[:, 0])
  key = jax.random.key(0)
  node, found = world.root(key, seen, jnp.zeros((4, 3))), []
  step = jax.jit(world.step)
  for k in range(4):
    node = step(key, node.state, moves.action[:, k])
    found.append(node.reward)
  found = np.stack(found, axis=1)
  np.testing.assert_allclose(found, moves.reward[:, :4], atol=0.1)
  # They were taught as sums: the last sum since the fresh start is known.
  np.testing.assert_allclose(node.state.total, found[:, 3], atol=1e-6)
