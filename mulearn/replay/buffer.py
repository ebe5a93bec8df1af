"""Remembering: a ring of moves for each lane, sampled as sequences.

flashbax keeps the arrays on the device, uniform or prioritised; memory is fixed
when the buffer is made.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import flashbax
from flashbax.buffers import sum_tree
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from mulearn.config import Config, LearnConfig, ReplayConfig
from mulearn.types import Array, PyTree, Trajectory


class Sample(NamedTuple):
  """A batch of sequences.

  Attributes:
    trajectory: `[B, T, ...]`.
    weights: importance weights, 1 on average where chances are even, `[B]`.
    indices: names of the sequences, for `update`.
  """

  trajectory: Trajectory
  weights: Array
  indices: Any


class Replay(NamedTuple):
  """Pure functions over a memory, which is a pytree.

  Attributes:
    init: example move (no batch, no time) -> memory.
    add: memory, moves `[lanes, T, ...]` -> memory.
    sample: memory, rng_key -> `Sample`.
    update: memory, indices, value errors `[B]` -> memory.
  """

  init: Callable[[Trajectory], PyTree]
  add: Callable[[PyTree, Trajectory], PyTree]
  sample: Callable[[PyTree, Array], Sample]
  update: Callable[[PyTree, Any, Array], PyTree]


def replay_of(config: Config, num_shards: int = 1) -> Replay:
  """The replay of a run, or the part of it that one of several shards keeps.

  Args:
    config: of the run.
    num_shards: that keep a part each.
  """
  parts = split(config.replay, config.env.num_lanes, num_shards)
  return make_replay(*parts, sequence_length(config.learn))


@functools.cache  # Runs that share a replay share its compiled programs.
def make_replay(
    config: ReplayConfig, num_lanes: int, sequence_length: int
) -> Replay:
  """A replay over `num_lanes` rings.

  Prioritised: sequence `i` of the `N` that are held has the chance `P_i`, which
  goes with `|error|^alpha`, and the weight `(N P_i)^-beta`; Schaul et al. 2016,
  "Prioritized experience replay", https://arxiv.org/abs/1511.05952. The weights
  are not divided by the largest of the batch, as is done there: that would make
  a gradient depend on what else was drawn, and not even `beta = 1` would give
  that of uniform sampling back in expectation. A new sequence has the highest
  priority there ever was, which flashbax rounds down to a whole number.

  Args:
    config: capacity (moves over all lanes), batch size and the kind.
    num_lanes: games that step together.
    sequence_length: T of a sample.

  Returns:
    The `Replay`.

  Raises:
    ValueError: if a lane's ring would be shorter than a sequence.
  """
  if config.capacity // num_lanes < sequence_length:
    raise ValueError(
        f"A capacity of {config.capacity} moves over {num_lanes} lanes leaves"
        f" {config.capacity // num_lanes} a lane, fewer than a sequence of"
        f" {sequence_length}; raise config.replay.capacity."
    )
  sizes = {
      "add_batch_size": num_lanes,
      "sample_batch_size": config.batch_size,
      "sample_sequence_length": sequence_length,
      "period": 1,
      "min_length_time_axis": sequence_length,
      "max_length_time_axis": config.capacity // num_lanes,
  }
  if config.prioritised:
    return _prioritised(sizes, config)
  buffer = flashbax.make_trajectory_buffer(**sizes)

  def sample(memory, rng_key):
    trajectory = buffer.sample(memory, rng_key).experience
    weights = jnp.ones(trajectory.reward.shape[0])
    return Sample(trajectory, weights, indices=())

  return Replay(
      init=buffer.init,
      add=buffer.add,
      sample=sample,
      update=lambda memory, indices, value_error: memory,
  )


def _prioritised(sizes: dict[str, int], config: ReplayConfig) -> Replay:
  buffer = flashbax.make_prioritised_trajectory_buffer(
      **sizes, priority_exponent=config.priority_exponent
  )
  length = sizes["sample_sequence_length"]

  def sample(memory, rng_key):
    drawn = buffer.sample(memory, rng_key)
    lanes, ring = jax.tree.leaves(memory.experience)[0].shape[:2]
    held = jnp.where(memory.is_full, ring, memory.current_index)
    chances = drawn.probabilities * lanes * (held - length + 1)
    # Sums of the tree are rounded, so that once in a long while one lands
    # where no sequence begins: it counts for nothing.
    weights = jnp.where(
        chances > 0.0,
        jnp.maximum(chances, 1e-8) ** -config.importance_exponent,
        0.0,
    )
    return Sample(drawn.experience, weights, drawn.indices)

  def update(memory, indices, value_error):
    begins = sum_tree.get_batch(memory.sum_tree_state, indices) > 0.0
    error = jnp.where(begins, value_error + 1e-3, 0.0)  # And stays there.
    return buffer.set_priorities(memory, indices, error)

  return Replay(buffer.init, buffer.add, sample, update)


def split(
    config: ReplayConfig, num_lanes: int, num_shards: int
) -> tuple[ReplayConfig, int]:
  """What each of several shards holds and samples: its own lanes and rings.

  Args:
    config: of the whole replay.
    num_lanes: of all shards.
    num_shards: of the mesh's data axis.

  Returns:
    The config and the number of lanes of one shard.

  Raises:
    ValueError: if the shards would not be alike.
  """
  if num_shards == 1:
    return config, num_lanes
  if config.prioritised:
    raise ValueError(
        f"config.replay.prioritised is True on {num_shards} devices, but"
        " priorities are kept in one tree for all lanes: set it to False, or"
        " train on one device."
    )
  for name, value in (
      ("env.num_lanes", num_lanes),
      ("replay.capacity", config.capacity),
      ("replay.batch_size", config.batch_size),
  ):
    if value % num_shards:
      raise ValueError(
          f"config.{name} is {value}, which {num_shards} devices cannot share"
          f" evenly: make it a multiple of {num_shards}, such as"
          f" {-(-value // num_shards) * num_shards}."
      )
  config = dataclasses.replace(
      config,
      capacity=config.capacity // num_shards,
      batch_size=config.batch_size // num_shards,
  )
  return config, num_lanes // num_shards


def layout(memory: PyTree) -> PyTree:
  """Which axis of the mesh splits what: the rings by lanes, no counter."""
  everywhere = jax.tree.map(lambda x: PartitionSpec(), memory)
  rings = jax.tree.map(lambda x: PartitionSpec("data"), memory.experience)
  return everywhere.replace(experience=rings)


def num_moves(memory: PyTree) -> Array:
  """Moves held, over all lanes, a scalar."""
  lanes, length = jax.tree.leaves(memory.experience)[0].shape[:2]
  return lanes * jnp.where(memory.is_full, length, memory.current_index)


def sequence_length(config: LearnConfig) -> int:
  """T of what is learned from: moves imagined, then bootstrapped, and one."""
  return config.unroll_steps + config.td_steps + 1


def is_enough(config: Config, num_moves: int) -> bool:
  """Whether so many moves, over all lanes, can be learned from.

  They must be `replay.min_size`, and in each lane a whole sequence: in a ring
  that holds less, flashbax finds every sequence at its beginning, and runs into
  entries that were never written.
  """
  least = config.env.num_lanes * sequence_length(config.learn)
  return num_moves >= max(config.replay.min_size, least)


def draw_places(
    memory: PyTree, rng_key: Array, num_places: int
) -> tuple[Array, Array]:
  """Draws M of the stored moves evenly: their lanes and times, each `[M]`."""
  lanes, length = jax.tree.leaves(memory.experience)[0].shape[:2]
  lane_key, time_key = jax.random.split(rng_key)
  held = jnp.where(memory.is_full, length, memory.current_index)
  return (
      jax.random.randint(lane_key, (num_places,), 0, lanes),
      jax.random.randint(time_key, (num_places,), 0, held),
  )


def read(memory: PyTree, places: tuple[Array, Array]) -> Trajectory:
  """The moves at lanes and times `[M]`, leaves `[M, ...]`."""
  return jax.tree.map(lambda x: x[places], memory.experience)


def write(
    memory: PyTree, places: tuple[Array, Array], **fields: PyTree
) -> PyTree:
  """Replaces fields of the moves at lanes and times `[M]`; the rest stays."""
  moves = memory.experience
  changed = {
      name: jax.tree.map(
          lambda x, new: x.at[places].set(new), getattr(moves, name), value
      )
      for name, value in fields.items()
  }
  return memory.replace(experience=moves._replace(**changed))
