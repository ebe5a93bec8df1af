"""Hugging Face directories: config.json, safetensors, tokenizer.json."""

from collections.abc import Mapping, Sequence
import functools
import json
import pathlib
from typing import Any

import numpy as np

from mulearn.lm import hugging_face_config
from mulearn.lm.config import DecoderConfig
from mulearn.lm.files import WeightsError
from mulearn.lm.tensors import Tensor, read_safetensors
from mulearn.lm.tokenizer import Tokenizer
from mulearn.lm.weights import Checkpoint, select

INDEX = "model.safetensors.index.json"
TEMPLATE = "chat_template.jinja"
_NAMES = {
    "attention_norm.scale": "input_layernorm",
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.o": "self_attn.o_proj",
    "attention.q_norm.scale": "self_attn.q_norm",
    "attention.k_norm.scale": "self_attn.k_norm",
    "feed_forward_norm.scale": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
# With norms on both sides, the same word means the one behind attention.
_POST_NORM_NAMES = _NAMES | {
    "post_attention_norm.scale": "post_attention_layernorm",
    "feed_forward_norm.scale": "pre_feedforward_layernorm",
    "post_feed_forward_norm.scale": "post_feedforward_layernorm",
}


def read(directory: pathlib.Path) -> Checkpoint:
  """Reads a directory of safetensors.

  Args:
    directory: holds `config.json`, `tokenizer.json` and `model.safetensors`, or
      several files and their index.

  Returns:
    The checkpoint; its tensors are views of the files.

  Raises:
    WeightsError: a file is missing, damaged or of an unsupported kind.
  """
  fields = read_json(directory / "config.json")
  settings_path = directory / "tokenizer_config.json"
  settings = read_json(settings_path) if settings_path.exists() else {}
  tensors = _tensors(directory)
  try:
    config = hugging_face_config.from_fields(fields)
    eos_id = fields.get("eos_token_id")
    eos_id = eos_id[0] if isinstance(eos_id, list) and eos_id else eos_id
    template = directory / TEMPLATE
    if template.exists():
      settings["chat_template"] = template.read_text("utf-8")
    backend = (directory / "tokenizer.json").read_text("utf-8")
    tokenizer = Tokenizer.from_files(backend, settings, eos_id)
    beyond = [i for i in tokenizer.special_ids if i >= config.vocab_size]
    if beyond and tokenizer.vocab_size == config.vocab_size + len(beyond):
      backend = _without(backend, beyond)
      tokenizer = Tokenizer.from_files(backend, settings, eos_id)
  except KeyError as error:
    raise WeightsError(
        f"{directory / 'config.json'} lacks {error}: it is damaged or not that"
        " of a language model."
    ) from error
  except (ValueError, TypeError, OSError, ArithmeticError) as error:
    raise WeightsError(f"{directory}: {error}") from error
  if tokenizer.vocab_size > config.vocab_size:
    raise WeightsError(
        f"{directory}: tokenizer.json has {tokenizer.vocab_size} tokens but"
        f" only {config.vocab_size} are embedded; they are of two models."
    )
  root = _root(directory, tensors)
  rename = functools.partial(weight_name, config, root=root)
  tensors = {
      name: tensor
      for name, tensor in tensors.items()
      if not _is_left_out(name, config)
  }
  adjust = functools.partial(_adjust, config)
  return Checkpoint(
      directory,
      config,
      tokenizer,
      select(directory, config, tensors, rename, adjust),
  )


def _without(backend: str, ids: Sequence[int]) -> str:
  """Returns a tokenizer.json without some control tokens.

  Gemma's decoders for text come with a tokenizer that knows one for pictures,
  which they have no embedding of.
  """
  fields = json.loads(backend)
  added = fields["added_tokens"]
  fields["added_tokens"] = [token for token in added if token["id"] not in ids]
  return json.dumps(fields, ensure_ascii=False)


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a file that holds a JSON object, or raises `WeightsError`."""
  try:
    found = json.loads(path.read_text("utf-8"))
  except (OSError, ValueError, RecursionError) as error:
    raise WeightsError(f"cannot read {path}: {error}.") from error
  if not isinstance(found, dict):
    raise WeightsError(f"{path} is not a JSON object: it is damaged.")
  return found


def _tensors(directory: pathlib.Path) -> dict[str, Tensor]:
  if not (directory / INDEX).exists():
    return read_safetensors(directory / "model.safetensors")
  parts = read_json(directory / INDEX).get("weight_map")
  if not isinstance(parts, dict) or not all(
      isinstance(part, str) and pathlib.PurePath(part).name == part
      for part in parts.values()
  ):
    raise WeightsError(
        f"{directory / INDEX}: 'weight_map' does not map tensors to files of"
        " the directory: it is damaged."
    )
  read = {
      part: read_safetensors(directory / part) for part in set(parts.values())
  }
  tensors = {}
  for name, part in parts.items():
    if name not in read[part]:
      raise WeightsError(
          f"{directory / part} lacks tensor {name!r}, which the index expects."
      )
    tensors[name] = read[part][name]
  return tensors


def _root(directory: pathlib.Path, tensors: Mapping[str, Tensor]) -> str:
  """Returns what stands before the names of the decoder's tensors."""
  tail = "embed_tokens.weight"
  found = [name for name in tensors if name.endswith(tail)]
  if len(found) != 1:
    raise WeightsError(
        f"{directory} has {len(found)} tensors named '...{tail}', expected one."
    )
  return found[0].removesuffix(tail)


def weight_name(config: DecoderConfig, ours: str, root: str = "model.") -> str:
  """Returns a parameter's name in the files."""
  if ours == "embedding":
    return f"{root}embed_tokens.weight"
  if ours == "output":
    return f"{root.removesuffix('model.')}lm_head.weight"
  if ours == "norm.scale":
    return f"{root}norm.weight"
  names = _POST_NORM_NAMES if config.post_norms else _NAMES
  _, block, part = ours.split(".", 2)
  return f"{root}layers.{block}.{names[part]}.weight"


def _is_left_out(name: str, config: DecoderConfig) -> bool:
  """Returns whether a tensor is not of the decoder, or is its embedding."""
  if "vision_tower." in name or "multi_modal_projector." in name:
    return True
  return name.endswith("rotary_emb.inv_freq") or (
      config.tied and name.endswith("lm_head.weight")
  )


def norm_offset(config: DecoderConfig, ours: str) -> float:
  """Returns what Gemma's norms add to the scale that its files hold."""
  is_offset = config.family == "gemma3" and ours.endswith(".scale")
  return 1.0 if is_offset else 0.0


def _adjust(config: DecoderConfig, ours: str, array: np.ndarray) -> np.ndarray:
  offset = norm_offset(config, ours)
  return array.astype(np.float32) + np.float32(offset) if offset else array
