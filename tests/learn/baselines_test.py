"""PPO, A2C, TRPO and DQN: what they are told of a move, and how far they go."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run, board_train, train
from mulearn.config import (
    Config,
    EnvConfig,
    LearnConfig,
    ModelConfig,
    ReplayConfig,
    SelfPlayConfig,
)
from mulearn.learn import learners, rollout
from mulearn.types import TrainState, Trajectory


def _config(kind):
  """The smallest run of a baseline on cart-pole."""
  on_policy = kind in learners.ON_POLICY
  return Config(
      num_steps=64,
      eval_every=32,
      checkpoint_every_seconds=0.0,
      env=EnvConfig(name="cartpole", step_limit=30, num_lanes=4),
      model=ModelConfig(kind=kind, width=8, num_bins=11, max_return=20.0),
      self_play=SelfPlayConfig(
          num_plies=8, opening_rate=0.0, temperature_plies=0
      ),
      replay=ReplayConfig(
          capacity=32 if on_policy else 64, batch_size=4, min_size=32
      ),
      learn=LearnConfig(
          unroll_steps=0, td_steps=1 if on_policy else 2, warmup_steps=1,
          num_minibatches=2, target_decay=0.0 if on_policy else 0.5,
          updates_per_env_step=0.125, entropy_weight=0.01, weight_decay=0.0,
      ),
  )  # fmt: skip


def _learner(kind, **changes):
  config = _config(kind)
  config.learn = dataclasses.replace(config.learn, **changes)
  return board_run.learner_of(config)


def _train(config, workdir, stop_at):
  """Trains, and is told to stop after so many rounds; None is never."""
  rounds = itertools.count(1)
  hooks = train.Hooks(_Nowhere(), lambda: next(rounds) == stop_at)
  return board_train.train(config, workdir, begin=lambda _: hooks)


class _Nowhere:
  """Writes nothing."""

  def write(self, step, values):
    del step, values


def test_advantages_are_those_of_the_paper():
  reward = jnp.array([[1.0, 2.0, 3.0, 4.0]])
  discount = jnp.array([[0.9, 0.0, 0.9, 0.9]])  # A game ends after move 1.
  value = jnp.array([[10.0, 20.0, 30.0, 40.0]])
  nowhere = jnp.zeros((1, 4), bool)
  found = rollout.advantages(reward, discount, value, nowhere, trace_decay=0.5)
  # Backwards: 3 + .9 x 40 - 30 = 9; 2 - 20 = -18; 1 + .9 x 20 - 10 = 9, and
  # .9 x .5 of what follows.
  np.testing.assert_allclose(found, [[0.9, -18.0, 9.0]], rtol=1e-5)


def test_a_cut_episode_ends_in_the_value_of_its_last_position():
  reward, discount = jnp.ones((1, 4)), jnp.full((1, 4), 0.9)
  value = jnp.array([[10.0, 20.0, 30.0, 40.0]])
  cut = jnp.array([[False, True, False, False]])
  found = rollout.advantages(reward, discount, value, cut, trace_decay=0.5)
  np.testing.assert_allclose(
      found, [[1.0 + 0.9 * 20.0 - 10.0, 0.0, 1.0 + 0.9 * 40.0 - 30.0]]
  )


def _batch(log_prob, advantage):
  size = len(advantage)
  return rollout.Rollout(
      observation=None, invalid=None, action=jnp.zeros(size, jnp.int32),
      log_prob=jnp.array(log_prob), advantage=jnp.array(advantage),
      value=None, weight=jnp.ones(size),
  )  # fmt: skip


def test_ppo_goes_no_farther_than_its_clip():
  """Moves whose odds have risen enough, or fallen enough, do not pull."""
  learner = _learner("ppo", clip_ratio=0.2)
  logits = jnp.zeros((4, 2))  # Every move has .5 now,
  before = jnp.log(jnp.array([0.25, 0.25, 0.9, 0.9]))  # and had that.
  batch = _batch(before, [1.0, -1.0, 1.0, -1.0])
  pull = jax.grad(learner.policy_loss)(logits, batch)[:, 0]
  # Ratios 2 and .56: up with a risen, down with a fallen one is enough.
  assert pull[0] == 0.0 and pull[3] == 0.0
  assert pull[1] > 0.0 and pull[2] < 0.0


def test_a2c_pulls_by_the_advantage():
  learner = _learner("a2c")
  batch = _batch([0.0, 0.0], [3.0, -1.0])
  pull = jax.grad(learner.policy_loss)(jnp.zeros((2, 2)), batch)
  # d log softmax = 1 - .5 of the move played; a mean over two moves.
  np.testing.assert_allclose(pull[:, 0], [-0.5 * 3.0 / 2, 0.5 / 2])


def test_an_epoch_reads_every_move_once():
  rows = _learner("ppo")._minibatches(jax.random.key(0), 32, num_updates=4)
  assert rows.shape == (4, 16)  # Two epochs of two.
  for epoch in (rows[:2], rows[2:]):
    assert sorted(np.asarray(epoch).ravel()) == list(range(32))
  assert (rows[:2] != rows[2:]).any()


class _Table:
  """Networks that say what the observation says: Q of two actions."""

  def __init__(self, scale):
    self.scale = scale

  def represent(self, seen):
    return self.scale * seen

  def predict(self, latent):
    return latent, None


jax.tree_util.register_pytree_node(
    _Table, lambda t: ((t.scale,), None), lambda _, x: _Table(*x)
)


@pytest.mark.parametrize("cut", [False, True])
def test_dqn_learns_the_double_n_step_return(cut):
  """Q chooses, and the target judges, which likes the best the least."""
  q_values = jnp.array([[[1.0, 5.0], [0.0, 2.0], [7.0, 9.0]]])
  trajectory = Trajectory(
      observation=q_values, invalid=jnp.zeros((1, 3, 2), bool),
      action=jnp.array([[0, 1, 0]]), reward=jnp.array([[1.0, 2.0, 3.0]]),
      discount=jnp.ones((1, 3)), truncated=jnp.array([[cut, False, False]]),
      prior_logits=None, policy=None, improvement=None, value=None,
      held_out=None,
  )  # fmt: skip
  learner = _learner("dqn", td_steps=2, discount=0.9)
  state = TrainState(_Table(1.0), None, 0, target=_Table(-1.5))
  objective = learner.objective(state, trajectory, jnp.ones(1))
  loss, metrics = objective(state.params)
  # Q says 9 is best; to the target it is worth -13.5, the other one -10.5.
  error = 1.0 - (1.0 + 0.9 * (2.0 + 0.9 * -13.5))
  if not cut:
    np.testing.assert_allclose(metrics["value_error"], [error], rtol=1e-5)
    np.testing.assert_allclose(loss, error - 0.5, rtol=1e-5)  # Huber's.
  else:
    assert loss == 0.0  # Nobody knows what came of that move.


@pytest.mark.parametrize("kind", ["ppo", "trpo", "dqn"])
def test_a_baseline_runs_through_the_loop_and_goes_on(kind, tmp_path):
  """Two rounds, examined; and stopped in between, the same to the last bit."""
  config = _config(kind)
  run = _train(config, tmp_path / "whole", stop_at=None)
  final, taken = run.curve[-1], int(run.state.step)
  assert run.env_steps == final["env_steps"] == 64 and taken == 8
  assert 1.0 <= final["least_return"] <= final["mean_return"] <= 30.0
  assert final["mean_return"] == final["mean_length"]
  with pytest.raises(train.Interrupted):
    _train(config, tmp_path / "parts", stop_at=1)
  rest = _train(config, tmp_path / "parts", stop_at=None)
  jax.tree.map(
      lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)),
      (run.state, run.memory, run.lanes),
      (rest.state, rest.memory, rest.lanes),
  )


@pytest.mark.parametrize(
    "kind, part, changes, says",
    [
        ("ppo", "learn", {"unroll_steps": 2}, "imagines nothing"),
        ("dqn", "learn", {"target_decay": 0.0}, "a target network"),
        ("a2c", "replay", {"capacity": 64}, "the last round alone"),
        ("ppo", "learn", {"td_steps": 8}, "a round has 8 moves"),
        ("trpo", "learn", {"weight_decay": 0.1}, "out of its trust region"),
        ("ppo", "learn", {"num_microbatches": 2}, "in learn.num_minibatches"),
        ("dqn", "learn", {"explored_below": 0.5}, "searches nothing that"),
        ("a2c", "learn", {"explored_nats": 1.0}, "searches nothing that"),
    ],
)
def test_a_config_that_no_baseline_can_use_says_so(kind, part, changes, says):
  config, key = _config(kind), jax.random.key(0)
  changed = dataclasses.replace(getattr(config, part), **changes)
  config = dataclasses.replace(config, **{part: changed})
  with pytest.raises(ValueError, match=says):
    board_run.begin(config, key, key)
