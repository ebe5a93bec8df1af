"""Weights files: what is read, and what is refused with a remedy."""

import pathlib

import gguf
import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import files, gguf_model, store

KINDS = gguf.GGMLQuantizationType
TOKENS = np.array([[3, 99, 7, 200, 15]])


def entry() -> pathlib.Path:
  (path,) = (files.cache_directory() / "lm").iterdir()
  return path


def test_float32_is_exact_and_unpermuted(tiny, tiny_gguf):
  model = lm.load(tiny_gguf())
  assert model.config == tiny.config
  for one, other in zip(
      jax.tree.leaves(model.params), jax.tree.leaves(tiny.params), strict=True
  ):
    np.testing.assert_array_equal(one, other)
  assert model.tokenizer.encode("put go") == tiny.tokenizer.encode("put go")
  assert model.tokenizer.special_ids == [0, 1]


@pytest.mark.parametrize(
    "kind, tolerance",
    [
        (KINDS.F16, 0.01),
        (KINDS.BF16, 0.1),
        (KINDS.Q8_0, 0.1),
        (KINDS.Q4_0, 0.5),
        (KINDS.Q4_1, 0.5),
    ],
)
def test_other_types_are_close(tiny, tiny_gguf, kind, tolerance):
  model = lm.load(tiny_gguf(kind=kind))
  difference = np.abs(lm.logits(model, TOKENS) - lm.logits(tiny, TOKENS))
  assert 0 < difference.mean() < tolerance


def test_second_load_comes_from_the_cache(tiny_gguf, monkeypatch):
  path = tiny_gguf()
  first = lm.load(path)
  monkeypatch.setattr(gguf_model, "read", lambda path: pytest.fail("read"))
  again = lm.load(path)
  assert again.sha256 == first.sha256 and len(first.sha256) == 64
  np.testing.assert_array_equal(
      lm.logits(first, TOKENS), lm.logits(again, TOKENS)
  )


@pytest.mark.parametrize(
    "damage", ["truncate", "tensor", "description", "empty", "no arrays"]
)
def test_a_damaged_cache_entry_is_made_again(tiny_gguf, damage):
  path = tiny_gguf()
  wanted = lm.logits(lm.load(path), TOKENS)
  description = entry() / "model.json"
  arrays = [p for p in (entry() / "arrays").rglob("*") if p.is_file()]
  largest = max(arrays, key=lambda p: p.stat().st_size)
  if damage == "no arrays":
    largest.unlink()
  else:
    target = largest if damage in ("truncate", "tensor") else description
    data = bytearray(target.read_bytes())
    if damage == "truncate":
      data = data[: len(data) // 2]
    elif damage == "empty":
      data = b""
    else:
      data[len(data) // 2] ^= 1
    target.write_bytes(data)
  np.testing.assert_array_equal(lm.logits(lm.load(path), TOKENS), wanted)
  assert store.read(entry(), "float32", None)[0] == lm.load(path).config


def test_a_cache_that_cannot_be_written_is_done_without(
    tiny_gguf, monkeypatch, tmp_path
):
  path = tiny_gguf()
  blocker = tmp_path / "file"
  blocker.write_text("not a directory")
  monkeypatch.setenv("MULEARN_CACHE", str(blocker))
  assert lm.load(path).name == str(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.999])
def test_truncated(tiny_gguf, share):
  path = tiny_gguf()
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * share)])
  with pytest.raises(lm.WeightsError, match="truncated or damaged|cannot read"):
    lm.load(path)


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_never_crashes(tiny_gguf, seed):
  path = tiny_gguf()
  data = bytearray(path.read_bytes())
  rng = np.random.default_rng(seed)
  for position in rng.integers(0, 5000, 3):
    data[position] = rng.integers(256)
  path.write_bytes(data)
  try:
    model = lm.load(path)
  except lm.WeightsError as error:
    assert str(path) in str(error)
  else:
    assert model.config.num_layers > 0


def test_not_gguf_at_all(tmp_path):
  path = tmp_path / "x.gguf"
  path.write_text("hello " * 100)
  with pytest.raises(lm.WeightsError, match="Fetch it again"):
    lm.load(path)


def test_other_architectures_are_refused(tiny_gguf):
  with pytest.raises(lm.WeightsError, match="'mamba' is not supported"):
    lm.load(tiny_gguf(architecture="mamba"))


def test_other_tokenizers_are_refused(tiny_gguf):
  with pytest.raises(lm.WeightsError, match="tekken"):
    lm.load(tiny_gguf(pre="tekken"))


@pytest.mark.parametrize(
    "name, theirs",
    [
        ("blocks.1.attention.v", "blk.1.attn_v.weight"),
        ("embedding", "token_embd.weight"),
    ],
)
def test_a_missing_tensor_is_named(tiny_gguf, name, theirs):
  with pytest.raises(lm.WeightsError, match=theirs):
    lm.load(tiny_gguf(skip=name))


def test_values_that_are_not_finite(tiny_gguf, tiny_arrays, tmp_path):
  arrays = dict(tiny_arrays)
  name = "blocks.0.feed_forward.up"
  arrays[name] = np.full_like(arrays[name], np.nan)
  tiny_arrays_before = tiny_arrays[name]
  tiny_arrays[name] = arrays[name]
  try:
    path = tiny_gguf()
  finally:
    tiny_arrays[name] = tiny_arrays_before
  with pytest.raises(lm.WeightsError, match="not finite"):
    lm.load(path)


def test_a_missing_file():
  with pytest.raises(lm.WeightsError, match="smollm2-135m"):
    lm.load("no-such-model")


def test_an_unknown_type(tiny_gguf):
  with pytest.raises(ValueError, match="float64"):
    lm.load(tiny_gguf(), dtype="float64")
