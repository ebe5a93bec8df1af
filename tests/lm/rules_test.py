"""Rules: the first that fits, and only where the mesh divides."""

import jax
from jax.sharding import PartitionSpec as P
import pytest

from mulearn.lm import rules, weights
from mulearn.parallel import mesh as mesh_lib


class FakeMesh:
  shape = {"data": 1, "fsdp": 4, "model": 2}


@pytest.fixture
def spec(monkeypatch):
  monkeypatch.setattr(rules, "NamedSharding", lambda mesh, spec: spec)
  return lambda name, shape, *r: rules.sharding(name, shape, FakeMesh, *r)


def test_each_kind_of_array(spec):
  wide, tall = ("fsdp", "model"), ("model", "fsdp")
  assert spec("blocks.3.attention.q", (32, 16)) == P(*wide)
  assert spec("blocks.3.attention.o", (32, 16)) == P(*tall)
  assert spec("blocks.3.feed_forward.down", (32, 16)) == P(*tall)
  assert spec("embedding", (32, 16)) == P(*tall)
  assert spec("output", (32, 16)) == P(*tall)
  assert spec("blocks.3.attention_norm.scale", (32,)) == P()
  assert spec("blocks.3.attention.q.weight", (32, 16)) == P(*wide)
  assert spec("blocks.3.feed_forward.up.a", (32, 16)) == P("fsdp", None)
  assert spec("blocks.3.feed_forward.up.b", (16, 32)) == P(None, "model")
  assert spec("blocks.3.feed_forward.down.b", (16, 32)) == P(None, "fsdp")


def test_the_optimisers_copies_lie_beside_their_arrays(spec):
  name = "opt_state.1.0.mu.blocks.3.attention.q"
  assert spec(name, (32, 16)) == P("fsdp", "model")
  assert spec("opt_state.1.0.count", ()) == P()


def test_what_does_not_divide_stays_whole(spec):
  assert spec("blocks.0.attention.k", (30, 16)) == P(None, "model")
  assert spec("blocks.0.attention.k", (32, 9)) == P("fsdp", None)


def test_the_first_rule_decides(spec):
  chosen = (("q$", P("model")), ("attention", P("fsdp")))
  assert spec("blocks.0.attention.q", (8, 8), chosen) == P("model")
  assert spec("blocks.0.attention.k", (8, 8), chosen) == P("fsdp")
  with pytest.raises(ValueError, match="no rule fits embedding"):
    spec("embedding", (8, 8), chosen)


def test_a_whole_decoder(tiny):
  mesh = mesh_lib.make_mesh(jax.devices()[:1])
  found = rules.shardings(tiny.params, mesh)
  named = weights.parameter_arrays(found)
  assert named["blocks.1.attention.o"].spec == P("model", "fsdp")
  assert jax.tree.structure(found) == jax.tree.structure(tiny.params)
