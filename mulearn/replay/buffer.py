"""Remembering: a ring of moves for each lane, sampled as sequences.

flashbax keeps the arrays on the device, uniform or prioritised; memory is fixed
when the buffer is made.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import flashbax
import jax
import jax.numpy as jnp

from mulearn.config import ReplayConfig
from mulearn.types import Array, PyTree, Trajectory


class Sample(NamedTuple):
  """A batch of sequences.

  Attributes:
    trajectory: `[B, T, ...]`.
    weights: importance weights, the largest 1, `[B]`.
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


@functools.cache  # Runs that share a replay share its compiled programs.
def make_replay(
    config: ReplayConfig, num_lanes: int, sequence_length: int
) -> Replay:
  """A replay over `num_lanes` rings.

  Prioritised: probability `|error|^0.6`, weights `(N P)^-0.4`; Schaul et al.
  2016, "Prioritized experience replay", https://arxiv.org/abs/1511.05952.

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
    return _prioritised(sizes)
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


def _prioritised(sizes: dict[str, int]) -> Replay:
  buffer = flashbax.make_prioritised_trajectory_buffer(
      **sizes, priority_exponent=0.6
  )

  def sample(memory, rng_key):
    drawn = buffer.sample(memory, rng_key)
    weights = jnp.maximum(drawn.probabilities, 1e-8) ** -0.4
    return Sample(drawn.experience, weights / weights.max(), drawn.indices)

  def update(memory, indices, value_error):
    return buffer.set_priorities(memory, indices, value_error + 1e-3)

  return Replay(buffer.init, buffer.add, sample, update)


def num_moves(memory: PyTree) -> Array:
  """Moves held, over all lanes, a scalar."""
  lanes, length = jax.tree.leaves(memory.experience)[0].shape[:2]
  return lanes * jnp.where(memory.is_full, length, memory.current_index)


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
    memory: PyTree, places: tuple[Array, Array], **fields: Array
) -> PyTree:
  """Replaces fields of the moves at lanes and times `[M]`; the rest stays."""
  moves = memory.experience
  changed = {
      name: getattr(moves, name).at[places].set(value)
      for name, value in fields.items()
  }
  return memory.replace(experience=moves._replace(**changed))
