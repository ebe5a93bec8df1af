"""The optimiser step that everything else serves."""

import functools

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
import optax

from mulearn.config import LearnConfig
from mulearn.learn import optimizer as optimizer_lib
from mulearn.learn.losses import world_loss
from mulearn.learn.targets import make_targets
from mulearn.model.support import Support
from mulearn.parallel.mesh import shard_key
from mulearn.prior.fusion import Fusion
from mulearn.replay import buffer
from mulearn.replay.buffer import Replay
from mulearn.types import Array, PyTree, TrainState, Trajectory


def train_step(
    state: TrainState,
    phrases: tuple[Array, Array],
    trajectory: Trajectory,
    weights: Array,
    *,
    optimizer: optax.GradientTransformation,
    config: LearnConfig,
    support: Support,
    fusion: Fusion,
    axis: str | None = None,
) -> tuple[TrainState, dict[str, Array]]:
  """One step on a batch of sequences.

  Args:
    state: parameters and optimiser state.
    phrases: embeddings `[P, E]` and vocabulary `[P]` of the phrase table.
    trajectory: sequences `[B, T]`, `T = unroll_steps + td_steps + 1`.
    weights: importance of each sequence, `[B]`.
    optimizer: from `make_optimizer`.
    config: of the targets and the loss.
    support: of value and reward.
    fusion: the rule whose gate is fitted.
    axis: of the mesh, over which gradients are averaged; None on one shard.

  Returns:
    The next state, or the same if the gradient is not finite; the loss, its
    terms, gradient norm and trust as scalars, and `value_error` `[B]`.
  """
  targets = make_targets(
      trajectory,
      discount=config.discount,
      unroll_steps=config.unroll_steps,
      td_steps=config.td_steps,
      trace_decay=config.trace_decay,
  )
  gradients, metrics = jax.grad(world_loss, has_aux=True)(
      state.params, *phrases, trajectory, targets, weights, state.step,
      config=config, support=support, fusion=fusion,
  )  # fmt: skip
  if axis is not None:
    gradients = jax.lax.pmean(gradients, axis)
  state, metrics["grad_norm"] = optimizer_lib.step(
      optimizer, state, gradients, target_decay=config.target_decay
  )
  metrics["trust"] = jax.nn.sigmoid(state.params.gate[...])
  return state, metrics


@functools.partial(
    jax.jit,
    static_argnames=(
        "num_updates", "replay", "optimizer", "config", "support", "fusion",
        "mesh",
    ),
    donate_argnames=("state", "memory"),
)  # fmt: skip
def learn_from_replay(
    state: TrainState,
    memory: PyTree,
    rng_key: Array,
    phrases: tuple[Array, Array],
    *,
    num_updates: int,
    replay: Replay,
    mesh: Mesh | None = None,
    **settings,
) -> tuple[TrainState, PyTree, dict[str, Array]]:
  """Samples and steps `num_updates` times in one program.

  On several devices each samples its part of the batch from its own lanes, and
  gradients are averaged. The trust's term is a mean over the held-out games of a
  part, so it weighs them by part.

  Args:
    state: donated.
    memory: of the replay, donated.
    rng_key: split into one key an update.
    phrases: see `train_step`.
    num_updates: optimiser steps.
    replay: how to sample, in each shard.
    mesh: whose data axis splits the memory by lanes; None for one device.
    **settings: of `train_step`.

  Returns:
    State, memory (with new priorities), and the metrics' means.
  """
  settings |= {"num_updates": num_updates, "replay": replay}
  if mesh is None or mesh.shape["data"] == 1:
    return _learn(state, memory, rng_key, phrases, **settings)

  def learn_in_shard(state, memory, rng_key, phrases):
    own_key = shard_key(rng_key, mesh)
    state, memory, metrics = _learn(
        state, memory, own_key, phrases, axis="data", **settings
    )
    return state, memory, jax.lax.pmean(metrics, "data")

  everywhere, rings = PartitionSpec(), buffer.layout(memory)
  return jax.shard_map(
      learn_in_shard,
      mesh=mesh,
      in_specs=(everywhere, rings, everywhere, everywhere),
      out_specs=(everywhere, rings, everywhere),
      check_vma=False,
  )(state, memory, rng_key, phrases)


def _learn(
    state: TrainState,
    memory: PyTree,
    rng_key: Array,
    phrases: tuple[Array, Array],
    *,
    num_updates: int,
    replay: Replay,
    **settings,
) -> tuple[TrainState, PyTree, dict[str, Array]]:
  """`learn_from_replay` with the memory of one shard."""

  def update(carry, rng_key):
    state, memory = carry
    sample = replay.sample(memory, rng_key)
    state, metrics = train_step(
        state, phrases, sample.trajectory, sample.weights, **settings
    )
    value_error = metrics["value_error"]
    memory = replay.update(memory, sample.indices, value_error)
    return (state, memory), metrics | {"value_error": value_error.mean()}

  keys = jax.random.split(rng_key, num_updates)
  (state, memory), metrics = jax.lax.scan(update, (state, memory), keys)
  return state, memory, jax.tree.map(jnp.mean, metrics)


@functools.partial(
    jax.jit,
    static_argnames=("optimizer", "config", "support", "fusion"),
    donate_argnames="state",
)
def learn_from_batch(
    state: TrainState,
    trajectory: Trajectory,
    phrases: tuple[Array, Array],
    **settings,
) -> tuple[TrainState, dict[str, Array]]:
  """One compiled `train_step` on a given batch; `state` is donated."""
  weights = jnp.ones(trajectory.reward.shape[0])
  state, metrics = train_step(state, phrases, trajectory, weights, **settings)
  return state, jax.tree.map(jnp.mean, metrics)
