"""The one mesh of a program: which devices, under which axis names.

`data` splits the batch; `fsdp` splits it too, and the parameters with it;
`model` splits the tensors of a layer. The axes are Auto, which
`jax.make_mesh` does not choose by itself and mctx needs; so the ahead-of-time
compiler builds its mesh with this function too, or it would compile another
program than the one that runs.
"""

from collections.abc import Callable, Sequence
import math

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
import numpy as np

from mulearn.types import Array, PyTree

AXIS_NAMES = ("data", "fsdp", "model")

# Names of axes that count the shards of a batch, or meet over them.
AxisName = str | tuple[str, ...]
# Where a device has several shards: its place in the mesh, then within it.
SHARDS = ("data", "shard")


def make_mesh(
    devices: Sequence[jax.Device] | None = None,
    data: int = -1,
    fsdp: int = 1,
    model: int = 1,
) -> Mesh:
  """Arranges devices in a mesh of the axes `data`, `fsdp` and `model`.

  Args:
    devices: the devices, those of an ahead-of-time topology included; None
      for all devices of all processes.
    data: size of the axis; -1, for at most one axis, is whatever is left.
    fsdp: as `data`.
    model: as `data`.

  Returns:
    A mesh of all the devices, its axes Auto.

  Raises:
    ValueError: if the sizes do not multiply to the number of devices.
  """
  devices = jax.devices() if devices is None else list(devices)
  shape = _complete((data, fsdp, model), len(devices))
  axis_types = (AxisType.Auto,) * len(AXIS_NAMES)
  return Mesh(_arrange(shape, devices), AXIS_NAMES, axis_types=axis_types)


def data_sharding(mesh: Mesh) -> NamedSharding:
  """Splits the first axis of an array, the batch, over all the data axes."""
  return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def replicated(mesh: Mesh) -> NamedSharding:
  """Keeps the whole array on each device."""
  return NamedSharding(mesh, PartitionSpec())


def make_arrays(
    make: Callable[..., PyTree],
    layout: Callable[[PyTree, Mesh], PyTree],
    mesh: Mesh,
    *args: Array,
) -> PyTree:
  """Makes the arrays of a run where its programs will leave them.

  A program that got them in another place, or of a weak type, would be compiled
  again for its own results.

  Args:
    make: args -> arrays.
    layout: (shapes of the arrays, mesh) -> the sharding of each.
    mesh: the devices.
    *args: for `make`.

  Returns:
    What `make` returns.
  """

  def typed(*args):
    return jax.tree.map(_strongly_typed, make(*args))

  places = layout(jax.eval_shape(make, *args), mesh)
  if mesh.size > 1:  # Nothing ever lies on one device whole.
    return jax.jit(typed, out_shardings=places)(*args)
  return jax.device_put(typed(*args), places)


def placed(mesh: Mesh, specs: PyTree) -> PyTree:
  """The shardings of specs; on one device all are whole, as a compiler says."""
  if mesh.size == 1:
    return jax.tree.map(lambda spec: replicated(mesh), specs)
  return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)


def _strongly_typed(x: Array) -> Array:
  is_key = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
  return x if is_key else x.astype(x.dtype)


def shard_key(
    rng_key: jax.Array, mesh: Mesh, axis: AxisName = "data"
) -> jax.Array:
  """A key of the shard's own, inside a `shard_map` over `data`.

  Args:
    rng_key: the same in all shards, consumed.
    mesh: of the `shard_map`.
    axis: by which shards are counted: `data`, or `SHARDS` inside a `vmap` where
      a device has several.

  Returns:
    A key that no other shard has; a single shard keeps the one it was given.
  """
  if axis == "data" and mesh.shape["data"] == 1:
    return rng_key
  return jax.random.fold_in(rng_key, jax.lax.axis_index(axis))


def _complete(sizes: tuple[int, ...], num_devices: int) -> tuple[int, ...]:
  """Replaces -1 by what is left, and checks that every device has a place."""
  given = ", ".join(f"{n}={s}" for n, s in zip(AXIS_NAMES, sizes, strict=True))
  if sizes.count(-1) > 1 or any(s < 1 and s != -1 for s in sizes):
    raise ValueError(
        f"The sizes of the mesh are {given}, but each must be 1 or more, and at"
        " most one of them -1 (whatever is left)."
    )
  known = math.prod(s for s in sizes if s != -1)
  if num_devices % known or (-1 not in sizes and known != num_devices):
    divisors = [d for d in range(1, num_devices + 1) if num_devices % d == 0]
    raise ValueError(
        f"A mesh of {given} cannot hold exactly {num_devices} devices: the given"
        f" sizes multiply to {known}. Make one axis -1, and choose the others so"
        f" that their product is one of {divisors}."
    )
  return tuple(num_devices // known if s == -1 else s for s in sizes)


def _arrange(
    shape: tuple[int, ...], devices: Sequence[jax.Device]
) -> np.ndarray:
  # Neighbours in the mesh should be neighbours in the wiring, which only
  # whole TPU slices have.
  if devices[0].platform != "tpu":
    return np.asarray(devices, dtype=object).reshape(shape)
  # Compiling ahead of time, devices of one slice do not say which.
  num_slices = len({getattr(device, "slice_index", 0) for device in devices})
  if num_slices == 1:
    return mesh_utils.create_device_mesh(
        shape, devices, allow_split_physical_axes=True
    )
  # Between slices there is a network only, over which gradients alone meet.
  data, *others = shape
  if data % num_slices:
    raise ValueError(
        f"data={data} cannot be split over {num_slices} slices: make it a"
        " multiple of their number, and fsdp x model at most the chips of one."
    )
  return mesh_utils.create_hybrid_device_mesh(
      (data // num_slices, *others),
      (num_slices, *(1 for _ in others)),
      devices,
      allow_split_physical_axes=True,
  )
