"""The optimiser: one group for the world, one for the prior head, one for trust.

Groups are clipped apart, so that a run with a language model and one without it
take the same steps in everything they share.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from mulearn.config import LearnConfig, PriorConfig
from mulearn.types import Array, PyTree, TrainState


def unless_broken(
    before: TrainState, after: TrainState, grad_norm: Array
) -> TrainState:
  """The state after a step, or before it if its gradient is not finite.

  Args:
    before: the step, good.
    after: the step.
    grad_norm: of the gradient that was used, the same in all shards.

  Returns:
    A state that is good.
  """
  is_good = jnp.isfinite(grad_norm)
  return jax.tree.map(
      lambda old, new: jnp.where(is_good, new, old), before, after
  )


@functools.cache  # Runs that share a rule share its compiled step.
def make_optimizer(
    learn: LearnConfig, prior: PriorConfig, num_steps: int
) -> optax.GradientTransformation:
  """AdamW with warm-up and cosine decay; the gate has a rule of its own.

  Args:
    learn: rates and limits.
    prior: how the gate moves: learned, fixed, or annealed to zero.
    num_steps: optimiser steps of the run.

  Returns:
    An optax transformation over `Networks`.
  """
  schedule = optax.warmup_cosine_decay_schedule(
      init_value=0.0,
      peak_value=learn.learning_rate,
      warmup_steps=learn.warmup_steps,
      decay_steps=max(num_steps, learn.warmup_steps + 1),
      end_value=0.1 * learn.learning_rate,
  )

  def adamw() -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(learn.max_grad_norm),
        optax.adamw(schedule, weight_decay=learn.weight_decay),
    )

  if prior.fusion == "annealed":
    gate = _anneal_gate(prior.trust, num_steps)
  elif prior.learn_trust:
    gate = optax.adam(learn.gate_learning_rate)
  else:
    gate = optax.set_to_zero()
  groups = {"world": adamw(), "prior": adamw(), "gate": gate}
  return optax.partition(groups, label_groups)


def label_groups(params: PyTree) -> PyTree:
  """Names the group of each parameter: "world", "prior" or "gate"."""

  def label(path, _):
    first = jax.tree_util.keystr(path[:1], simple=True)
    return first if first in ("prior", "gate") else "world"

  return jax.tree_util.tree_map_with_path(label, params)


def _anneal_gate(trust: float, num_steps: int) -> optax.GradientTransformation:
  """Sets the trust to `trust (1 - step / num_steps)`, whatever the gradient."""

  def update(updates, count, params):
    del updates
    now = trust * (1.0 - (count + 1) / num_steps)
    gate = jax.scipy.special.logit(jnp.clip(now, 1e-6, 1.0 - 1e-6))
    return jax.tree.map(lambda p: gate - p, params), count + 1

  return optax.GradientTransformation(lambda _: jnp.zeros((), int), update)
