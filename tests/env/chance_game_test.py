"""A game made of its rules: chance draws by their odds, and by its own key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import dice
from mulearn.env.chance_game import ChanceGame, ChanceGameState

RULES = dice.Dice(num_turns=3)
GAME = ChanceGame(RULES)


def test_outcomes_come_as_often_as_the_rules_say():
  keys = jax.random.split(jax.random.key(0), 3000)
  state = jax.vmap(GAME.init)(keys)
  actions = jnp.full(3000, dice.WILD)
  after = jax.jit(jax.vmap(GAME.step))(state, actions)
  pots = np.asarray(after.game.pot)
  for pot, odds in ((0, 1 / 2), (5, 1 / 6), (6, 1 / 6), (8, 1 / 6)):
    assert np.mean(pots == pot) == pytest.approx(odds, abs=0.03)
  assert (np.asarray(after.chance) != np.asarray(state.chance)).any(1).all()


def test_banking_pays_and_an_ended_game_stays():
  state = GAME.init(jax.random.key(0))
  state = ChanceGameState(RULES.position(7, 1), state.chance)
  after = GAME.step(state, jnp.int32(dice.BANK))
  assert GAME.reward(after) == pytest.approx(0.35) and GAME.terminated(after)
  later = GAME.step(after, jnp.int32(dice.WILD))
  assert GAME.reward(later) == 0.0 and GAME.terminated(later)
  seen = GAME.observation(after)
  np.testing.assert_array_equal(GAME.observation(later), seen)
  assert seen.shape == GAME.observation_shape and seen.sum() == 2


def test_every_position_of_play_is_known_and_looks_its_own():
  found = RULES.reachable()
  assert found[0] == (0, 3) and len(found) == len(set(found))
  assert [pot for pot, turns in found if turns == 2] == [0, 1, 2, 3, 5, 6, 8]
  states = [RULES.position(*position) for position in found]
  seen = {tuple(np.asarray(RULES.observation(state))) for state in states}
  assert len(seen) == len(found)
