"""The dice game judges by what is exact."""

import types
from typing import NamedTuple

import jax
import pytest

from mulearn.config import Config
from mulearn.env import solo
from mulearn.evaluate import dice, expectimax


class _Played(NamedTuple):
  action: jax.Array
  value: jax.Array
  tree: None = None


class _Agent:
  """Plays the best or the worst, and is `error` off in its values."""

  environment = solo.GAMES["dice"]()
  config = Config()

  def __init__(self, error, best):
    self.error, self.best = error, best
    self.config.env.step_limit = 3
    rules = self.environment.rules
    self._worth = jax.jit(
        jax.vmap(lambda s: expectimax.action_values(rules, s, num_turns=3))
    )

  def plan(self, rng_key, state):
    worth = self._worth(state.game)
    action = worth.argmax(-1) if self.best else worth.argmin(-1)
    return _Played(action, worth.max(-1) + self.error)

  def glance(self, state):
    value = self._worth(state.game).max(-1) - 2 * self.error
    return types.SimpleNamespace(value=value)


@pytest.mark.parametrize("best", [True, False])
def test_moves_and_values_are_held_against_expectimax(best):
  found = dice.examine(_Agent(0.125, best), jax.random.key(0))
  assert found["mean_value_error"] == pytest.approx(0.125)
  assert found["worst_value_error"] == pytest.approx(0.125)
  assert found["mean_head_error"] == pytest.approx(0.25)
  if best:
    assert found["optimal_moves"] == 1.0
    close = 4 * found["return_error"]
    assert found["mean_return"] == pytest.approx(
        found["best_return"], abs=close
    )
  else:
    assert found["optimal_moves"] < 0.2 and found["mean_return"] < 0.1
