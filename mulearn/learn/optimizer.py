"""The optimiser: one group for the world, one for the prior head, one for trust.

Groups are clipped apart, so that a run with a language model and one without it
take the same steps in everything they share.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from mulearn.config import LearnConfig, PriorConfig
from mulearn.learn import target_network
from mulearn.types import Array, PyTree, TrainState


def step(
    optimizer: optax.GradientTransformation,
    state: TrainState,
    gradients: PyTree,
    *,
    target_decay: float,
) -> tuple[TrainState, Array]:
  """One step, of the target network too, unless the gradient is broken.

  Args:
    optimizer: from `make_optimizer`.
    state: before the step.
    gradients: of its parameters, the same in all shards.
    target_decay: of the target network; see `target_network.begin`.

  Returns:
    The next state, or the same one if the gradient is not finite, and the norm
    of the gradient `[]`.
  """

  def move(state: TrainState) -> TrainState:
    updates, opt_state = optimizer.update(
        gradients, state.opt_state, state.params
    )
    params = optax.apply_updates(state.params, updates)
    target = target_network.follow(state.target, params, target_decay)
    return TrainState(params, opt_state, state.step + 1, target)

  grad_norm = optax.global_norm(gradients)
  # A branch: choosing between old and new, number by number, takes as long as
  # the step itself.
  after = jax.lax.cond(jnp.isfinite(grad_norm), move, lambda same: same, state)
  return after, grad_norm


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
