"""The optimiser step of a board: sample, turn, target, loss, update."""

from collections.abc import Callable
import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from mulearn.config import LearnConfig
from mulearn.env.symmetry import Symmetries
from mulearn.learn import board_losses
from mulearn.learn import optimizer as optimizer_lib
from mulearn.learn.augment import augment
from mulearn.learn.targets import (
    corrected_horizon,
    make_targets,
    was_explored,
)
from mulearn.model.board_networks import with_kernels_in
from mulearn.model.support import Support
from mulearn.parallel.mesh import AxisName
from mulearn.replay.buffer import Replay
from mulearn.types import Array, PyTree, TrainState, Trajectory


@dataclasses.dataclass(frozen=True)
class BoardLearner:
  """What one round of learning depends on.

  Attributes:
    optimizer: from `make_optimizer`.
    config: of the targets and the loss.
    support: of value and reward.
    symmetries: of the board; None without any.
    dtype: of the networks' matrices in the loss; parameters stay float32.
    axis: over which gradients are averaged; None on one shard.
    imagine: how the model is unrolled; the class says so.
  """

  imagine: ClassVar[board_losses.ImagineFn] = staticmethod(board_losses.imagine)

  optimizer: optax.GradientTransformation
  config: LearnConfig
  support: Support
  symmetries: Symmetries | None
  dtype: str
  axis: AxisName | None = None

  def train_step(
      self, state: TrainState, trajectory: Trajectory, weights: Array
  ) -> tuple[TrainState, dict[str, Array]]:
    """One step on sequences `[B, T]`, `T = unroll_steps + td_steps + 1`.

    Args:
      state: parameters and optimiser state.
      trajectory: sequences, K = A.
      weights: importance of each sequence, `[B]`.

    Returns:
      The next state, or the same if the gradient is not finite; the loss, its
      terms (means over microbatches), the share of moves that were `explored`
      and the gradient norm as scalars, and `value_error` `[B]`.

    Raises:
      ValueError: `config.num_microbatches` does not divide B.
    """
    count, batch = self.config.num_microbatches, weights.shape[0]
    if count == 1:
      return self.descend(state, self.objective(state, trajectory, weights))
    if batch % count:
      raise ValueError(
          f"learn.num_microbatches is {count}, which does not divide the"
          f" {batch} sequences that a shard learns from at once: change it or"
          " replay.batch_size."
      )

    def add(total: PyTree, part: Any) -> tuple[PyTree, dict[str, Array]]:
      loss = self.objective(state, *part)
      gradients, metrics = jax.grad(loss, has_aux=True)(state.params)
      return jax.tree.map(jnp.add, total, gradients), metrics

    total, metrics = jax.lax.scan(
        add,
        jax.tree.map(jnp.zeros_like, state.params),
        jax.tree.map(
            lambda x: x.reshape(count, -1, *x.shape[1:]), (trajectory, weights)
        ),
    )
    errors = metrics.pop("value_error").reshape(batch)
    metrics = jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)
    return self._move(
        state,
        jax.tree.map(lambda x: x / count, total),
        metrics | {"value_error": errors},
    )

  def objective(
      self, state: TrainState, trajectory: Trajectory, weights: Array
  ) -> Callable[[PyTree], tuple[Array, dict[str, Array]]]:
    """The loss on sequences as a function of the parameters.

    Args:
      state: before the step.
      trajectory: sequences `[B, T]`.
      weights: importance of each sequence, `[B]`.

    Returns:
      parameters -> the loss `[]` and its terms, `value_error` `[B]` included.
    """
    explored = was_explored(
        trajectory,
        share=self.config.explored_below,
        nats=self.config.explored_nats,
    )
    targets = make_targets(
        trajectory,
        discount=self.config.discount,
        unroll_steps=self.config.unroll_steps,
        td_steps=self.config.td_steps,
        trace_decay=self.config.trace_decay,
        explored=explored,
        horizon=self._horizon(state, trajectory),
    )

    def loss(params: PyTree) -> tuple[Array, dict[str, Array]]:
      networks = with_kernels_in(params, self.dtype)
      value, metrics = board_losses.board_loss(
          networks, trajectory, targets, weights,
          config=self.config, support=self.support, imagine=self.imagine,
      )  # fmt: skip
      return value, metrics | {"explored": jnp.mean(explored)}

    return loss

  def _horizon(self, state: TrainState, trajectory: Trajectory) -> Array | None:
    """Rewards of each return `[B, U + 1]`; None where all have the same."""
    if trajectory.born is None:
      return None
    born = trajectory.born[:, : self.config.unroll_steps + 1]
    return corrected_horizon(
        state.step - born,
        num_steps=self.config.td_steps,
        steps=self.config.correction_steps,
    )

  def descend(
      self,
      state: TrainState,
      loss: Callable[[PyTree], tuple[Array, dict[str, Array]]],
  ) -> tuple[TrainState, dict[str, Array]]:
    """One step of the optimiser down a loss with metrics."""
    return self._move(state, *jax.grad(loss, has_aux=True)(state.params))

  def _move(
      self, state: TrainState, gradients: PyTree, metrics: dict[str, Array]
  ) -> tuple[TrainState, dict[str, Array]]:
    """The state after a step with these gradients of the shard's batch."""
    if self.axis is not None:
      gradients = jax.lax.pmean(gradients, self.axis)
    state, metrics["grad_norm"] = optimizer_lib.step(
        self.optimizer,
        state,
        gradients,
        target_decay=self.config.target_decay,
    )
    return state, metrics

  def learn(
      self,
      state: TrainState,
      memory: PyTree,
      rng_key: Array,
      *,
      replay: Replay,
      num_updates: int,
  ) -> tuple[TrainState, PyTree, dict[str, Array]]:
    """Samples and steps `num_updates` times.

    Args:
      state: parameters and optimiser state.
      memory: of the replay.
      rng_key: consumed, one part an update.
      replay: how to sample.
      num_updates: optimiser steps.

    Returns:
      State, memory (with new priorities), and the metrics' means.
    """

    def update(carry, rng_key):
      state, memory = carry
      sample_key, turn_key = jax.random.split(rng_key)
      sample = replay.sample(memory, sample_key)
      moves = sample.trajectory
      if self.symmetries is not None:
        moves = augment(turn_key, moves, self.symmetries)
      state, metrics = self.train_step(state, moves, sample.weights)
      error = metrics["value_error"]
      memory = replay.update(memory, sample.indices, error)
      return (state, memory), metrics | {"value_error": error.mean()}

    keys = jax.random.split(rng_key, num_updates)
    (state, memory), metrics = jax.lax.scan(update, (state, memory), keys)
    return state, memory, jax.tree.map(jnp.mean, metrics)
