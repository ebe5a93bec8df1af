"""What episodes of a game of one player return, on average."""

import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.config import Config
from mulearn.env.base import Environment
from mulearn.parallel import hosts
from mulearn.types import Array, Plan

NUM_EPISODES = 64
_LOOK_EVERY = 32  # Moves between two looks whether all episodes are over.


class Player(Protocol):
  """What can be examined: see `act.board_agent.BoardAgent`."""

  config: Config

  @property
  def environment(self) -> Environment:
    """The rules."""

  def plan(self, rng_key: Array, state: Any) -> Plan:
    """Decides for states `[B, ...]`, without noise."""


def examine(
    agent: Player, rng_key: Array, num_episodes: int = NUM_EPISODES
) -> dict[str, float]:
  """Plays episodes to their end or to `config.env.step_limit`.

  Several processes share the episodes, and all get what they found.

  Args:
    agent: plays as it would at its best, without exploring.
    rng_key: of the first states and of what chance does; consumed.
    num_episodes: B, all played at once.

  Returns:
    `mean_return`, undiscounted, its standard error `return_error`,
    `least_return`, and `mean_length` in moves.
  """
  environment = agent.environment
  start_key, plan_key = jax.random.split(rng_key)
  mine = hosts.rows_for(num_episodes)
  keys = jax.random.split(start_key, num_episodes)[mine]
  state = jax.vmap(environment.init)(keys)
  total, length = jnp.zeros(len(mine)), jnp.zeros(len(mine))
  for ply in range(agent.config.env.step_limit):
    plan = agent.plan(jax.random.fold_in(plan_key, ply), state)
    state, total, length = _step(
        state, plan.action, total, length, environment=environment
    )
    if ply % _LOOK_EVERY == 0 and _all_over(state, environment):
      break
  found = hosts.gather({"total": total, "length": length}, num_episodes)
  returns = np.asarray(found["total"])
  error = returns.std(ddof=1) / np.sqrt(num_episodes)
  return {
      "mean_return": float(returns.mean()),
      "return_error": float(error),
      "least_return": float(returns.min()),
      "mean_length": float(found["length"].mean()),
  }


def _all_over(state: Any, environment: Environment) -> bool:
  return bool(jax.vmap(environment.terminated)(state).all())


@functools.partial(jax.jit, static_argnames="environment")
def _step(state, action, total, length, *, environment):
  """A move in every lane; a finished episode stands still and earns 0."""
  going_on = ~jax.vmap(environment.terminated)(state)
  state = jax.vmap(environment.step)(state, action)
  return state, total + jax.vmap(environment.reward)(state), length + going_on
