"""How long a compiled program takes, and what it waits for.

Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance
model for multicore architectures", https://doi.org/10.1145/1498765.1498785, with
two more ceilings. A search is a long chain of tiny instructions, each of which
takes a microsecond however little it does: the sum of the compiler's own
estimates is its *latency*. And chips wait for each other: the *network* is
hidden behind nothing. Peaks are never reached, and descents are seldom as deep as
they are counted: it is an estimate, not a bound.
"""

from typing import NamedTuple

from mulearn.parallel.chips import HOP_SECONDS, Slice
from mulearn.parallel.hlo import Cost


class Estimate(NamedTuple):
  """Seconds of one run of a program, on each chip.

  Attributes:
    compute: of matrix products at the chip's peak.
    memory: of bytes to and from HBM at its bandwidth.
    latency: of the instructions, one after another.
    network: of the collectives.
  """

  compute: float
  memory: float
  latency: float
  network: float

  @property
  def seconds(self) -> float:
    """What the program takes, by this estimate."""
    return max(self.compute, self.memory, self.latency) + self.network

  @property
  def bound(self) -> str:
    """What it waits for most."""
    return max(self._fields, key=lambda name: getattr(self, name))


def estimate(cost: Cost, where: Slice) -> Estimate:
  """Holds what a program does against what a slice can do.

  An all-reduce of `n` bytes sends `2 n (c - 1) / c` from each of `c` chips,
  another collective half of that, over all links at once, and takes a hop for
  each chip along the axes.

  Args:
    cost: of one chip.
    where: the slice.

  Returns:
    The `Estimate`.
  """
  chip, num_chips = where.chip, len(where.devices)
  network = 0.0
  for kind, numbers in cost.collectives.items():
    passes = 2 if kind == "all-reduce" else 1
    sent = passes * numbers["bytes"] * (num_chips - 1) / num_chips
    network += sent / chip.ici_bandwidth
    network += numbers["count"] * sum(where.shape) * HOP_SECONDS
  return Estimate(
      compute=cost.flops / chip.flops,
      memory=cost.bytes / chip.hbm_bandwidth,
      latency=cost.cycles / chip.cycles_per_second,
      network=network,
  )
