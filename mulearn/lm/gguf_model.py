"""Decoders in GGUF files: Llama, Gemma 3 and Qwen 3 as llama.cpp names them."""

from collections.abc import Mapping
import functools
import math
import pathlib
import reprlib
from typing import Any

import numpy as np

from mulearn.lm import attention, gguf_file, vocabulary
from mulearn.lm.config import DecoderConfig, RopeScaling
from mulearn.lm.files import WeightsError
from mulearn.lm.tensors import Tensor
from mulearn.lm.weights import Checkpoint, select

_NAMES = {
    "embedding": "token_embd",
    "output": "output",
    "norm.scale": "output_norm",
    "attention_norm.scale": "attn_norm",
    "attention.q": "attn_q",
    "attention.k": "attn_k",
    "attention.v": "attn_v",
    "attention.o": "attn_output",
    "attention.q_norm.scale": "attn_q_norm",
    "attention.k_norm.scale": "attn_k_norm",
    "post_attention_norm.scale": "post_attention_norm",
    "feed_forward_norm.scale": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
    "post_feed_forward_norm.scale": "post_ffw_norm",
}
_FAMILIES = ("llama", "gemma3", "qwen3")
# Divisors of Llama 3's rotary frequencies, from which its factor is read.
_ROPE = "rope_freqs.weight"


def read(path: pathlib.Path) -> Checkpoint:
  """Reads a GGUF file.

  Args:
    path: the file.

  Returns:
    The checkpoint; its tensors are dequantised when they are read.

  Raises:
    WeightsError: the file is damaged or of an unsupported kind.
  """
  metadata, tensors = gguf_file.read_gguf(path)
  try:
    config = _config(metadata, tensors)
    tokenizer = vocabulary.from_gguf(metadata)
  except KeyError as error:
    raise WeightsError(
        f"{path} lacks {error}: it is damaged or not a language model."
    ) from error
  # The tokenizers library raises no narrower class.
  except Exception as error:
    raise WeightsError(f"{path}: {error}") from error
  if tokenizer.vocab_size != config.vocab_size:
    raise WeightsError(
        f"{path} has {tokenizer.vocab_size} tokens but embeds"
        f" {config.vocab_size}: it is damaged."
    )
  tensors = {name: t for name, t in tensors.items() if name != _ROPE}
  adjust = functools.partial(_adjust, config)
  return Checkpoint(
      path, config, tokenizer, select(path, config, tensors, _rename, adjust)
  )


def _config(
    metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> DecoderConfig:
  family = metadata["general.architecture"]
  if family not in _FAMILIES:
    raise ValueError(
        f"architecture {reprlib.repr(family)} is not supported; supported:"
        f" {', '.join(_FAMILIES)}."
    )

  def number(name: str, kind: type = int, default: Any = None) -> Any:
    name = f"{family}.{name}"
    value = metadata[name] if default is None else metadata.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool) or value <= 0:
      raise ValueError(
          f"field {name!r} is {reprlib.repr(value)}, expected a positive number."
      )
    if not math.isfinite(value):
      raise ValueError(
          f"field {name!r} is {reprlib.repr(value)}, expected a finite number."
      )
    return value

  if len(tensors["token_embd.weight"].shape) != 2:
    raise ValueError("tensor 'token_embd.weight' is no matrix.")
  width, num_heads = number("embedding_length"), number("attention.head_count")
  head_width = number(
      "attention.key_length",
      default=number("rope.dimension_count", default=width // num_heads),
  )
  special: dict[str, Any] = {}
  if family == "gemma3":
    special = _gemma3(number, width, num_heads, head_width)
  rope_base = number("rope.freq_base", float, 1e4)
  return DecoderConfig(
      family=family,
      vocab_size=tensors["token_embd.weight"].shape[0],
      num_layers=number("block_count"),
      width=width,
      hidden_width=number("feed_forward_length"),
      num_heads=num_heads,
      num_kv_heads=number("attention.head_count_kv", default=num_heads),
      head_width=head_width,
      context_length=number("context_length"),
      rope_base=rope_base,
      rope_scaling=_scaling(metadata, family, number, tensors, rope_base),
      norm_epsilon=number("attention.layer_norm_rms_epsilon", float),
      tied="output.weight" not in tensors,
      qk_norm=family != "llama",
      **special,
  )


def _gemma3(
    number: Any, width: int, num_heads: int, head_width: int
) -> dict[str, Any]:
  """What the files of Gemma 3 leave unsaid; llama.cpp knows it by heart."""
  largest = number("block_count") == 62  # The 27B model.
  return {
      "activation": "gelu",
      "embedding_scale": math.sqrt(width),
      "query_scale": (width // num_heads if largest else head_width) ** -0.5,
      "post_norms": True,
      "window": number("attention.sliding_window"),
      "window_pattern": number("attention.sliding_window_pattern", default=6),
      "window_rope_base": number("rope.freq_base_swa", float, 1e4),
  }


def _scaling(
    metadata: Mapping[str, Any],
    family: str,
    number: Any,
    tensors: Mapping[str, Tensor],
    rope_base: float,
) -> RopeScaling | None:
  kind = metadata.get(f"{family}.rope.scaling.type", "none")
  if kind == "linear":
    return RopeScaling(factor=float(number("rope.scaling.factor", float)))
  if kind != "none":
    raise ValueError(
        f"field '{family}.rope.scaling.type' is {reprlib.repr(kind)}; supported: none,"
        " linear."
    )
  if _ROPE not in tensors:
    return None
  stored = tensors[_ROPE].read()
  # All Llama 3 models share the other numbers; the comparison holds them to it.
  scaling = RopeScaling(factor=float(stored.max()), low=1.0, high=4.0)
  steps = np.arange(stored.size) / stored.size
  expected = attention.divisors(rope_base**-steps, scaling)
  if stored.ndim != 1 or not np.allclose(stored, expected, rtol=1e-3):
    raise ValueError(
        f"tensor {_ROPE!r} is not Llama 3's rotary scaling; no other is"
        " supported."
    )
  return scaling


def _rename(ours: str) -> str:
  if not ours.startswith("blocks."):
    return f"{_NAMES[ours]}.weight"
  _, block, part = ours.split(".", 2)
  return f"blk.{block}.{_NAMES[part]}.weight"


def _adjust(config: DecoderConfig, ours: str, array: np.ndarray) -> np.ndarray:
  if config.family == "llama" and ours.endswith("attention.q"):
    return _unpermute(array, config.num_heads)
  if config.family == "llama" and ours.endswith("attention.k"):
    return _unpermute(array, config.num_kv_heads)
  return array


def _unpermute(array: np.ndarray, num_heads: int) -> np.ndarray:
  """Undoes GGUF's interleaving of the rotary halves of each head's rows."""
  rows, columns = array.shape
  halves = array.reshape(num_heads, rows // num_heads // 2, 2, columns)
  return halves.swapaxes(1, 2).reshape(rows, columns)
