"""Several processes, one a host, that run one program together.

Every process runs the same lines in the same order; what only one of them knows
(a signal, a clock, a listing of files) is agreed upon here before anybody acts
on it. With one process everything here returns what it was given.
"""

from collections.abc import Callable, Sequence
import glob
import importlib.util
import io
import json
import os
import pathlib
from typing import Any

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

# After so many seconds of silence JAX itself ends the processes that are left:
# later than `watch.py`, which says more, and well within a minute.
_HEARTBEAT_SECONDS = 45


def join(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
  """Joins the processes of the run, before JAX looks for devices.

  Args:
    coordinator: host and port of process 0, where it will listen; the variable
      JAX_COORDINATOR_ADDRESS if None. With neither, a TPU VM asks its slice,
      and other machines are alone.
    num_processes: of the run; JAX_NUM_PROCESSES if None.
    process_id: of this one, from 0; JAX_PROCESS_ID if None.

  Raises:
    ValueError: only a part of the three is known.
  """
  given = (
      coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS"),
      _number(num_processes, "JAX_NUM_PROCESSES"),
      _number(process_id, "JAX_PROCESS_ID"),
  )
  if given == (None, None, None):
    if not _is_tpu_vm():
      return
  elif None in given:
    raise ValueError(
        f"Of coordinator, num_processes and process_id, {given} is known: give"
        " all three, by --coordinator=HOST:PORT --num_processes=N"
        " --process_id=I or by JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and"
        " JAX_PROCESS_ID; on a Cloud TPU none, since its hosts find each other."
    )
  # JAX would take SIGTERM for itself; we agree upon it in `any_of`.
  jax.config.update("jax_enable_preemption_service", False)
  # What else CPUs of several processes can meet by, jaxlib is built without.
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  jax.distributed.initialize(
      *given, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS
  )
  if jax.process_count() > 1:
    _meet()


def is_leader() -> bool:
  """Whether this process writes what all of them know."""
  return jax.process_index() == 0


def any_of(flags: Sequence[bool]) -> list[bool]:
  """Which of the flags at least one process has set; all must ask at once."""
  if jax.process_count() == 1:
    return list(flags)
  found = multihost_utils.process_allgather(np.asarray(flags))
  return found.any(axis=0).tolist()


def share(value: Any) -> Any:
  """What the leader has, which JSON can hold, for all; all must ask at once."""
  if jax.process_count() == 1:
    return value
  return json.loads(_from_leader(json.dumps(value).encode()))


def lead(make: Callable[[], Sequence[np.ndarray]]) -> list[np.ndarray]:
  """What the leader makes, for all; all must ask at once.

  Where hosts differ, so do the last bits of what each would make for itself:
  what is to be the same everywhere is made once.

  Args:
    make: called in the leader alone; gives NumPy arrays of any shapes.

  Returns:
    The arrays.
  """
  if jax.process_count() == 1:
    return list(make())
  content = io.BytesIO()
  if is_leader():
    np.savez(content, *make())
  found = np.load(
      io.BytesIO(_from_leader(content.getvalue())), allow_pickle=False
  )
  return [found[name] for name in found.files]


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes JSON, whole or not at all, once for all processes."""
  if not is_leader():
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f".{path.name}.new")
  temporary.write_text(json.dumps(value, indent=1) + "\n")
  os.replace(temporary, path)


def read_json(path: pathlib.Path) -> Any:
  """Reads JSON for all processes, which must ask at once; None without a file."""
  here = is_leader() and path.exists()
  return share(json.loads(path.read_text()) if here else None)


def everywhere(numbers: Sequence[int]) -> np.ndarray:
  """Those of each process, modulo 2^32, `[processes, N]`; all must ask at once."""
  here = np.asarray([n % 2**32 for n in numbers], np.uint32)
  if jax.process_count() == 1:
    return here[None]
  return multihost_utils.process_allgather(here)


def total(numbers: Sequence[int]) -> list[int]:
  """Sums over all processes, modulo 2^32; all must ask at once."""
  found = everywhere(numbers).sum(axis=0, dtype=np.uint64)
  return (found % 2**32).tolist()


def part_of(count: int) -> np.ndarray:
  """Which of `count` pieces of work this process does, in order."""
  return np.arange(jax.process_index(), count, jax.process_count())


def rows_for(count: int) -> np.ndarray:
  """`part_of`, or the first piece where there are more processes than pieces.

  `gather` leaves out what was done again, and no program gets an empty batch.
  """
  mine = part_of(count)
  return mine if len(mine) else np.zeros(1, int)


def gather(parts: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
  """What all processes found at their `rows_for(count)`; all must ask at once.

  Args:
    parts: by name, `[len(rows_for(count)), ...]`.
    count: pieces of work, on all processes.

  Returns:
    The same names, in the order of the pieces, `[count, ...]`.
  """
  num = jax.process_count()
  if num == 1:
    return parts
  longest = -(-count // num)

  def in_order(part: np.ndarray) -> np.ndarray:
    padded = np.zeros((longest, *part.shape[1:]), part.dtype)
    padded[: len(part)] = part
    found = multihost_utils.process_allgather(padded)  # [processes, longest]
    return np.swapaxes(found, 0, 1).reshape(-1, *part.shape[1:])[:count]

  return {name: in_order(np.asarray(part)) for name, part in parts.items()}


def gather_json(value: Any) -> list[Any]:
  """What each process has, which JSON can hold; all must ask at once.

  Args:
    value: of this process.

  Returns:
    Those of all, in the order of the processes.
  """
  if jax.process_count() == 1:
    return [value]
  text = json.dumps(value).encode()
  sizes = multihost_utils.process_allgather(np.int32(len(text)))
  found = multihost_utils.process_allgather(_padded(text, sizes.max()))
  return [json.loads(bytes(row[:size])) for row, size in zip(found, sizes)]


def local(tree: Any) -> Any:
  """Arrays that every device has whole, as this process's own copies.

  A single process keeps the very arrays.
  """
  if jax.process_count() == 1:
    return tree
  return jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), tree)


def local_mesh(mesh: Mesh) -> Mesh:
  """The devices of this process, in the order they have in the mesh."""
  if jax.process_count() == 1:
    return mesh
  own = [d for d in mesh.devices.flat if d.process_index == jax.process_index()]
  return Mesh(
      np.asarray(own, dtype=object).reshape(-1, 1, 1),
      mesh.axis_names,
      axis_types=mesh.axis_types,
  )


def rows_here(count: int, mesh: Mesh) -> np.ndarray:
  """Which rows of an array `[count, ...]`, split over `data`, are here."""
  if jax.process_count() == 1:
    return np.arange(count)
  places = _rows(mesh).addressable_devices_indices_map((count,)).values()
  return np.unique(np.concatenate([np.arange(count)[p] for p in places]))


def whole(rows: Any, mesh: Mesh) -> Any:
  """Makes one array of the rows that each process has, split over `data`.

  Args:
    rows: NumPy arrays `[len(rows_here(B, mesh)), ...]`.
    mesh: the devices of all processes.

  Returns:
    The arrays `[B, ...]`; with one process what was given.
  """
  if jax.process_count() == 1:
    return rows
  return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(_rows(mesh), x), rows
  )


def rows_of(arrays: Any) -> Any:
  """The inverse of `whole`: the rows of this process, as NumPy arrays."""

  def read(x: jax.Array) -> np.ndarray:
    if x.is_fully_addressable:
      return np.asarray(x)
    parts = {s.index[0].start or 0: s.data for s in x.addressable_shards}
    return np.concatenate([np.asarray(parts[at]) for at in sorted(parts)])

  return jax.tree.map(read, arrays)


def _meet() -> None:
  """Has all devices meet, when all processes have just come here.

  Gloo connects devices where they first meet, and waits for none of them longer
  than 30 s then, whatever it is told: later, when one process compiles and
  another reads from its cache, they may be further apart. Those that are
  connected wait for each other.
  """
  any_of([False])  # One device of each process with one of each other.
  mesh = Mesh(np.asarray(jax.devices(), dtype=object), ("data",))
  ones = jax.make_array_from_callback(
      (mesh.size,), _rows(mesh), lambda i: np.ones(1, np.int32)
  )
  total = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, PartitionSpec()))
  total(ones).block_until_ready()  # All with all.


def _from_leader(content: bytes) -> bytes:
  """The leader's bytes; what the others give is not read."""
  size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
  sent = _padded(content if is_leader() else b"", size)
  return bytes(multihost_utils.broadcast_one_to_all(sent))[:size]


def _padded(content: bytes, size: int) -> np.ndarray:
  """Bytes `[at least size]`, of few lengths, since each is compiled."""
  padded = np.zeros(1 << max(10, int(size - 1).bit_length()), np.uint8)
  padded[: len(content)] = np.frombuffer(content, np.uint8)
  return padded


def _rows(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec("data"))


def _number(given: int | None, name: str) -> int | None:
  if given is None and name in os.environ:
    return int(os.environ[name])
  return given


def _is_tpu_vm() -> bool:
  """Whether JAX will run on TPU chips of this machine."""
  wanted = os.environ.get("JAX_PLATFORMS", "tpu").split(",")
  chips = glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*")
  has_library = importlib.util.find_spec("libtpu") is not None
  return "tpu" in wanted and has_library and bool(chips)
