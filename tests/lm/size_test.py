"""Sizes: against the arrays themselves, and the table in the docs."""

import functools
import pathlib

import jax
import jax.numpy as jnp

from mulearn import lm
from mulearn.lm import size, train_step
from mulearn.parallel import mesh as mesh_lib

DOCS = pathlib.Path(__file__).parents[2] / "benchmarks" / "README.md"


def nbytes(tree):
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def test_weights_are_as_large_as_said(tiny):
  leaves = jax.tree.leaves(tiny.params)
  assert size.num_parameters(tiny.config) == sum(x.size for x in leaves)
  assert size.weight_bytes(tiny.config, "float32") == nbytes(tiny.params)
  half = [x.astype(jnp.bfloat16) if x.ndim > 1 else x for x in leaves]
  assert size.weight_bytes(tiny.config, "bfloat16") == nbytes(half)


def test_a_cache_is_as_large_as_said(tiny):
  tokens = jnp.ones((2, 5), int)
  places = jnp.tile(jnp.arange(5), (2, 1))
  mask = jnp.ones((2, 5, 5), bool)
  forward = functools.partial(tiny.params, all_rows=True)
  _, seen = jax.eval_shape(forward, tokens, places, mask)
  held = nbytes((seen.keys, seen.values))
  assert 10 * size.cache_bytes(tiny.config, "float32") == held


def test_training_holds_what_is_said(tiny):
  mesh = mesh_lib.make_mesh(jax.devices()[:1])
  for rank in (0, 2):
    config = train_step.FinetuneConfig(lora_rank=rank)
    run = train_step.Run(tiny.params, config, mesh)
    # Two counters of the optimiser apart; gradients come with the step.
    held = nbytes(run.state) - 8 + nbytes(run.state.params)
    weights = nbytes(tiny.params)
    blocks = nbytes(list(tiny.params.blocks))
    said = size.training_bytes(tiny.config, "float32", rank)
    assert said == held + weights + blocks


def test_the_table_in_the_docs_is_what_is_computed():
  lines = DOCS.read_text().splitlines()
  table = size.table(size.KNOWN).splitlines()
  start = lines.index(table[0])
  assert lines[start : start + len(table)] == table


def test_known_sizes_are_those_of_their_names():
  found = {n: size.num_parameters(c) / 1e9 for n, c in size.KNOWN.items()}
  assert abs(found["SmolLM2 135M"] - 0.1345) < 1e-3
  assert abs(found["Gemma 3 270M"] - 0.268) < 1e-3
  assert abs(found["Llama 3.1 8B"] - 8.03) < 0.01
  assert abs(found["Llama 3.1 70B"] - 70.55) < 0.01
  assert abs(found["Qwen 3 0.6B"] - 0.596) < 0.001
  assert isinstance(size.KNOWN["Llama 3.1 8B"], lm.DecoderConfig)
