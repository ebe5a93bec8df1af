"""The target network: a slow average of the parameters, with which one searches.

What search finds becomes the target of learning, and a network that learns from
its own newest opinion chases itself. So an average of its past does all the
searching: the moves of self-play, Reanalyse, the values that returns end in,
the examinations. Mnih et al. 2015, "Human-level control through deep
reinforcement learning", https://doi.org/10.1038/nature14236; the average is that
of Polyak & Juditsky 1992, "Acceleration of stochastic approximation by
averaging".
"""

import jax
import jax.numpy as jnp
import optax

from mulearn.types import PyTree, TrainState


def first_state(
    params: PyTree, optimizer: optax.GradientTransformation, decay: float
) -> TrainState:
  """What a run learns from its first step on.

  Args:
    params: of fresh networks.
    optimizer: of the run.
    decay: of the target network; see `begin`.

  Returns:
    The state, at step 0.
  """
  return TrainState(
      params=params,
      opt_state=optimizer.init(params),
      step=jnp.zeros((), jnp.int32),
      target=begin(params, decay),
  )


def begin(params: PyTree, decay: float) -> PyTree | None:
  """The target of fresh parameters.

  Args:
    params: of the networks.
    decay: share of the target that an update keeps, in [0, 1); 0 for none.

  Returns:
    A copy, since a state is donated whole; None without a target network.

  Raises:
    ValueError: if the decay is not in [0, 1).
  """
  if not 0.0 <= decay < 1.0:
    raise ValueError(
        f"learn.target_decay is {decay:g}; it must be at least 0 (the newest"
        " network searches) and below 1 (a target that never moves)."
    )
  return jax.tree.map(jnp.copy, params) if decay else None


def searcher_name(decay: float) -> str:
  """The field of a `TrainState` that holds the parameters that search."""
  return "target" if decay else "params"


def follow(
    target: PyTree | None, params: PyTree, decay: float
) -> PyTree | None:
  """`decay target + (1 - decay) params`; None stays None."""
  if target is None:
    return None
  return optax.incremental_update(params, target, 1.0 - decay)
