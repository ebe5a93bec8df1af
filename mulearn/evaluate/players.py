"""Players of a board game, each a function of a key and a batch of states.

From the one that knows nothing to the one that knows all: random, k-ply
minimax, search with random playouts, a trained agent, perfect play.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp

from mulearn.config import SearchConfig
from mulearn.env.base import Environment
from mulearn.evaluate.playouts import PlayoutModel
from mulearn.evaluate.position_index import PositionIndex
from mulearn.evaluate.solver import Planner, Table
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Array, PyTree

# (rng_key, states [B]) -> actions [B]; any legal one where a game is over.
Player = Callable[[Array, PyTree], Array]

# Positions that minimax looks at together; more do not fit a small memory.
_POSITIONS_AT_ONCE = 2**17


def random_player(environment: Environment) -> Player:
  """Plays any legal move."""

  @jax.jit
  def act(rng_key: Array, states: PyTree) -> Array:
    invalid = jax.vmap(environment.invalid)(states)
    return jax.random.categorical(rng_key, jnp.where(invalid, -jnp.inf, 0.0))

  return act


def minimax_player(environment: Environment, num_plies: int) -> Player:
  """Looks at all lines of `num_plies` moves, and draws among the best moves.

  A line that has not ended by then counts as a draw: the player sees wins and
  losses in reach and nothing else.

  Args:
    environment: the rules.
    num_plies: k, at least 1.

  Returns:
    The player.

  Raises:
    ValueError: `num_plies` is less than 1.
  """
  if num_plies < 1:
    raise ValueError(
        f"A minimax of {num_plies} plies was asked for; it looks at least 1"
        " ply ahead, as in minimax:1."
    )
  num_lines = environment.num_actions**num_plies
  values = functools.partial(action_values, environment, num_plies=num_plies)

  @jax.jit
  def act(rng_key: Array, states: PyTree) -> Array:
    values_of_moves = jax.lax.map(
        values, states, batch_size=max(_POSITIONS_AT_ONCE // num_lines, 1)
    )
    best = values_of_moves == values_of_moves.max(axis=-1, keepdims=True)
    return jax.random.categorical(rng_key, jnp.where(best, 0.0, -jnp.inf))

  return act


def action_values(
    environment: Environment, state: PyTree, *, num_plies: int
) -> Array:
  """What each move of one state is worth, `num_plies` deep.

  Args:
    environment: the rules.
    state: one state.
    num_plies: moves to look ahead, this one included.

  Returns:
    Values `[A]` for the player to move, -inf where a move is invalid.
  """
  actions = jnp.arange(environment.num_actions)
  after = jax.vmap(environment.step, (None, 0))(state, actions)
  values = jax.vmap(environment.reward)(after)
  if num_plies > 1:

    def opponent(state: PyTree) -> Array:
      return action_values(environment, state, num_plies=num_plies - 1).max()

    over = jax.vmap(environment.terminated)(after)
    values -= jnp.where(over, 0.0, jax.vmap(opponent)(after))
  return jnp.where(environment.invalid(state), -jnp.inf, values)


def playout_player(environment: Environment, num_simulations: int) -> Player:
  """Plain tree search: a uniform prior, values by random playouts.

  Args:
    environment: the rules.
    num_simulations: of a search, one playout each.

  Returns:
    The player, which plays the most visited move.

  Raises:
    ValueError: `num_simulations` is less than 1.
  """
  if num_simulations < 1:
    raise ValueError(
        f"Search with {num_simulations} random playouts was asked for; it needs"
        " at least 1, as in rollouts:64."
    )
  config = SearchConfig(max_depth=num_simulations)
  search = plan_lib.puct(config, deterministic=True)
  model, mesh = PlayoutModel(environment), make_mesh(jax.local_devices()[:1])

  @jax.jit
  def act(rng_key: Array, states: PyTree) -> Array:
    root_key, plan_key = jax.random.split(rng_key)
    prior_logits = jnp.zeros_like(jax.vmap(environment.invalid)(states), float)
    plan = plan_lib.plan(
        model,
        plan_key,
        model.root(root_key, states, prior_logits),
        search=search,
        num_simulations=num_simulations,
        mesh=mesh,
    )
    return plan.action

  return act


def agent_player(agent: Planner, num_simulations: int | None = None) -> Player:
  """A trained agent that searches; its own number of simulations if None."""
  return lambda key, states: agent.plan(key, states, num_simulations).action


def policy_player(agent: Planner) -> Player:
  """The mode of a trained agent's policy head, without search."""

  def act(unused_key: Array, states: PyTree) -> Array:
    node = agent.glance(states)
    return jnp.where(node.invalid, -jnp.inf, node.prior_logits).argmax(-1)

  return act


def perfect_player(table: Table, environment: Environment) -> Player:
  """Draws among the moves that keep the value of the game."""
  index, optimal = PositionIndex(table, environment), jnp.asarray(table.optimal)

  def act(rng_key: Array, states: PyTree) -> Array:
    # Row -1, of games that are over, is as good as any other.
    allowed = optimal[index.known_rows(states)]
    return jax.random.categorical(rng_key, jnp.where(allowed, 0.0, -jnp.inf))

  return act
