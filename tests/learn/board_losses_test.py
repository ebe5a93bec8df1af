"""The loss of a board: one for both models, blind to what does not count."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.learn import board_losses
from mulearn.learn.targets import make_targets
from mulearn.model.support import Support
from mulearn.types import Trajectory

SUPPORT = Support(11, 1.0)
LENGTH = 5


def _trajectory(batch=3, **changes) -> Trajectory:
  keys = iter(jax.random.split(jax.random.key(0), 9))
  shape = (batch, LENGTH)
  invalid = jax.random.bernoulli(next(keys), 0.3, (*shape, 9))
  policy = jnp.where(invalid, 0.0, jax.random.uniform(next(keys), (*shape, 9)))
  values = {
      "observation": jax.random.normal(next(keys), (*shape, 3, 3, 2)),
      "prior_logits": jnp.zeros((*shape, 9)),
      "invalid": invalid,
      "policy": policy / policy.sum(axis=-1, keepdims=True),
      "improvement": jnp.zeros((*shape, 9)),
      "value": jax.random.uniform(next(keys), shape, minval=-1.0),
      "action": jnp.argmax(policy, axis=-1),
      "reward": jnp.zeros(shape),
      "discount": -jnp.ones(shape),
      "truncated": jnp.zeros(shape, bool),
      "held_out": jnp.zeros(shape, bool),
  }
  return Trajectory(**values | changes)


def _loss(config, networks, trajectory):
  return _compiled(networks, trajectory, learn=copy.copy(config.learn))


@functools.partial(jax.jit, static_argnames="learn")
def _compiled(networks, trajectory, *, learn):
  targets = make_targets(
      trajectory,
      discount=1.0,
      unroll_steps=learn.unroll_steps,
      td_steps=LENGTH - 1 - learn.unroll_steps,
  )
  weights = jnp.ones(trajectory.reward.shape[0])
  return board_losses.board_loss(
      networks, trajectory, targets, weights, config=learn, support=SUPPORT
  )


def _continuous() -> dict[str, jax.Array]:
  """Nine slots that stand for vectors in [-1, 1]^9, of which one is played."""
  shape = (3, LENGTH, 9, 9)
  actions = jax.random.uniform(jax.random.key(7), shape, minval=-1.0)
  return {"actions": actions, "action": actions[:, :, 4]}


@pytest.mark.parametrize("kind", ["simulator", "world", "sampled"])
def test_every_parameter_has_a_gradient(
    kind, board_config, make_board_networks
):
  config, networks = board_config(kind), make_board_networks(kind)
  config.learn.consistency_weight = 0.0 if kind == "simulator" else 1.0
  moves = _trajectory(**(_continuous() if kind == "sampled" else {}))
  gradients = jax.grad(lambda n: _loss(config, n, moves)[0])(networks)
  for path, leaf in jax.tree.leaves_with_path(gradients):
    assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0.0, path


def test_alphazero_has_the_terms_of_alphazero(
    board_config, make_board_networks
):
  networks = make_board_networks("simulator")
  _, metrics = _loss(board_config("simulator"), networks, _trajectory())
  assert {k for k in metrics if "/" in k} == {"loss/policy", "loss/value"}
  networks = make_board_networks("world")
  _, metrics = _loss(board_config("world"), networks, _trajectory())
  assert {"loss/reward", "loss/continues", "loss/legal"} < set(metrics)


def test_consistency_holds_what_is_imagined_against_what_was_seen(
    board_config, make_board_networks
):
  config, networks = board_config("world"), make_board_networks("world")
  _, plain = _loss(config, networks, _trajectory())
  assert "loss/consistency" not in plain
  config.learn.consistency_weight = 2.0
  trajectory = _trajectory()
  _, metrics = _loss(config, networks, trajectory)
  assert 0.0 < metrics["loss/consistency"] < 4.0
  np.testing.assert_allclose(
      metrics["loss"] - metrics["loss/consistency"], plain["loss"], rtol=1e-5
  )
  # Behind the unrolled moves and behind an end nothing is compared.
  later = trajectory.observation.at[:, 3:].add(1.0)
  _, same = _loss(config, networks, trajectory._replace(observation=later))
  assert same["loss/consistency"] == metrics["loss/consistency"]
  later = trajectory.observation.at[:, 1:].add(1.0)
  _, other = _loss(config, networks, trajectory._replace(observation=later))
  assert other["loss/consistency"] != metrics["loss/consistency"]
  ended = trajectory._replace(discount=jnp.zeros((3, LENGTH)))
  _, over = _loss(config, networks, ended)
  assert over["loss/consistency"] == 0.0


def test_the_best_policy_is_the_searched_one(board_config, make_board_networks):
  """Its term is a divergence: 0 where head and search agree."""
  networks = make_board_networks("simulator")
  trajectory = _trajectory()
  latent = networks.represent(trajectory.observation[:, 0])
  logits, _ = networks.predict(latent)
  logits = jnp.where(trajectory.invalid[:, 0], -jnp.inf, logits)
  policy = trajectory.policy.at[:, 0].set(jax.nn.softmax(logits))
  config = board_config("simulator")
  _, same = _loss(config, networks, trajectory._replace(policy=policy))
  _, other = _loss(config, networks, trajectory)
  assert abs(same["loss/policy"]) < 1e-5 < other["loss/policy"]


def test_sampled_actions_are_learned_by_their_density(
    board_config, make_board_networks
):
  """At the root and where it was imagined; no move is asked to be legal."""
  config, networks = board_config("sampled"), make_board_networks("sampled")
  moves = _trajectory(**_continuous())
  _, metrics = _loss(config, networks, moves)
  assert "loss/legal" not in metrics
  latent, expected = networks.represent(moves.observation[:, 0]), 0.0
  for t in range(3):
    outputs, _ = networks.predict(latent)
    log_density = networks.proposal.log_prob(outputs, moves.actions[:, t])
    policy = moves.policy[:, t]
    surprise = jnp.where(policy > 0.0, jnp.log(policy) - log_density, 0.0)
    expected += jnp.sum(policy * surprise) / 9
    latent, _, _ = networks.dynamics(latent, moves.action[:, t])
  np.testing.assert_allclose(metrics["loss/policy"], expected, rtol=1e-4)


def test_what_comes_after_the_end_does_not_count(
    board_config, make_board_networks
):
  """The rows behind it are of another game."""
  config, networks = board_config("world"), make_board_networks("world")
  ended = jnp.zeros((3, LENGTH)).at[:, 1:].set(-1.0)  # With the first move.
  trajectory = _trajectory(discount=ended)
  other = _trajectory(
      discount=ended,
      observation=trajectory.observation.at[:, 1:].add(1.0),
      policy=jnp.roll(trajectory.policy, 1, axis=1).at[:, 0].set(
          trajectory.policy[:, 0]
      ),
      invalid=trajectory.invalid.at[:, 1:].set(False),
      value=trajectory.value.at[:, 1:].set(0.3),
  )  # fmt: skip
  ours, _ = _loss(config, networks, trajectory)
  theirs, _ = _loss(config, networks, other)
  np.testing.assert_allclose(ours, theirs, rtol=1e-6)
