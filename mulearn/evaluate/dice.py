"""What an agent knows of the dice game, beside everything that chance can do."""

import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.chance_game import ChanceGameState
from mulearn.env.dice import Dice
from mulearn.evaluate import expectimax, returns
from mulearn.types import Array, Node


class Planner(returns.Player, Protocol):
  """What can be examined: see `act.board_agent.BoardAgent`.

  The value of a plan is that of its policy.
  """

  def glance(self, state: Any) -> Node:
    """What the networks say of states `[B]`."""


def examine(agent: Planner, rng_key: Array) -> dict[str, float]:
  """Plays episodes, and searches once at every decision that can be reached.

  Args:
    agent: of a `ChanceGame` whose rules are `Dice`.
    rng_key: of the episodes and the searches; consumed.

  Returns:
    What `returns.examine` finds; `best_return`, that of perfect play;
    `optimal_moves`, the share of decisions where search plays a best action;
    and the errors of the root's value after search, `mean_value_error` and
    `worst_value_error`, and of the value head alone, `mean_head_error`.
  """
  play_key, plan_key = jax.random.split(rng_key)
  rules = agent.environment.rules
  states, worth = _solve(rules)
  keys = jax.random.split(plan_key, worth.shape[0])
  states = ChanceGameState(states, jax.vmap(jax.random.key_data)(keys))
  plan = agent.plan(plan_key, states)
  exact = worth.max(axis=-1)
  error = np.abs(np.asarray(plan.value) - exact)
  head_error = np.abs(np.asarray(agent.glance(states).value) - exact)
  played = np.take_along_axis(worth, np.asarray(plan.action)[:, None], axis=-1)
  return {
      **returns.examine(agent, play_key),
      "best_return": float(exact[0]),
      "optimal_moves": float(np.mean(played[:, 0] > exact - 1e-6)),
      "mean_value_error": float(error.mean()),
      "worst_value_error": float(error.max()),
      "mean_head_error": float(head_error.mean()),
  }


@functools.cache
def _solve(rules: Dice) -> tuple[Any, np.ndarray]:
  """The decisions `[B]`, the first one of the game first; worths `[B, A]`."""
  states = [rules.position(*found) for found in rules.reachable()]
  states = jax.tree.map(lambda *x: jnp.stack(x), *states)
  worth = functools.partial(
      expectimax.action_values, rules, num_turns=rules.num_turns
  )
  return states, np.asarray(jax.jit(jax.vmap(worth))(states))
