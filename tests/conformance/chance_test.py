"""Row 6: a chance outcome is no time step, and no choice of a player.

Both were mixed up (LightZero #378). Decisions of a dice game are searched, against
an exact expectimax. Which of a node's two functions are evaluated (mctx #79) is
seen in `tests/search/chance_test.py`.
"""

from conformance import broken
from conformance.subject import Position
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import dice
from mulearn.evaluate import expectimax

TURNS, DISCOUNT, NUM_SIMULATIONS = 2, 0.8, 1600
GAME = dice.Dice(TURNS)
STATES = jax.tree.map(
    lambda *x: jnp.stack(x),
    *[GAME.position(pot, TURNS) for pot in (0, 2, 5, 9, 14, 20)],
)


def _position(state, logits, value, reward, discount):
  return Position(state, logits, logits == -jnp.inf, value, reward, discount)


def _decision(state, discount):
  value = jax.vmap(GAME.guess)(state)
  logits = jnp.zeros((*value.shape, GAME.num_actions))
  return _position(state, logits, value, jax.vmap(GAME.reward)(state), discount)


def _after(params, action, state):
  del params
  value = jax.vmap(GAME.guess)(state)
  state = jax.vmap(GAME.after)(state, action)
  logits = jax.vmap(GAME.outcome_logits)(state)
  return _position(state, logits, value, 0.0 * value, 0.0 * value + 1.0)


def _settle(params, outcome, state):
  del params
  state = jax.vmap(GAME.settle)(state, outcome)
  over = jax.vmap(GAME.terminated)(state)
  return _decision(state, jnp.where(over, 0.0, DISCOUNT))


def check_expectimax(search):
  """Values and moves are nearly those of perfect play.

  PUCT's values are means over simulations, which tried other actions, too, and
  it may take the second best where that is nearly as good.
  """
  root = _decision(STATES, jnp.ones(6))
  found = search(jax.random.key(0), (), root, _after, _settle, NUM_SIMULATIONS)
  worths = np.stack(
      [
          expectimax.action_values(
              GAME,
              jax.tree.map(lambda x, i=i: x[i], STATES),
              num_turns=TURNS,
              discount=DISCOUNT,
          )
          for i in range(6)
      ]
  )
  best = worths.max(axis=1)
  played = np.take_along_axis(worths, np.asarray(found.action)[:, None], 1)
  np.testing.assert_allclose(played[:, 0], best, atol=0.03)
  assert np.abs(found.value - best).max() < 0.05
  assert (np.asarray(found.visits).sum(axis=1) == NUM_SIMULATIONS).all()


def test_row_6_values_and_moves_are_those_of_expectimax(chance_search):
  check_expectimax(chance_search)


@pytest.mark.parametrize("name", broken.CHANCE)
def test_row_6_a_chance_that_is_none_is_found(name):
  """Row 6: the same check, with the bugs of peers."""
  with pytest.raises(AssertionError):
    check_expectimax(broken.CHANCE[name])
