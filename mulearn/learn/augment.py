"""Augmentation: every sequence is seen through a random symmetry of the board."""

import jax
import jax.numpy as jnp

from mulearn.env.symmetry import Symmetries
from mulearn.types import Array, Trajectory


def turn(
    trajectory: Trajectory, which: Array, symmetries: Symmetries
) -> Trajectory:
  """Turns each sequence by a symmetry of its own.

  Args:
    trajectory: observations `[B, T, H, W, C]`, K = A.
    which: the symmetry of each sequence, `[B]`.
    symmetries: of the board.

  Returns:
    The same games on turned boards; values and rewards do not change.
  """
  cells = jnp.asarray(symmetries.cells)[which]  # [B, H * W]
  slots = jnp.asarray(symmetries.actions)[which]  # [B, A]
  # An action goes to where the turned board shows it.
  places = jnp.argsort(slots, axis=-1)
  shape = trajectory.observation.shape
  flat = trajectory.observation.reshape(*shape[:2], -1, shape[-1])
  flat = jnp.take_along_axis(flat, cells[:, None, :, None], axis=2)

  def turn_slots(x: Array) -> Array:  # [B, T, A]
    return jnp.take_along_axis(x, slots[:, None, :], axis=2)

  return trajectory._replace(
      observation=flat.reshape(shape),
      prior_logits=turn_slots(trajectory.prior_logits),
      invalid=turn_slots(trajectory.invalid),
      policy=turn_slots(trajectory.policy),
      improvement=turn_slots(trajectory.improvement),
      action=jnp.take_along_axis(places, trajectory.action, axis=1),
  )


def augment(
    rng_key: Array, trajectory: Trajectory, symmetries: Symmetries
) -> Trajectory:
  """Turns each sequence by a symmetry drawn at random; consumes the key."""
  batch = trajectory.reward.shape[0]
  which = jax.random.randint(rng_key, (batch,), 0, len(symmetries.cells))
  return turn(trajectory, which, symmetries)
