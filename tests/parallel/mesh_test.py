"""The mesh: its shape, its axes, its errors, and two ways to lay out arrays."""

import os
import subprocess
import sys

import jax
from jax.sharding import AxisType
import numpy as np
import pytest

from mulearn.parallel import mesh as mesh_lib

_ON_EIGHT_DEVICES = """
import jax, numpy as np
from mulearn.parallel import mesh as mesh_lib
assert len(jax.devices()) == 8
mesh = mesh_lib.make_mesh(fsdp=2, model=2)
assert dict(mesh.shape) == {"data": 2, "fsdp": 2, "model": 2}
x = np.arange(8.0).reshape(4, 2)
split = jax.device_put(x, mesh_lib.data_sharding(mesh))
assert {s.data.shape for s in split.addressable_shards} == {(1, 2)}
whole = jax.device_put(x, mesh_lib.replicated(mesh))
assert {s.data.shape for s in whole.addressable_shards} == {(4, 2)}
# Auto axes: mixed layouts meet without an annotation.
total = jax.jit(lambda a, b: (a + b).sum(0))(split, whole)
np.testing.assert_array_equal(total, 2 * x.sum(0))
assert mesh_lib.make_mesh(jax.devices()[:4], data=1, fsdp=-1).shape["fsdp"] == 4
try:
  mesh_lib.make_mesh(data=3)
except ValueError as e:
  assert "data=3" in str(e) and "exactly 8 devices" in str(e), e
  assert "[1, 2, 4, 8]" in str(e), e
else:
  raise AssertionError("data=3 should not fit 8 devices")
print("passed")
"""


def test_one_device_is_a_mesh_too():
  mesh = mesh_lib.make_mesh()
  assert mesh.axis_names == ("data", "fsdp", "model")
  assert mesh.devices.shape == (1, 1, 1)
  assert mesh.axis_types == (AxisType.Auto,) * 3
  x = jax.device_put(np.arange(3), mesh_lib.data_sharding(mesh))
  np.testing.assert_array_equal(x, [0, 1, 2])


@pytest.mark.parametrize(
    "sizes, match",
    [
        ({"data": -1, "model": -1}, "at most one of them -1"),
        ({"fsdp": 0}, "fsdp=0"),
        ({"model": 2}, "exactly 1 devices"),
        ({"data": 2}, "multiply to 2"),
    ],
)
def test_sizes_that_do_not_fit_are_explained(sizes, match):
  with pytest.raises(ValueError, match=match):
    mesh_lib.make_mesh(**sizes)


def test_eight_devices():
  env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
  done = subprocess.run(
      [sys.executable, "-c", _ON_EIGHT_DEVICES],
      env=env,
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.stdout.strip() == "passed", done.stderr
