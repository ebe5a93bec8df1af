"""What an agent earns in Catch, exactly, in each way that it can act.

The ways are those of Schrittwieser et al. 2021, "Online and offline
reinforcement learning by planning with a learned model", Table 4,
https://arxiv.org/abs/2104.06294. There are so few positions that an agent is
asked for its choice in all of them.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.catch import Catch, CatchState
from mulearn.model.base import mask_logits
from mulearn.types import Array, Node, Plan


class Planner(Protocol):
  """What can be examined: see `act.board_agent.BoardAgent`."""

  @property
  def environment(self) -> Catch:
    """The rules."""

  def plan(self, rng_key: Array, state: CatchState) -> Plan:
    """Decides for states `[B]`, without noise."""

  def glance(self, state: CatchState) -> Node:
    """What the networks say of states `[B]`."""

  def look_ahead(self, state: CatchState) -> Array:
    """What each action is worth by the model, `[B, A]`."""


def examine(agent: Planner, rng_key: Array) -> dict[str, float]:
  """The mean return of each way to act, without the noise of games played.

  Args:
    agent: of the game `Catch`.
    rng_key: of search; consumed.

  Returns:
    `policy_return`, of actions drawn from the policy head; `mode_return`, of
    its likeliest; `value_return`, of the best by `bare.look_ahead`;
    `mean_return`, of those that search plays; and `value_error`, by how much
    the value head is off the worth of the policy head, on average.
  """
  game = agent.environment
  state = game.positions()
  node = agent.glance(state)
  logits = mask_logits(node.prior_logits, node.invalid)
  policy = np.asarray(jax.nn.softmax(logits))

  def earned(action: Array) -> float:
    return game.worth(np.eye(game.num_actions)[action]).mean_return

  worth = game.worth(policy)
  value = np.sum(policy * worth.action_values, axis=-1)
  return {
      "mean_return": earned(agent.plan(rng_key, state).action),
      "value_return": earned(jnp.argmax(agent.look_ahead(state), axis=-1)),
      "policy_return": worth.mean_return,
      "mode_return": earned(jnp.argmax(logits, axis=-1)),
      "value_error": float(np.abs(value - np.asarray(node.value)).mean()),
  }
