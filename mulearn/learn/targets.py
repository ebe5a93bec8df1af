"""What the unrolled model is taught: n-step returns with care at every end."""

import jax
import jax.numpy as jnp

from mulearn.types import Array, Targets, Trajectory


def n_step_return(
    reward: Array,
    discount: Array,
    value: Array,
    truncated: Array,
    *,
    num_steps: int,
    trace_decay: float = 1.0,
    horizon: Array | None = None,
) -> Array:
  """The n-step return of every entry that has `num_steps` entries after it.

  With `R_t` the reward and `g_t` the discount of the move at `t`,

    G_t = R_t + g_t (R_{t+1} + g_{t+1} (... + g_{t+n-1} V_{t+n}))

  A termination has `g = 0`, so nothing behind it counts; a negative `g` turns
  the view to the opponent's. A truncated move at `j` has no known successor:
  there the return bootstraps from `V_j` in place of `R_j + g_j V_{j+1}`.
  Sutton & Barto 2018, "Reinforcement learning", section 7.1. With a trace
  decay `l` below 1 it is the truncated TD(lambda) return, section 12.3,

    G_t = R_t + g_t ((1 - l) V_{t+1} + l G_{t+1}),   G_{t+n} = V_{t+n}

  Args:
    reward: `[B, T]`.
    discount: of the move, including termination and players, `[B, T]`.
    value: root value of search, `[B, T]`.
    truncated: True where the episode was cut after the move, `[B, T]`.
    num_steps: n.
    trace_decay: l; 1 is the n-step return.
    horizon: rewards that each return counts before it bootstraps, 1 to n,
      `[B, T - n]`; n if None.

  Returns:
    Returns `[B, T - n]`.
  """
  length = reward.shape[1] - num_steps
  result = value[:, num_steps:]
  for i in reversed(range(num_steps)):
    now = slice(i, i + length)
    after = value[:, i + 1 : i + 1 + length]
    if horizon is not None:
      result = jnp.where(horizon == i + 1, after, result)
    if trace_decay != 1.0:
      result = (1.0 - trace_decay) * after + trace_decay * result
    result = jnp.where(
        truncated[:, now],
        value[:, now],
        reward[:, now] + discount[:, now] * result,
    )
  return result


def corrected_horizon(age: Array, *, num_steps: int, steps: int) -> Array:
  """How many rewards a return may count of moves that an old policy made.

    l = clip(n - floor(age / steps), 1, n)

  What another policy earned says little of today's, so the older the moves,
  the sooner the value of search takes over; Reanalyse keeps that value fresh.
  Ye et al. 2021, "Mastering Atari games with limited data",
  https://arxiv.org/abs/2111.00210, where `steps` is .3 of the training's.

  Args:
    age: optimiser steps since the moves were made, any shape.
    num_steps: n.
    steps: of age that cost a return one reward.

  Returns:
    Horizons, int32, in the shape of the age.
  """
  return jnp.clip(num_steps - age // steps, 1, num_steps)


def was_explored(
    trajectory: Trajectory, *, share: float = 0.0, nats: float = 0.0
) -> Array:
  """Whether a move was played although search advised against it, `[B, T]`.

  Args:
    trajectory: moves `[B, T]` with the policy that search made of K slots.
    share: True where the policy has less of the move than this share of its
      mode: unlikely moves, which may be as good as the likely one.
    nats: True where search raised the move by so many nats less than the one
      that it raised most. With Gumbel that is a difference of completed
      Q-values, times the value scale and the visits (`search.value_scale`): the
      move costs something, be it likely or not. 0 leaves either rule out.
  """
  action, actions = trajectory.action, trajectory.actions
  if actions is None:
    is_taken = jax.nn.one_hot(action, trajectory.policy.shape[-1])
  else:
    is_taken = jnp.all(actions == action[:, :, None], axis=-1)

  def of_taken(x: Array) -> Array:
    return jnp.sum(x * is_taken, axis=-1)

  policy, raised = trajectory.policy, trajectory.improvement
  found = of_taken(policy) < share * jnp.max(policy, axis=-1)
  if nats:
    found |= of_taken(raised) < jnp.max(raised, axis=-1) - nats
  return found


def make_targets(
    trajectory: Trajectory,
    *,
    discount: float,
    unroll_steps: int,
    td_steps: int,
    trace_decay: float = 1.0,
    explored: Array | None = None,
    horizon: Array | None = None,
) -> Targets:
  """Targets for a model unrolled from the first entry of each sequence.

  Behind a termination the state is absorbing: value and reward are taught to be
  0. Behind a truncation nothing is known and nothing is taught.

  Args:
    trajectory: sequences `[B, T]` with `T = unroll_steps + td_steps + 1`.
    discount: of one move.
    unroll_steps: U.
    td_steps: n of the n-step return.
    trace_decay: lambda of TD(lambda); 1 is the n-step return.
    explored: True where the move was not what search advised, `[B, T]`. What
      came of it says little of the position before it, so a return ends there
      in the value of search. Watkins 1989, "Learning from delayed rewards".
    horizon: rewards of each return, see `n_step_return`, `[B, U + 1]`.

  Returns:
    The `Targets`.

  Raises:
    ValueError: if the sequences are not `T` long.
  """
  expected = unroll_steps + td_steps + 1
  if trajectory.reward.shape[1] != expected:
    raise ValueError(
        f"Sequences of {trajectory.reward.shape[1]} entries were given;"
        f" {unroll_steps} unrolled and {td_steps} bootstrapped moves need"
        f" {expected}."
    )
  ended = trajectory.discount == 0.0
  # A game that ends with the limit's last move has ended, not been cut.
  cut = trajectory.truncated & ~ended
  returns = n_step_return(
      trajectory.reward,
      discount * trajectory.discount,
      trajectory.value,
      cut if explored is None else cut | explored,
      num_steps=td_steps,
      trace_decay=trace_decay,
      horizon=horizon,
  )  # [B, U + 1]
  ended, cut = ended[:, :unroll_steps], cut[:, :unroll_steps]
  # What comes first decides: behind it another game is stored.
  first = ~_happened_before(ended | cut)[:, :-1]
  over = _happened_before(ended & first)  # [B, U + 1]
  unknown = _happened_before(cut & first)
  known = 1.0 - unknown
  alive = known * (1.0 - over)
  return Targets(
      value=jnp.where(over, 0.0, returns),
      reward=jnp.where(over[:, :-1], 0.0, trajectory.reward[:, :unroll_steps]),
      continues=1.0 - (ended | over[:, :-1]),
      value_mask=known,
      policy_mask=alive,
      reward_mask=known[:, :-1],
  )


def _happened_before(event: Array) -> Array:
  """Whether an event of `[B, U]` came before entry `0..U`, `[B, U + 1]`."""
  count = jnp.cumsum(event, axis=1)
  return jnp.pad(count, ((0, 0), (1, 0))) > 0
