"""Export to safetensors: what comes back is what went out."""

import json
import pathlib

import jax
import numpy as np
import pytest
import safetensors

from mulearn import lm
from mulearn.lm import hugging_face, tensors, weights

DATA = pathlib.Path(__file__).parents[1] / "testdata" / "hugging_face"


@pytest.fixture(params=["llama3", "gemma3", "qwen3"])
def source(request) -> pathlib.Path:
  return DATA / request.param


@pytest.mark.parametrize("limit", [10**9, 20_000])
def test_round_trip(source, tmp_path, limit):
  model = lm.load(source)
  lm.export(model, tmp_path, max_file_bytes=limit)
  again = lm.load(tmp_path)
  assert again.config == model.config
  for one, other in zip(
      jax.tree.leaves(again.params), jax.tree.leaves(model.params), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
  text = "go ニャー</s>"
  for special in (False, True):
    assert again.tokenizer.encode(text, special) == model.tokenizer.encode(
        text, special
    )
  assert again.tokenizer.start_ids == model.tokenizer.start_ids
  messages = [{"role": "user", "content": "hi"}]
  assert again.tokenizer.render(messages) == model.tokenizer.render(messages)
  files = [*tmp_path.glob("*.safetensors")]
  assert len(files) > 1 if limit < 10**6 else len(files) == 1
  lm.export(model, tmp_path, dtype="bfloat16")
  loaded = lm.load(tmp_path).params.norm.scale[...]
  assert np.abs(loaded - model.params.norm.scale[...]).max() < 1e-2


def test_names_and_numbers_are_those_of_the_source(source, tmp_path):
  dtype = "float32" if source.name == "llama3" else "bfloat16"
  lm.export(lm.load(source), tmp_path, dtype=dtype)
  theirs = hugging_face._tensors(source)
  ours = tensors.read_safetensors(tmp_path / "model.safetensors")
  assert ours.keys() == theirs.keys()
  for name, tensor in theirs.items():
    assert ours[name].shape == tensor.shape
    np.testing.assert_allclose(
        np.asarray(ours[name].read(), np.float32),
        np.asarray(tensor.read(), np.float32),
        atol=1e-6,
    )
  with safetensors.safe_open(
      tmp_path / "model.safetensors", framework="numpy"
  ) as file:
    assert file.keys() and file.metadata() == {"format": "pt"}


def test_from_gguf(tiny, tiny_gguf, tmp_path):
  lm.export(lm.load(tiny_gguf()), tmp_path / "out")
  again = lm.load(tmp_path / "out")
  assert again.config == tiny.config
  assert again.tokenizer.encode("put go") == tiny.tokenizer.encode("put go")
  for name, array in weights.parameter_arrays(again.params).items():
    np.testing.assert_array_equal(
        array, weights.parameter_arrays(tiny.params)[name]
    )


def test_stand_ins_for_bytes_are_not_exported(tiny, tmp_path):
  fields = json.loads(tiny.tokenizer.to_json())
  backend = json.loads(fields["backend"])
  backend["model"]["vocab"]["<|no such byte|>"] = 261
  backend["model"]["unk_token"] = "<|no such byte|>"
  tokenizer = type(tiny.tokenizer)(**fields | {"backend": json.dumps(backend)})
  assert tokenizer.vocab_size == 261
  model = lm.LanguageModel(tiny.config, tiny.params, tokenizer, "", "")
  lm.export(model, tmp_path)
  written = json.loads((tmp_path / "tokenizer.json").read_text())["model"]
  assert len(written["vocab"]) == 261 and written["unk_token"] is None
