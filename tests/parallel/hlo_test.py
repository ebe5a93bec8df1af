"""Costs read from HLO: numbers that a person can check, loops counted."""

import jax
import jax.numpy as jnp
import pytest

from mulearn.parallel import chips, hlo
from mulearn.parallel.mesh import data_sharding, make_mesh, replicated

# Eight turns of a matrix product and of a slice, a descent that ends when it
# has found something, and two meetings.
_HLO = """\
HloModule jit_f, is_scheduled=true

%fused (p0: bf16[8,64,64], p1: s32[]) -> bf16[64,64] {
  %p0 = bf16[8,64,64]{2,1,0:T(8,128)(2,1)} parameter(0)
  %p1 = s32[]{:T(128)S(6)} parameter(1)
  %zero = s32[]{:T(128)} constant(0)
  %slice = bf16[1,64,64]{2,1,0:T(8,128)(2,1)} dynamic-slice(%p0, %p1, %zero)
  ROOT %cut = bf16[64,64]{1,0:T(8,128)(2,1)} bitcast(%slice)
}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %sum = f32[]{:T(128)} add(%a, %b)
}

%body (c: (s32[], f32[32,64], bf16[8,64,64])) -> (s32[], f32[32,64], bf16[8,64,64]) {
  %c = (s32[]{:T(128)}, f32[32,64]{1,0:T(8,128)S(1)}, bf16[8,64,64]{2,1,0:T(8,128)(2,1)}) parameter(0)
  %i = s32[]{:T(128)S(6)} get-tuple-element(%c), index=0
  %x = f32[32,64]{1,0:T(8,128)S(1)} get-tuple-element(%c), index=1
  %w = bf16[8,64,64]{2,1,0:T(8,128)(2,1)} get-tuple-element(%c), index=2
  %one = bf16[64,64]{1,0:T(8,128)(2,1)S(1)} fusion(%w, %i), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"100"}
  %y = f32[32,64]{1,0:T(8,128)S(1)} convolution(%x, %one), dim_labels=bf_io->bf, backend_config={"estimated_cycles":"1000"}
  ROOT %t = (s32[]{:T(128)}, f32[32,64]{1,0:T(8,128)S(1)}, bf16[8,64,64]{2,1,0:T(8,128)(2,1)}) tuple(%i, %y, %w)
}

%until (c: (s32[], f32[32,64], bf16[8,64,64])) -> pred[] {
  %c.1 = (s32[]{:T(128)}, f32[32,64]{1,0:T(8,128)S(1)}, bf16[8,64,64]{2,1,0:T(8,128)(2,1)}) parameter(0)
  %i.1 = s32[]{:T(128)S(6)} get-tuple-element(%c.1), index=0
  %eight = s32[]{:T(128)S(6)} constant(8)
  ROOT %lt = pred[]{:T(512)S(6)} compare(%i.1, %eight), direction=LT
}

%deeper (d: (s32[], pred[])) -> (s32[], pred[]) {
  %d = (s32[]{:T(128)S(6)}, pred[]{:T(512)S(6)}) parameter(0)
  %n = s32[]{:T(128)S(6)} get-tuple-element(%d), index=0
  %met = s32[]{:T(128)S(6)} all-reduce(%n), to_apply=%add, metadata={op_name="jit(f)/search/while/body/psum"}
  %found = pred[]{:T(512)S(6)} get-tuple-element(%d), index=1
  ROOT %t.1 = (s32[]{:T(128)S(6)}, pred[]{:T(512)S(6)}) tuple(%met, %found)
}

%goes_on (d: (s32[], pred[])) -> pred[] {
  %d.1 = (s32[]{:T(128)S(6)}, pred[]{:T(512)S(6)}) parameter(0)
  %n.1 = s32[]{:T(128)S(6)} get-tuple-element(%d.1), index=0
  %limit = s32[]{:T(128)S(6)} constant(42)
  %below = pred[]{:T(512)S(6)} compare(%n.1, %limit), direction=LT
  %found.1 = pred[]{:T(512)S(6)} get-tuple-element(%d.1), index=1
  ROOT %and = pred[]{:T(512)S(6)} and(%below, %found.1)
}

ENTRY %main (x: f32[32,64], w: bf16[8,64,64]) -> f32[32,64] {
  %x.1 = f32[32,64]{1,0:T(8,128)S(1)} parameter(0)
  %w.1 = bf16[8,64,64]{2,1,0:T(8,128)(2,1)} parameter(1)
  %start = s32[]{:T(128)S(6)} constant(0)
  %no = pred[]{:T(512)S(6)} constant(false)
  %t.2 = (s32[]{:T(128)S(6)}, f32[32,64]{1,0:T(8,128)S(1)}, bf16[8,64,64]{2,1,0:T(8,128)(2,1)}) tuple(%start, %x.1, %w.1)
  %loop = (s32[]{:T(128)S(6)}, f32[32,64]{1,0:T(8,128)S(1)}, bf16[8,64,64]{2,1,0:T(8,128)(2,1)}) while(%t.2), condition=%until, body=%body
  %t.3 = (s32[]{:T(128)S(6)}, pred[]{:T(512)S(6)}) tuple(%start, %no)
  %descent = (s32[]{:T(128)S(6)}, pred[]{:T(512)S(6)}) while(%t.3), condition=%goes_on, body=%deeper, metadata={op_name="jit(f)/search/while"}
  %last = f32[32,64]{1,0:T(8,128)S(1)} get-tuple-element(%loop), index=1
  ROOT %all = f32[32,64]{1,0:T(8,128)} all-reduce(%last), to_apply=%add
}
"""


