"""The value of a small game of chance, by looking at everything.

Every action and every outcome to the end of the game: what a search with chance
nodes is held against (Michie 1966, "Game-playing and game-learning automata").
"""

import jax
import jax.numpy as jnp

from mulearn.env.base import ChanceEnvironment
from mulearn.types import Array, PyTree


def action_values(
    environment: ChanceEnvironment,
    state: PyTree,
    *,
    num_turns: int,
    discount: float = 1.0,
) -> Array:
  """What each action of one state is worth under best play.

  Args:
    environment: the rules.
    state: one state.
    num_turns: to look ahead; the game is over by then.
    discount: of one action.

  Returns:
    Values `[A]`, -inf where an action is invalid.
  """

  def value(state: PyTree, turns: int) -> Array:
    if turns == 0:
      return jnp.zeros(())
    best = action_values(
        environment, state, num_turns=turns, discount=discount
    ).max()
    return jnp.where(environment.terminated(state), 0.0, best)

  def worth(action: Array) -> Array:
    after = environment.after(state, action)
    odds = jax.nn.softmax(environment.outcome_logits(after))
    outcomes = jnp.arange(environment.num_outcomes)
    settled = jax.vmap(environment.settle, (None, 0))(after, outcomes)
    later = jax.vmap(lambda s: value(s, num_turns - 1))(settled)
    rewards = jax.vmap(environment.reward)(settled)
    return jnp.sum(odds * (rewards + discount * later))

  values = jax.vmap(worth)(jnp.arange(environment.num_actions))
  return jnp.where(environment.invalid(state), -jnp.inf, values)
