"""What a policy-gradient learner reads: the last round of every lane.

The replay is the one that everybody uses, made as long as a round: then its
ring holds what the newest policy did, and nothing else, in order of time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import rlax

from mulearn.model.board_networks import Predictor
from mulearn.model.support import Support
from mulearn.types import Array, PyTree, Trajectory


class Rollout(NamedTuple):
  """Moves, flat, and what they are told.

  Attributes:
    observation: `[N, ...]`.
    invalid: `[N, A]`.
    action: `[N]`.
    log_prob: of the action as it was drawn, `[N]`.
    advantage: of the action, `[N]`.
    value: the return that the value head is taught, `[N]`.
    weight: 0 where an episode was cut and nothing is known of the move, `[N]`.
  """

  observation: Array
  invalid: Array
  action: Array
  log_prob: Array
  advantage: Array
  value: Array
  weight: Array


def read_round(memory: PyTree) -> Trajectory:
  """The moves `[lanes, T]` of the round that was just stored.

  Args:
    memory: of a replay as long as a round.
  """
  return memory.experience


def advantages(
    reward: Array,
    discount: Array,
    value: Array,
    truncated: Array,
    *,
    trace_decay: float,
) -> Array:
  """Generalised advantage estimates of all moves but the last.

  With `d_t = R_t + g_t V_{t+1} - V_t`,

    A_t = d_t + g_t l A_{t+1}

  Schulman et al. 2016, "High-dimensional continuous control using generalized
  advantage estimation", https://arxiv.org/abs/1506.02438. What a truncated move
  led to was not stored: its advantage is 0, and so the move before it ends its
  return in the value of the position where the episode was cut.

  Args:
    reward: `[B, T]`.
    discount: of the move, including termination, `[B, T]`.
    value: of the position before the move, `[B, T]`.
    truncated: True where the episode was cut after the move, `[B, T]`.
    trace_decay: l.

  Returns:
    Advantages `[B, T - 1]`; the last move only lends its value.
  """
  reward = jnp.where(truncated, value, reward)[:, :-1]
  discount = jnp.where(truncated, 0.0, discount)[:, :-1]
  return jax.vmap(
      rlax.truncated_generalized_advantage_estimation, (0, 0, None, 0)
  )(reward, discount, trace_decay, value)


def make_rollout(
    networks: Predictor,
    moves: Trajectory,
    *,
    support: Support,
    discount: float,
    trace_decay: float,
) -> Rollout:
  """Advantages and returns by these networks' values, `N = lanes (T - 1)`.

  Args:
    networks: that played the moves.
    moves: of a round, `[lanes, T]`.
    support: of the categorical value.
    discount: of one move.
    trace_decay: lambda of the advantages.

  Returns:
    The `Rollout`.
  """
  lanes, length = moves.reward.shape
  flat = moves.observation.reshape(lanes * length, *moves.observation.shape[2:])
  _, logits = networks.predict(networks.represent(flat))
  value = support.to_scalar(logits).reshape(lanes, length)
  cut = moves.truncated & (moves.discount != 0.0)
  advantage = advantages(
      moves.reward,
      discount * moves.discount,
      value,
      cut,
      trace_decay=trace_decay,
  )
  taken = jnp.take_along_axis(moves.policy, moves.action[..., None], axis=-1)
  rollout = Rollout(
      observation=moves.observation,
      invalid=moves.invalid,
      action=moves.action,
      log_prob=jnp.log(taken[..., 0]),
      advantage=advantage,
      value=advantage + value[:, :-1],
      weight=1.0 - cut,
  )
  return jax.tree.map(
      lambda x: x[:, : length - 1].reshape(-1, *x.shape[2:]), rollout
  )
