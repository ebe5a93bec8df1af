"""Augmentation: the turned game is a game by the rules."""

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env import symmetry
from mulearn.env.games import make_environment
from mulearn.learn import augment
from mulearn.types import Trajectory

GAME = make_environment("tic_tac_toe")
SQUARE = symmetry.SYMMETRIES["tic_tac_toe"]


def _game(actions) -> Trajectory:
  """One sequence; its policy says 0.9 for the action, 0.1 for the next."""
  step, state, rows = jax.jit(GAME.step), GAME.init(jax.random.key(0)), []
  for action in actions:
    policy = 0.9 * np.eye(9)[action] + 0.1 * np.eye(9)[(action + 1) % 9]
    rows.append((GAME.observation(state), GAME.invalid(state), policy, action))
    state = step(state, action)
  planes, invalid, policy, action = (
      jnp.stack([jnp.asarray(row[i]) for row in rows])[None] for i in range(4)
  )
  zeros = jnp.zeros(action.shape)
  return Trajectory(
      observation=planes, prior_logits=policy * 0.0, invalid=invalid,
      policy=policy, improvement=policy, value=zeros, action=action, reward=zeros, discount=zeros,
      truncated=zeros > 0, held_out=zeros > 0,
  )  # fmt: skip


def test_a_turned_sequence_is_the_turned_game():
  whole = _game((0, 4, 1, 2, 6, 3))
  batch = jax.tree.map(lambda x: jnp.repeat(x, 8, axis=0), whole)
  turned = augment.turn(batch, jnp.arange(8), SQUARE)
  for k in range(8):
    again = _game([int(a) for a in turned.action[k]])
    np.testing.assert_array_equal(turned.observation[k], again.observation[0])
    np.testing.assert_array_equal(turned.invalid[k], again.invalid[0])
    best = np.asarray(turned.policy[k]).argmax(axis=-1)
    np.testing.assert_array_equal(best, turned.action[k])
  assert len({tuple(np.asarray(a)) for a in turned.action}) == 8
  np.testing.assert_array_equal(turned.action[0], whole.action[0])


def test_every_symmetry_is_drawn():
  batch = jax.tree.map(lambda x: jnp.repeat(x, 200, axis=0), _game((0, 1, 5)))
  turned = augment.augment(jax.random.key(0), batch, SQUARE)
  assert len(np.unique(turned.action, axis=0)) == 8
