"""Self-play on the device: plan, move, store, with every lane always busy.

A lane whose game is over, or cut by the step limit, begins another one with the
next move. Many games open with a few random moves: self-play that only ever
meets its own openings collapses without a sign of it in the loss. Made one ply at
a time, random moves end most games early (of connect four, after 21), and what
is remembered of them says little where returns end at moves that search did not
advise. `openings_at_once` makes them when a game begins.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mulearn.act.board_agent import PlanFn
from mulearn.config import SelfPlayConfig
from mulearn.env.base import Environment
from mulearn.search import plan as plan_lib
from mulearn.search.recurrent import select_action
from mulearn.types import Array, Plan, PyTree, Trajectory


class Lanes(NamedTuple):
  """Games that step together.

  Attributes:
    state: of the environment, `[B, ...]`.
    ply: moves since the game began, `[B]`.
    num_random: moves at the start of the game that are random, `[B]`.
    earned: rewards since the game began, `[B]`.
  """

  state: PyTree
  ply: Array
  num_random: Array
  earned: Array


def start(
    environment: Environment,
    rng_key: Array,
    num_lanes: int,
    config: SelfPlayConfig,
) -> Lanes:
  """Begins a game in each of `num_lanes` lanes; consumes the key."""
  game_key, often_key, count_key, open_key = jax.random.split(rng_key, 4)
  opens = jax.random.bernoulli(often_key, config.opening_rate, (num_lanes,))
  plies = jnp.arange(1, max(config.opening_plies, 1) + 1)
  logits = config.opening_exponent * jnp.log(plies)
  count = plies[jax.random.categorical(count_key, logits, shape=(num_lanes,))]
  count = jnp.where(opens, jnp.minimum(count, config.opening_plies), 0)
  state = jax.vmap(environment.init)(jax.random.split(game_key, num_lanes))
  ply = jnp.zeros(num_lanes, jnp.int32)
  earned = jnp.zeros(num_lanes)
  if config.openings_at_once:
    state, ply, earned = jax.vmap(
        functools.partial(_open, environment, config.opening_plies)
    )(jax.random.split(open_key, num_lanes), state, count)
    count = jnp.zeros_like(count)  # All of them are made.
  return Lanes(state=state, ply=ply, num_random=count, earned=earned)


def _open(
    environment: Environment,
    most: int,
    rng_key: Array,
    state: PyTree,
    count: Array,
) -> tuple[PyTree, Array, Array]:
  """Random moves, none of which ends the game: of one lane, all at once.

  Args:
    environment: the rules.
    most: moves that are ever made.
    rng_key: consumed.
    state: where the game begins.
    count: moves that are wanted, `[]`.

  Returns:
    The state after them, their number (fewer, where all moves would end the
    game), and what they earned.
  """
  actions = jnp.arange(environment.num_actions)

  def move(i: Array, carry: tuple) -> tuple:
    state, ply, earned = carry
    after = jax.vmap(environment.step, in_axes=(None, 0))(state, actions)
    barred = environment.invalid(state) | jax.vmap(environment.terminated)(
        after
    )
    action = jax.random.categorical(
        jax.random.fold_in(rng_key, i), jnp.where(barred, -jnp.inf, 0.0)
    )
    goes = (i < count) & ~jnp.all(barred)
    after = jax.tree.map(lambda x: x[action], after)
    earned += jnp.where(goes, environment.reward(after), 0.0)
    state = jax.tree.map(functools.partial(jax.lax.select, goes), after, state)
    return state, ply + goes, earned

  begin = state, jnp.int32(0), jnp.float32(0.0)
  return jax.lax.fori_loop(0, most, move, begin)


def play(
    lanes: Lanes,
    rng_key: Array,
    *,
    plan: PlanFn,
    environment: Environment,
    step_limit: int,
    config: SelfPlayConfig,
) -> tuple[Lanes, Trajectory, dict[str, Array]]:
  """Plays `config.num_plies` moves in every lane.

  Args:
    lanes: as `start` or the last call left them.
    rng_key: consumed, one part a ply.
    plan: (rng_key, states `[B]`) -> `Plan`.
    environment: the rules.
    step_limit: moves until a game is cut.
    config: openings, temperature, number of plies.

  Returns:
    The lanes, the moves `[B, T]`, and counts: `games` that ended, of them
    `drawn` (or, with one player, what they `earned` in all), and `cut`.
  """

  def ply(
      lanes: Lanes, rng_key: Array
  ) -> tuple[Lanes, tuple[Trajectory, Array]]:
    plan_key, move_key, start_key = jax.random.split(rng_key, 3)
    searched = plan(plan_key, lanes.state)
    invalid = _invalid(environment, lanes, searched)
    action = _choose(move_key, lanes, searched, invalid, config)
    after, move = _step(
        environment, lanes, searched, invalid, action, step_limit
    )
    fresh = start(environment, start_key, action.shape[0], config)
    is_new = (move.discount == 0.0) | move.truncated
    choose = functools.partial(jax.vmap(jax.lax.select), is_new)
    lanes = jax.tree.map(choose, fresh, after)
    return lanes, (move, jnp.sum(jnp.where(is_new, after.earned, 0.0)))

  keys = jax.random.split(rng_key, config.num_plies)
  lanes, (moves, earned) = jax.lax.scan(ply, lanes, keys)
  moves = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), moves)
  ended = moves.discount == 0.0
  counts = {
      "games": jnp.sum(ended | moves.truncated),
      "cut": jnp.sum(moves.truncated),
  }
  if environment.num_players == 1:
    counts["earned"] = jnp.sum(earned)
  else:
    counts["drawn"] = jnp.sum(ended & (moves.reward == 0.0))
  return lanes, moves, counts


def _invalid(environment: Environment, lanes: Lanes, plan: Plan) -> Array:
  """Which slots may not be chosen, `[B, K]`; what was sampled may be."""
  if plan.actions is not None:
    return jnp.zeros(plan.policy.shape, bool)
  return jax.vmap(environment.invalid)(lanes.state)


def _choose(
    rng_key: Array,
    lanes: Lanes,
    plan: Plan,
    invalid: Array,
    config: SelfPlayConfig,
) -> Array:
  """Random in the opening, then drawn from the policy, then as searched."""
  random_key, policy_key = jax.random.split(rng_key)
  random = jax.random.categorical(random_key, jnp.where(invalid, -jnp.inf, 0.0))
  logits = jnp.log(jnp.where(invalid, 0.0, plan.policy))
  drawn = jax.random.categorical(policy_key, logits / config.temperature)
  slot = jnp.where(lanes.ply < config.temperature_plies, drawn, plan.slot)
  slot = jnp.where(lanes.ply < lanes.num_random, random, slot)
  return select_action(plan.actions, slot)


def _step(
    environment: Environment,
    lanes: Lanes,
    plan: Plan,
    invalid: Array,
    action: Array,
    step_limit: int,
) -> tuple[Lanes, Trajectory]:
  """Moves in every lane; the lanes before any reset, and what is stored."""
  before = lanes.state
  state = jax.vmap(environment.step)(before, action)
  over = jax.vmap(environment.terminated)(state)
  player = jax.vmap(environment.current_player)
  turn = jnp.where(player(before) == player(state), 1.0, -1.0)
  ply = lanes.ply + 1
  reward = jax.vmap(environment.reward)(state)
  move = Trajectory(
      observation=jax.vmap(environment.observation)(before),
      prior_logits=jnp.zeros(plan.policy.shape),
      invalid=invalid,
      policy=plan.policy,
      improvement=plan.improvement,
      value=plan_lib.improved_value(plan),
      action=action,
      reward=reward,
      discount=jnp.where(over, 0.0, turn),
      truncated=(ply >= step_limit) & ~over,
      held_out=jnp.zeros(over.shape, bool),
      actions=plan.actions,
  )
  return Lanes(state, ply, lanes.num_random, lanes.earned + reward), move