@pytest.fixture(scope="module")
def cost():
  return hlo.cost(_HLO, unknown_trips=5)


def test_a_product_counts_as_often_as_its_loop_turns(cost):
  assert cost.flops == 8 * 2 * 32 * 64 * 64
  assert cost.cycles == 8 * 1100


def test_bytes_are_what_slices_touch_in_hbm(cost):
  """64 x 64 of bfloat16 each turn; the result padded to 128 columns."""
  assert cost.bytes == 8 * 64 * 64 * 2 + 32 * 128 * 4


def test_a_descent_turns_as_often_as_the_caller_says(cost):
  assert cost.open_loops == {"jit(f)/search/while"}
  assert cost.search_collectives == 5
  assert hlo.cost(_HLO, unknown_trips=99).search_collectives == 42


def test_collectives_by_kind(cost):
  assert cost.collectives == {
      "all-reduce": {"count": 6, "bytes": 32 * 64 * 4 + 5 * 4}
  }


@pytest.mark.parametrize(
    "dtype, dims, layout, size",
    [
        ("f32", (10, 3), "1,0:T(8,128)", 16 * 128 * 4),
        ("f32", (10, 3), "0,1:T(8,128)", 8 * 128 * 4),
        ("bf16", (2, 8, 128), "2,1,0:T(8,128)(2,1)", 2 * 8 * 128 * 2),
        ("pred", (600,), "0:T(512)", 1024),
        ("f32", (10, 3), "1,0:T(8,128)S(1)", 0),
        ("s32", (), ":T(128)", 4),
    ],
)
def test_tiles_pad_and_other_memories_are_free(dtype, dims, layout, size):
  assert hlo.Shape(dtype, dims, layout).hbm_bytes == size


def test_what_libtpu_writes_is_read():
  """Ten layers and a mean over four chips, compiled for a slice."""
  mesh = make_mesh(chips.describe("v5e:2x2").devices)

  def network(x, layers):
    x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, layers)
    return jnp.mean(x)

  x = jax.ShapeDtypeStruct((512, 256), "float32", sharding=data_sharding(mesh))
  w = jax.ShapeDtypeStruct((10, 256, 256), "float32", sharding=replicated(mesh))
  text = jax.jit(network).lower(x, w).compile().as_text()
  cost = hlo.cost(text, unknown_trips=1)
  assert cost.flops == 10 * 2 * 128 * 256 * 256
  assert cost.collectives == {"all-reduce": {"count": 1, "bytes": 4}}
  assert cost.cycles > 10_000 and not cost.open_loops
  # The inputs are read, and little else leaves the chip.
  inputs = 128 * 256 * 4 + 10 * 256 * 256 * 4
  assert inputs <= cost.bytes < 2.1 * inputs


def test_what_a_cpu_writes_is_read():
  """It says how often a loop turns beside the loop, not in its condition."""

  def network(x, layers):
    return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, layers)[0]

  x, w = jnp.zeros((32, 16)), jnp.zeros((10, 16, 16))
  text = jax.jit(network).lower(x, w).compile().as_text()
  cost = hlo.cost(text, unknown_trips=1)
  assert cost.flops == 10 * 2 * 32 * 16 * 16 and not cost.open_loops


def test_what_is_no_program_is_refused():
  with pytest.raises(ValueError, match="no ENTRY"):
    hlo.cost("HloModule nothing", unknown_trips=1)
