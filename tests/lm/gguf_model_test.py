"""GGUF files of each family say the same as the safetensors they came from."""

import json
import pathlib
import shutil

import gguf
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import gguf_model, hugging_face, tensors

DATA = pathlib.Path(__file__).parents[1] / "testdata" / "hugging_face"
ARCHITECTURES = {"llama3": "llama", "gemma3": "gemma3", "qwen3": "qwen3"}


def convert(source, path, fields=(), changed=()) -> pathlib.Path:
  """Does what llama.cpp's converter does, with changes if asked."""
  config = json.loads((source / "config.json").read_text())
  architecture = ARCHITECTURES[source.name]
  writer = gguf.GGUFWriter(path, architecture)
  rope = config["rope_parameters"]
  full = rope.get("full_attention", rope)
  values = {
      "block_count": config["num_hidden_layers"],
      "context_length": config["max_position_embeddings"],
      "embedding_length": config["hidden_size"],
      "feed_forward_length": config["intermediate_size"],
      "attention.head_count": config["num_attention_heads"],
      "attention.head_count_kv": config["num_key_value_heads"],
      "attention.key_length": config["head_dim"],
  }
  if architecture == "gemma3":
    values["attention.sliding_window"] = config["sliding_window"]
  for name, value in (values | dict(fields)).items():
    writer.add_uint32(f"{architecture}.{name}", value)
  writer.add_rope_freq_base(full["rope_theta"])
  writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
  if full.get("rope_type") == "linear":
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(full["factor"])
  add_tokenizer(writer, source)
  names = gguf.get_tensor_name_map(
      gguf.MODEL_ARCH[architecture.upper()], config["num_hidden_layers"]
  )
  arrays = {}
  for theirs, tensor in hugging_face._tensors(source).items():
    array = tensor.read().astype(np.float32)
    if architecture == "gemma3" and theirs.endswith("norm.weight"):
      array = array + 1
    if architecture == "llama" and theirs.endswith(
        ("q_proj.weight", "k_proj.weight")
    ):
      heads = array.shape[0] // config["head_dim"]
      array = array.reshape(heads, 2, -1, array.shape[1])
      array = array.swapaxes(1, 2).reshape(-1, array.shape[-1])
    arrays[names.get_name(theirs, try_suffixes=(".weight",))] = array
  if full.get("rope_type") == "llama3":
    arrays["rope_freqs.weight"] = rope_divisors(full, config["head_dim"])
  for name, array in (arrays | dict(changed)).items():
    writer.add_tensor(name, np.ascontiguousarray(array))
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def rope_divisors(rope, head_width):
  """As llama.cpp's converter computes them, one after the other."""
  divisors = []
  for i in range(0, head_width, 2):
    wave = 2 * np.pi * rope["rope_theta"] ** (i / head_width)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    context, factor = rope["original_max_position_embeddings"], rope["factor"]
    if wave < context / high:
      divisors.append(1.0)
    elif wave > context / low:
      divisors.append(factor)
    else:
      smooth = (context / wave - low) / (high - low)
      divisors.append(1 / ((1 - smooth) / factor + smooth))
  return np.array(divisors, np.float32)


def add_tokenizer(writer, source):
  vocabulary = json.loads((source / "tokenizer.json").read_text())["model"]
  tokens = sorted(vocabulary["vocab"], key=vocabulary["vocab"].get)
  writer.add_tokenizer_model("gpt2")
  writer.add_tokenizer_pre("gpt-2")
  writer.add_token_list(tokens + ["<s>", "</s>"])
  writer.add_token_types([1] * len(tokens) + [3, 3])
  writer.add_bos_token_id(256)
  writer.add_eos_token_id(257)
  writer.add_add_bos_token(True)


@pytest.fixture(params=ARCHITECTURES)
def source(request) -> pathlib.Path:
  return DATA / request.param


def published(source, tmp_path):
  """The directory, with the numbers that GGUF does not say but are known."""
  fields = json.loads((source / "config.json").read_text())
  if source.name == "llama3":
    fields["rope_parameters"] |= {
        "rope_theta": 5e5,
        "original_max_position_embeddings": 8192,
    }
  fields["query_pre_attn_scalar"] = fields["head_dim"]
  target = shutil.copytree(source, tmp_path / source.name)
  (target / "config.json").write_text(json.dumps(fields))
  return target


def test_logits(source, tmp_path):
  source = published(source, tmp_path)
  converted = lm.load(convert(source, tmp_path / "x.gguf"))
  original = lm.load(source)
  with np.load(source / "reference.npz") as reference:
    tokens = reference["tokens"]
  difference = lm.logits(converted, tokens) - lm.logits(original, tokens)
  assert np.abs(difference).max() <= 1e-5
  assert converted.config.family == original.config.family
  assert converted.config.rope_scaling == original.config.rope_scaling
  assert converted.tokenizer.start_ids == [256]


def test_the_largest_gemma_scales_its_queries_by_its_width():
  fields = {
      "block_count": 62,
      "context_length": 131072,
      "embedding_length": 5376,
      "feed_forward_length": 21504,
      "attention.head_count": 32,
      "attention.head_count_kv": 16,
      "attention.key_length": 128,
      "attention.sliding_window": 1024,
      "attention.layer_norm_rms_epsilon": 1e-6,
      "rope.freq_base": 1e6,
      "rope.scaling.type": "linear",
      "rope.scaling.factor": 8.0,
  }
  metadata = {f"gemma3.{name}": value for name, value in fields.items()}
  metadata["general.architecture"] = "gemma3"
  embedding = tensors.Tensor((262208, 5376), lambda: None)
  config = gguf_model._config(metadata, {"token_embd.weight": embedding})
  assert config.query_scale == pytest.approx(168**-0.5)
  assert config.rope_scaling == lm.RopeScaling(factor=8.0)
  assert config.window == 1024 and config.window_rope_base == 1e4
  smaller = metadata | {"gemma3.block_count": 48}
  config = gguf_model._config(smaller, {"token_embd.weight": embedding})
  assert config.query_scale == pytest.approx(128**-0.5)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"embedding_length": 0}, "'qwen3.embedding_length' is 0"),
        ({"embedding_length": 17}, "'token_embd.weight' has shape"),
        ({"block_count": 2**31}, "layers"),
        ({"attention.key_length": 7}, "head_width=7"),
    ],
)
def test_wrong_fields_are_named(fields, message, tmp_path):
  path = convert(DATA / "qwen3", tmp_path / "x.gguf", fields)
  with pytest.raises(lm.WeightsError, match=message):
    lm.load(path)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"rope_freqs.weight": np.array([1, 2, 8, 4.0], "f4")}, "rope_freqs"),
        ({"blk.0.attn_q.bias": np.zeros(16, "f4")}, "'blk.0.attn_q.bias'"),
        ({"blk.1.attn_k.weight": np.zeros((16, 15), "f4")}, "'blk.1.attn_k"),
        ({"token_embd.weight": np.zeros(4, "f4")}, "'token_embd.weight'"),
    ],
)
def test_wrong_tensors_are_named(changed, message, tmp_path):
  source = published(DATA / "llama3", tmp_path)
  path = convert(source, tmp_path / "x.gguf", changed=changed)
  with pytest.raises(lm.WeightsError, match=message):
    lm.load(path)
