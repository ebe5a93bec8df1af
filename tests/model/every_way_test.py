"""Judged every way, a position and its turns are worth exactly the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn import board_run
from mulearn.act.board_agent import BoardAgent
from mulearn.env.games import make_environment
from mulearn.env.symmetry import SYMMETRIES
from mulearn.model.board_kinds import make_networks
from mulearn.model.every_way import EveryWay


def _random_networks(config):
  """Untrained heads say nothing: here they have an opinion."""
  leaves, tree = jax.tree.flatten(make_networks(config, jax.random.key(0)))
  keys = jax.random.split(jax.random.key(1), len(leaves))
  return tree.unflatten(
      0.3 * jax.random.normal(key, x.shape) for key, x in zip(keys, leaves)
  )


@pytest.mark.parametrize("game", ["tic_tac_toe", "connect_four", "othello"])
def test_turns_of_a_board_are_judged_alike(game, board_config):
  config = board_config("simulator")
  config.env.name = game
  turns = SYMMETRIES[game]
  networks = _random_networks(config)
  judge = EveryWay(networks, turns)
  shape = make_environment(game).observation_shape
  planes = jax.random.normal(jax.random.key(2), (3, *shape))
  policy, value = judge.predict(judge.represent(planes))
  alone, _ = networks.predict(networks.represent(planes))
  assert policy.shape == alone.shape and np.abs(policy - alone).max() > 0.01
  for cells, actions in zip(turns.cells, turns.actions):
    turned = planes.reshape(3, -1, shape[-1])[:, cells].reshape(planes.shape)
    other_policy, other_value = judge.predict(judge.represent(turned))
    np.testing.assert_allclose(other_value, value, atol=1e-4)
    np.testing.assert_allclose(other_policy, policy[:, actions], atol=1e-4)


@pytest.mark.parametrize("channels", [0, 4])
def test_turned_moves_lead_to_worlds_judged_alike(channels, board_config):
  config = board_config("world")
  config.model.channels = channels
  config.model.window = 2 if channels else 0
  turns = SYMMETRIES["tic_tac_toe"]
  judge = EveryWay(_random_networks(config), turns)
  planes = jax.random.normal(jax.random.key(2), (3, 3, 3, 2))
  action = jnp.array([0, 1, 5])

  def imagine(planes, action):
    latent, reward, goes_on = judge.dynamics(judge.represent(planes), action)
    return judge.predict(latent), reward, goes_on, judge.legal_logits(latent)

  (policy, *rest), *came, legal = imagine(planes, action)
  assert np.ptp(policy) > 0.01 and np.ptp(legal) > 0.01
  for cells, actions in zip(turns.cells, turns.actions):
    turned = planes.reshape(3, 9, 2)[:, cells].reshape(planes.shape)
    there = jnp.argsort(actions)[action]
    (other, *others), *others_came, others_legal = imagine(turned, there)
    np.testing.assert_allclose(other, policy[:, actions], atol=1e-4)
    np.testing.assert_allclose(others_legal, legal[:, actions], atol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
        (others, others_came),
        (rest, came),
    )


def test_its_value_is_the_mean_of_the_distributions(board_config):
  config = board_config("simulator")
  networks = _random_networks(config)
  judge = EveryWay(networks, SYMMETRIES["tic_tac_toe"])
  planes = jax.random.normal(jax.random.key(2), (4, 3, 3, 2))
  _, value = judge.predict(judge.represent(planes))
  each = [
      jax.nn.softmax(networks.predict(networks.represent(p))[1])
      for k in range(4)
      for p in (
          jnp.rot90(planes, k, axes=(1, 2)),
          jnp.rot90(planes[:, :, ::-1], k, axes=(1, 2)),
      )
  ]
  np.testing.assert_allclose(
      jax.nn.softmax(value), np.mean(each, axis=0), atol=1e-6
  )


@pytest.mark.parametrize("kind", ["simulator", "world"])
def test_it_searches_where_it_is_evaluated_and_nowhere_else(
    kind, board_config, board_states
):
  config = board_config(kind)
  agent = BoardAgent(config, _random_networks(config))
  key, states = jax.random.key(0), board_states((0,), (2,), (8,), (6,))
  plain = np.asarray(agent.plan(key, states).value)
  noisy = np.asarray(agent.plan(key, states, deterministic=False).value)
  config.search.eval_symmetries = True
  every_way = np.asarray(agent.plan(key, states).tree.raw_values[:, 0])
  np.testing.assert_allclose(every_way, every_way[0], atol=1e-5)
  assert np.ptp(plain) > 0.01  # Each corner was something else before.
  np.testing.assert_array_equal(
      agent.plan(key, states, deterministic=False).value, noisy
  )


@pytest.mark.parametrize(
    ("kind", "game", "prefix", "channels"),
    [
        ("stochastic", "tic_tac_toe", 0, 0),
        ("world", "tic_tac_toe", 5, 0),
        ("world", "tic_tac_toe", 0, 4),
        ("simulator", "cartpole", 0, 0),
    ],
)
def test_what_cannot_be_turned_is_named(
    kind, game, prefix, channels, board_config
):
  config, key = board_config(kind), jax.random.key(0)
  config.env.name, config.search.eval_symmetries = game, True
  config.model.prefix_moves, config.model.channels = prefix, channels
  with pytest.raises(ValueError, match=f"'{kind}', .* {prefix} and .*'{game}'"):
    board_run.begin(config, key, key)
