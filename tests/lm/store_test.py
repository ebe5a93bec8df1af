"""Models in mulearn's own directories: whole, sharded, and damaged."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import store

TOKENS = np.array([[3, 99, 7, 200, 15]])


def test_save_and_load(tiny, tmp_path):
  lm.save(tiny, tmp_path / "model")
  again = lm.load(tmp_path / "model")
  assert again.config == tiny.config and len(again.sha256) == 64
  for one, other in zip(
      jax.tree.leaves(again.params), jax.tree.leaves(tiny.params), strict=True
  ):
    np.testing.assert_array_equal(one, other)
  assert again.tokenizer.encode("put go") == tiny.tokenizer.encode("put go")


def test_saving_again_replaces(tiny, tmp_path):
  lm.save(tiny, tmp_path)
  first = lm.load(tmp_path).sha256
  other = jax.tree.map(lambda x: x * 2, tiny.params)
  lm.save(dataclasses.replace(tiny, params=other), tmp_path)
  assert lm.load(tmp_path).sha256 != first
  np.testing.assert_array_equal(
      lm.load(tmp_path).params.norm.scale[...],
      2 * tiny.params.norm.scale[...],
  )


def test_bfloat16_is_kept(tiny, tmp_path):
  params = jax.tree.map(lambda x: x.astype("bfloat16"), tiny.params)
  lm.save(dataclasses.replace(tiny, params=params), tmp_path)
  loaded = lm.load(tmp_path, dtype="bfloat16")
  np.testing.assert_array_equal(
      loaded.params.embedding[...], params.embedding[...]
  )
  assert loaded.params.norm.scale[...].dtype == np.float32


def change(path, **changes):
  record = json.loads(path.read_text()) | changes
  path.write_text(json.dumps(record))


def test_a_model_is_described_without_its_arrays(tiny, tmp_path):
  lm.save(tiny, tmp_path / "saved")
  lm.export(tiny, tmp_path / "exported")
  for path in (tmp_path / "saved", tmp_path / "exported"):
    config, digest = lm.describe(path)
    loaded = lm.load(path)
    assert (config, digest) == (loaded.config, loaded.sha256)
  shutil.rmtree(tmp_path / "saved" / "arrays")
  assert lm.describe(tmp_path / "saved")[0] == tiny.config


def test_damage_is_found(tiny, tmp_path):
  lm.save(tiny, tmp_path)
  assert store.is_saved(tmp_path)
  change(tmp_path / "model.json", dtypes={})
  with pytest.raises(lm.WeightsError, match="fails its checksum"):
    lm.load(tmp_path)
  (tmp_path / "model.json").unlink()
  assert not store.is_saved(tmp_path)
  with pytest.raises(lm.WeightsError, match="config.json"):
    lm.load(tmp_path)


SHARDED = """
import jax, numpy as np, sys
from jax.sharding import NamedSharding, PartitionSpec
from mulearn import lm
from mulearn.parallel.mesh import make_mesh

mesh = make_mesh(jax.devices(), data=1, fsdp=2, model=2)
biggest = 0

def sharding(name, shape):
  spec = PartitionSpec("fsdp", "model") if len(shape) == 2 else PartitionSpec()
  if name == "embedding":
    spec = PartitionSpec(None, "fsdp")
  return NamedSharding(mesh, spec)

source, target = sys.argv[1:]
whole, spread = lm.load(source), lm.load(source, sharding=sharding)
lm.save(spread, target)
restored = lm.load(target, sharding=sharding)
tokens = np.arange(24).reshape(2, 12)
for model in (spread, restored):
  q = model.params.blocks[0].attention.q[...]
  assert len(q.sharding.device_set) == 4
  assert q.addressable_shards[0].data.size == q.size // 4
  difference = np.abs(lm.logits(model, tokens) - lm.logits(whole, tokens))
  assert difference.max() < 1e-5, difference.max()
print("as one")
"""


def test_spread_over_devices(tmp_path):
  source = pathlib.Path(__file__).parents[1] / "testdata/hugging_face/gemma3"
  done = subprocess.run(
      [
          sys.executable,
          "-c",
          textwrap.dedent(SHARDED),
          str(source),
          str(tmp_path / "model"),
      ],
      capture_output=True,
      text=True,
      cwd=pathlib.Path(__file__).parents[2],
      env={
          "PATH": "",
          "JAX_PLATFORMS": "cpu",
          "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
          "MULEARN_CACHE": str(tmp_path / "cache"),
      },
  )
  assert done.stdout.strip() == "as one", done.stderr[-2000:]
