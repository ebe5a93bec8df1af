"""A new target: values that are what search said, with no return at all.

Search has looked ahead already, so its value at the root can be taught as it
is: no noise of the game comes in, and no reward corrects it either.
"""

import jax.numpy as jnp

from mulearn.learn.targets import make_targets
from mulearn.types import Targets, Trajectory


def search_value_targets(
    trajectory: Trajectory, *, unroll_steps: int, **settings
) -> Targets:
  """As `make_targets`, with the values of search in place of returns.

  Args:
    trajectory: sequences `[B, T]`.
    unroll_steps: U.
    **settings: the others that `make_targets` takes.

  Returns:
    The `Targets`; behind the end of a game values are 0, as ever.
  """
  targets = make_targets(trajectory, unroll_steps=unroll_steps, **settings)
  over = (targets.value_mask == 1.0) & (targets.policy_mask == 0.0)
  searched = trajectory.value[:, : unroll_steps + 1]
  return targets._replace(value=jnp.where(over, 0.0, searched))


def main() -> None:
  """Three moves of one game that is won with the second."""
  row = jnp.zeros((1, 4))
  trajectory = Trajectory(
      observation=row,
      prior_logits=row[..., None],
      invalid=row[..., None] > 0,
      policy=row[..., None] + 1.0,
      improvement=row[..., None],
      value=jnp.array([[0.5, 0.9, 0.3, 0.2]]),
      action=row,
      reward=jnp.array([[0.0, 1.0, 0.0, 0.0]]),
      discount=jnp.array([[1.0, 0.0, 1.0, 1.0]]),
      truncated=row > 0,
      held_out=row > 0,
  )
  settings = dict(unroll_steps=2, td_steps=1, discount=0.9)
  plain = make_targets(trajectory, **settings)
  searched = search_value_targets(trajectory, **settings)
  print("returns      ", plain.value.round(2))
  print("search values", searched.value.round(2))


if __name__ == "__main__":
  main()
