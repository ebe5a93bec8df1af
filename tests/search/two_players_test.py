"""The seam carries a two-player game that lives on the device.

Nothing is learned here: the rules are the model, every position is worth 0
and every move is as likely as another. Search must see a win and a threat.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import SearchConfig
from mulearn.env import board
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Node

GAME = board.tic_tac_toe()

# Moves so far, and the square that must be taken.
POSITIONS = [
    ((0, 3, 1, 4), 2),  # X completes the top row (and O threatens 5).
    ((4, 0, 8, 1, 3), 2),  # O completes the top row; X threatens 5.
    ((0, 4, 1), 2),  # O must block the top row.
    ((0, 4, 8, 1), 7),  # X must block the middle column.
]  # fmt: skip


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rules:
  """Tic-tac-toe as a model; all nine squares are slots."""

  value: jax.Array

  def node(self, state, discount):
    """The node of states `[B, ...]`."""
    invalid = jax.vmap(GAME.invalid)(state)
    reward = jax.vmap(GAME.reward)(state)
    batch = reward.shape[0]
    return Node(
        state=state,
        actions=jnp.broadcast_to(jnp.arange(9), (batch, 9)),
        prior_logits=jnp.zeros((batch, 9)),
        invalid=invalid,
        value=jnp.full(batch, self.value),
        reward=reward,
        discount=discount,
    )

  def step(self, rng_key, state, action):
    del rng_key
    over = jax.vmap(GAME.terminated)(state)
    state = jax.vmap(GAME.step)(state, action)
    over |= jax.vmap(GAME.terminated)(state)
    # The child's value is the opponent's.
    return self.node(state, jnp.where(over, 0.0, -1.0))


def _states():
  step, states = jax.jit(GAME.step), []
  for moves, _ in POSITIONS:
    state = GAME.init(jax.random.key(0))
    for move in moves:
      state = step(state, move)
    states.append(state)
  return jax.tree.map(lambda *x: jnp.stack(x), *states)


@pytest.mark.parametrize("policy", ["gumbel", "puct"])
def test_wins_and_threats_are_seen(policy):
  states = _states()
  config = SearchConfig(max_considered=9, max_depth=9)

  @jax.jit
  def search(states, rng_key):
    rules = Rules(jnp.float32(0.0))
    return plan_lib.plan(
        rules,
        rng_key,
        rules.node(states, jnp.ones(len(POSITIONS))),
        search=plan_lib.POLICIES[policy](config, deterministic=True),
        num_simulations=200,
        mesh=make_mesh(jax.devices()[:1]),
    )

  plan = search(states, jax.random.key(1))
  expected = [square for _, square in POSITIONS]
  np.testing.assert_array_equal(plan.action, expected)
  best = np.asarray(plan.policy).argmax(-1)
  np.testing.assert_array_equal(best, expected)
  # The sign: who can win is glad, and who is threatened is not.
  value = np.asarray(plan.value)
  assert (value[:2] > 0.1).all() and (value[2:] < 0.1).all()
  taken = np.asarray(jax.vmap(GAME.invalid)(states))
  assert (np.asarray(plan.policy)[taken] == 0.0).all()
