"""A tiny model for tests of structure, and the real one for its numbers."""

import pathlib

import gguf
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import decoder, registry, vocabulary
from mulearn.lm.tokenizer import Tokenizer

CONFIG = lm.DecoderConfig(
    vocab_size=261,
    num_layers=3,
    width=32,
    hidden_width=64,
    num_heads=4,
    num_kv_heads=2,
    head_width=8,
    context_length=64,
    rope_base=1e4,
    norm_epsilon=float(np.float32(1e-5)),  # GGUF stores float32.
)


MERGES = ["g o", "p u", "pu t"]


def byte_tokens() -> list[str]:
  """GPT-2's byte alphabet, the result of merges, and two control tokens."""
  plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
  others = [byte for byte in range(256) if byte not in plain]
  alphabet = [chr(byte) for byte in plain]
  alphabet += [chr(256 + i) for i in range(len(others))]
  return ["<|endoftext|>", "<|im_end|>", *alphabet, "go", "pu", "put"]


def byte_metadata(pre: str = "smollm") -> dict:
  """What a GGUF file says of that tokenizer."""
  tokens = byte_tokens()
  return {
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": pre,
      "tokenizer.ggml.tokens": tokens,
      "tokenizer.ggml.token_type": [3, 3] + [1] * (len(tokens) - 2),
      "tokenizer.ggml.merges": MERGES,
      "tokenizer.ggml.eos_token_id": 1,
  }


def byte_tokenizer() -> Tokenizer:
  return vocabulary.from_gguf(byte_metadata())


@pytest.fixture(scope="session")
def tiny() -> lm.LanguageModel:
  params = lm.Decoder(CONFIG, decoder.random_arrays(0))
  return lm.LanguageModel(CONFIG, params, byte_tokenizer(), "none", "tiny")


@pytest.fixture(scope="session")
def smollm2() -> lm.LanguageModel:
  return lm.load("smollm2-135m")


def real_models() -> list[str]:
  """SmolLM2, and Gemma where somebody has accepted its licence and fetched it."""
  gemma = registry.KNOWN_MODELS["gemma3-270m"]
  name = pathlib.Path(gemma.parts[0][1]).stem
  fetched = (lm.cache_directory() / "lm" / name).exists()
  return ["smollm2-135m"] + ["gemma3-270m"] * fetched


@pytest.fixture(scope="session", params=real_models())
def real_model(request) -> lm.LanguageModel:
  return lm.load(request.param)


@pytest.fixture(autouse=True)
def own_cache(request, monkeypatch, tmp_path):
  """Keeps tests of files away from the user's cache."""
  if not {"smollm2", "real_model"} & set(request.fixturenames):
    monkeypatch.setenv("MULEARN_CACHE", str(tmp_path / "cache"))


def permute(array: np.ndarray, num_heads: int) -> np.ndarray:
  """Orders a head's rows as llama.cpp's converter does."""
  rows, columns = array.shape
  halves = array.reshape(num_heads, 2, rows // num_heads // 2, columns)
  return halves.swapaxes(1, 2).reshape(rows, columns)


def write_gguf(
    path: pathlib.Path,
    arrays: dict[str, np.ndarray],
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    architecture: str = "llama",
    pre: str = "smollm",
    skip: str = "",
) -> pathlib.Path:
  """Writes arrays in the decoder's layout as llama.cpp's converter would."""
  writer = gguf.GGUFWriter(path, architecture)
  writer.add_block_count(CONFIG.num_layers)
  writer.add_context_length(CONFIG.context_length)
  writer.add_embedding_length(CONFIG.width)
  writer.add_feed_forward_length(CONFIG.hidden_width)
  writer.add_head_count(CONFIG.num_heads)
  writer.add_head_count_kv(CONFIG.num_kv_heads)
  writer.add_rope_dimension_count(CONFIG.head_width)
  writer.add_rope_freq_base(CONFIG.rope_base)
  writer.add_layer_norm_rms_eps(CONFIG.norm_epsilon)
  fields = byte_metadata(pre)
  writer.add_tokenizer_model(fields["tokenizer.ggml.model"])
  writer.add_tokenizer_pre(pre)
  writer.add_token_list(fields["tokenizer.ggml.tokens"])
  writer.add_token_types(fields["tokenizer.ggml.token_type"])
  writer.add_token_merges(MERGES)
  writer.add_eos_token_id(1)
  theirs = {
      "attention_norm.scale": "attn_norm",
      "attention.q": "attn_q",
      "attention.k": "attn_k",
      "attention.v": "attn_v",
      "attention.o": "attn_output",
      "feed_forward_norm.scale": "ffn_norm",
      "feed_forward.gate": "ffn_gate",
      "feed_forward.up": "ffn_up",
      "feed_forward.down": "ffn_down",
  }
  for name, array in arrays.items():
    if name == skip:
      continue
    if name.startswith("blocks."):
      _, block, part = name.split(".", 2)
      target = f"blk.{block}.{theirs[part]}.weight"
    else:
      target = {"embedding": "token_embd", "norm.scale": "output_norm"}[name]
      target += ".weight"
    if array.ndim == 2 and name != "embedding":
      array = array.T
    if name.endswith("attention.q"):
      array = permute(array, CONFIG.num_heads)
    if name.endswith("attention.k"):
      array = permute(array, CONFIG.num_kv_heads)
    array = np.ascontiguousarray(array)
    if array.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
      writer.add_tensor(target, array)
    else:
      data = gguf.quants.quantize(array, kind)
      writer.add_tensor(target, data, raw_dtype=kind)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


@pytest.fixture(scope="session")
def tiny_arrays() -> dict[str, np.ndarray]:
  """The tiny model's arrays by name."""
  arrays = {}
  make = decoder.random_arrays(0)

  def keep(name, shape):
    arrays[name] = np.asarray(make(name, shape))
    return arrays[name]

  lm.Decoder(CONFIG, keep)
  return arrays


@pytest.fixture
def tiny_gguf(tmp_path, tiny_arrays):
  """Writes the tiny model as GGUF, with changes if asked."""

  def write(name: str = "tiny.gguf", **changes) -> pathlib.Path:
    return write_gguf(tmp_path / name, tiny_arrays, **changes)

  return write
