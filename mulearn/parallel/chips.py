"""What a TPU chip can do, and slices of them that nobody here owns.

Peaks are from the pages of Cloud TPU; the rates of real programs are lower.
"""

import os
from typing import NamedTuple

import jax
from jax.experimental import topologies


class Chip(NamedTuple):
  """One chip.

  Attributes:
    flops: a second, of bfloat16 matrix products.
    hbm_bytes: of its memory.
    hbm_bandwidth: bytes a second.
    ici_bandwidth: bytes a second that leave it over all links to its
      neighbours: half of what is stated for both directions.
    cycles_per_second: of the compiler's estimates. It is found from a bfloat16
      product of two matrices [8192, 8192], for which libtpu 0.0.42 states so
      many cycles: as if that ran at the peak, so no estimate is too long.
    source: of the first four.
  """

  flops: float
  hbm_bytes: float
  hbm_bandwidth: float
  ici_bandwidth: float
  cycles_per_second: float
  source: str


_PAGES = "https://docs.cloud.google.com/tpu/docs"
CHIPS = {
    "v5e": Chip(197e12, 16e9, 819e9, 200e9, 1.712e9, f"{_PAGES}/v5e"),
    "v5p": Chip(459e12, 95e9, 2765e9, 600e9, 1.942e9, f"{_PAGES}/v5p"),
    "v6e": Chip(918e12, 32e9, 1638e9, 400e9, 2.486e9, f"{_PAGES}/v6e"),
}
# A hop between neighbours: "How to scale your model", chapter "How to think
# about TPUs", question 5, https://jax-ml.github.io/scaling-book/tpus.
HOP_SECONDS = 1e-6
# What `--sweep` compares.
TOPOLOGIES = ("v5e:4x4", "v5e:16x16", "v6e:8x8", "v5p:4x4x4")

# libtpu asks a metadata server what machine this is, takes a lock for the
# machine's chips and writes that there are none: not where nothing runs.
_NO_TPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
}


class TopologyError(ValueError):
  """A slice that does not exist, or no compiler for it."""


class Slice(NamedTuple):
  """Chips that are wired together.

  Attributes:
    name: such as v5e:4x4.
    chip: of the slice.
    devices: for a mesh; programs can be compiled for them and not run.
    shape: chips along each axis of the wiring.
  """

  name: str
  chip: Chip
  devices: list[jax.Device]
  shape: tuple[int, ...]

  @property
  def num_hosts(self) -> int:
    """Machines that the chips are plugged into."""
    return len({device.process_index for device in self.devices})


def describe(name: str) -> Slice:
  """The slice of that name, without a TPU.

  Args:
    name: kind of chip and shape, such as v5e:4x4 or v5p:4x4x4.

  Returns:
    The `Slice`.

  Raises:
    TopologyError: there is no such slice, or libtpu is not installed.
  """
  kind, _, shape = name.partition(":")
  if kind not in CHIPS or not shape.replace("x", "").isdigit():
    raise TopologyError(
        f"--topology is {name!r}; it must be one of {', '.join(CHIPS)}, a colon"
        f" and the shape of the slice, such as {TOPOLOGIES[0]}."
    )
  for variable, value in _NO_TPU.items():
    os.environ.setdefault(variable, value)
  try:
    found = topologies.get_topology_desc(name, platform="tpu")
  except ModuleNotFoundError as error:
    raise TopologyError(
        f"Compiling for {name} needs libtpu, which is not installed ({error}):"
        " pip install 'mulearn[tpu]'."
    ) from error
  except jax.errors.JaxRuntimeError as error:
    raise TopologyError(
        f"--topology is {name!r}, which libtpu does not know: {error}"
    ) from error
  sizes = tuple(int(size) for size in shape.split("x"))
  return Slice(name, CHIPS[kind], list(found.devices), sizes)
