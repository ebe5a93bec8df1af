"""The bound of a program, with numbers that a person can check."""

import pytest

from mulearn.parallel import roofline
from mulearn.parallel.chips import Chip, Slice
from mulearn.parallel.hlo import Cost

CHIP = Chip(
    flops=1e12, hbm_bytes=1e9, hbm_bandwidth=1e11, ici_bandwidth=1e10,
    cycles_per_second=1e9, source="",
)  # fmt: skip
SLICE = Slice("v0:2x2", CHIP, devices=[None] * 4, shape=(2, 2))


@pytest.mark.parametrize(
    "cost, seconds, bound",
    [
        (Cost(flops=2e12, bytes=1e11, cycles=1e9), 2.0, "compute"),
        (Cost(flops=1e12, bytes=3e11, cycles=1e9), 3.0, "memory"),
        (Cost(flops=1e12, bytes=1e11, cycles=4e9), 4.0, "latency"),
    ],
)
def test_the_highest_ceiling_decides(cost, seconds, bound):
  found = roofline.estimate(cost, SLICE)
  assert found.seconds == pytest.approx(seconds)
  assert found.bound == bound


def test_the_network_comes_on_top():
  """A sum passes twice, a gather once; a hop for each of 2 + 2 chips."""
  for kind, passes in (("all-reduce", 2), ("all-gather", 1)):
    cost = Cost(flops=1e12, collectives={kind: {"count": 10, "bytes": 4e10}})
    found = roofline.estimate(cost, SLICE)
    network = passes * 4.0 * 3 / 4 + 10 * 4e-6
    assert found.network == pytest.approx(network)
    assert found.seconds == pytest.approx(1.0 + network)
    assert found.bound == "network"
