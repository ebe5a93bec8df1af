"""Search with chance nodes, held against an exact expectimax.

Row 6 of our list of peers' bugs: a chance outcome taken for a time step
(LightZero #378), and both branches evaluated (mctx #79).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import SearchConfig
from mulearn.env import dice
from mulearn.evaluate import expectimax
from mulearn.model.chance import Alternating, ChanceRules, ChanceState
from mulearn.parallel.mesh import make_mesh
from mulearn.search import chance
from mulearn.search import plan as plan_lib

TURNS = 2
GAME = dice.Dice(TURNS)
POTS = (0, 2, 5, 9, 14, 20)
CONFIG = SearchConfig(
    max_depth=2 * TURNS, max_considered=GAME.num_actions, value_scale=0.3
)
MODEL = Alternating(ChanceRules(GAME), GAME.num_outcomes)


def _states(turns=TURNS):
  states = [GAME.position(pot, turns) for pot in POTS]
  return jax.tree.map(lambda *x: jnp.stack(x), *states)


@jax.jit
def _plan(rng_key):
  root = MODEL.root(rng_key, _states(), jnp.zeros((len(POTS), 3)))
  return plan_lib.plan(
      MODEL,
      rng_key,
      root,
      search=plan_lib.gumbel(
          CONFIG, deterministic=True, interior=chance.let_chance_choose
      ),
      num_simulations=1600,
      mesh=make_mesh(jax.devices()[:1]),
  )


@functools.cache
def _best(pot, turns):
  """Expectimax by hand, in points: value and every action's worth."""
  if turns == 0:
    return 0.0, ()
  dies = {
      dice.SAFE: [0, pot + 1, pot + 2, pot + 2, pot + 3, pot + 3],
      dice.WILD: [0, 0, 0, pot + 5, pot + 6, pot + 8],
  }
  rolls = [
      sum(_best(after, turns - 1)[0] for after in dies[die]) / 6
      for die in (dice.SAFE, dice.WILD)
  ]
  worths = (pot + _best(0, turns - 1)[0], *rolls)
  return max(worths), worths


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_expectimax_is_that_of_hand(turns):
  worth = functools.partial(expectimax.action_values, GAME, num_turns=3)
  found = jax.jit(jax.vmap(worth))(_states(turns))
  expected = [np.array(_best(pot, turns)[1]) / 20 for pot in POTS]
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_finished_game_stays_as_it_is():
  state = GAME.settle(
      GAME.after(GAME.position(7, 1), jnp.int32(dice.BANK)), jnp.int32(0)
  )
  assert bool(GAME.terminated(state)) and state.reward == pytest.approx(0.35)
  again = GAME.settle(GAME.after(state, jnp.int32(dice.WILD)), jnp.int32(5))
  assert float(again.reward) == 0.0 and int(again.pot) == int(state.pot)
  assert int(again.turns) == 0


def test_values_and_moves_are_those_of_expectimax():
  plan = _plan(jax.random.key(0))
  exact = np.array([_best(pot, TURNS)[0] for pot in POTS]) / 20
  found = np.asarray(plan_lib.improved_value(plan))
  assert np.abs(found - exact).max() < 0.02
  worths = np.array([_best(pot, TURNS)[1] for pot in POTS]) / 20
  played = np.take_along_axis(worths, np.asarray(plan.action)[:, None], 1)
  np.testing.assert_allclose(played[:, 0], exact, atol=1e-6)
  # Below each action chance had its way: no face is off by more than one.
  tree, rows = plan.tree, np.arange(len(POTS))
  for action in (dice.SAFE, dice.WILD):
    after = np.asarray(tree.children_index[:, 0, action])
    visits = np.asarray(tree.children_visits)[rows, after]
    expected = visits.sum(axis=1, keepdims=True) / 6
    assert np.abs(visits - expected).max() <= 1.0
  # Banking has one outcome.
  after = np.asarray(tree.children_index[:, 0, dice.BANK])
  visits = np.asarray(tree.children_visits)[rows, after]
  assert visits[:, 0].min() > 0 and not visits[:, 1:].any()


@dataclasses.dataclass(frozen=True)
class _Counting:
  """Notes which of the two steps is evaluated."""

  rules: ChanceRules
  calls: list

  def after(self, rng_key, state, action):
    jax.debug.callback(lambda: self.calls.append("after"))
    return self.rules.after(rng_key, state, action)

  def settle(self, rng_key, state, outcome):
    jax.debug.callback(lambda: self.calls.append("settle"))
    return self.rules.settle(rng_key, state, outcome)


@pytest.mark.parametrize(
    "is_chance, expected",
    [
        ([False, False], {"after"}),
        ([True, True], {"settle"}),
        ([True, False], {"after", "settle"}),
    ],
)
def test_only_what_is_needed_is_evaluated(is_chance, expected):
  calls = []
  model = Alternating(_Counting(ChanceRules(GAME), calls), 6)
  state = jax.tree.map(lambda x: x[:2], _states())
  state = ChanceState(jnp.array(is_chance), state)

  @jax.jit
  def step(state):
    return model.step(jax.random.key(0), state, jnp.ones(2, jnp.int32))

  node = step(state)
  jax.effects_barrier()
  assert set(calls) == expected
  np.testing.assert_array_equal(node.state.is_chance, ~np.array(is_chance))
  # Decisions have three slots, a die six faces.
  np.testing.assert_array_equal(
      node.invalid.sum(axis=1), np.where(is_chance, 3, 0)
  )
