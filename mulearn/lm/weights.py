"""Weights: from a GGUF file to named arrays, kept converted in a cache.

Reading and dequantising GGUF takes seconds of Python, so the float32 arrays,
the configuration and the tokenizer are cached in one safetensors file, keyed
by the hash of the GGUF file. Every part of it carries a checksum: a damaged
entry is rebuilt, never used.
"""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any
import zlib

from absl import logging
import gguf
import numpy as np
import safetensors
import safetensors.numpy

from mulearn.lm import files
from mulearn.lm.decoder import DecoderConfig
from mulearn.lm.tokenizer import Tokenizer

# Raise it whenever names or layouts below change; old entries are then ignored.
_FORMAT = 1

_BLOCK_NAMES = {
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


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """What a weights file holds.

  Attributes:
    config: the decoder's shape.
    arrays: float32 arrays by the decoder's names.
    tokenizer: the tokenizer.
  """

  config: DecoderConfig
  arrays: Mapping[str, np.ndarray]
  tokenizer: Tokenizer


def read(path: pathlib.Path) -> tuple[Checkpoint, str]:
  """Reads a GGUF file through the cache of converted files.

  Args:
    path: a GGUF file.

  Returns:
    The checkpoint and the sha256 of the file.

  Raises:
    WeightsError: the file is missing, damaged or of an unsupported kind.
  """
  digest = files.sha256(path)
  entry = files.cache_directory() / "lm" / f"{digest}-{_FORMAT}.safetensors"
  if entry.exists():
    try:
      return read_converted(entry), digest
    except files.WeightsError as error:
      logging.warning("%s It is made again from %s.", error, path)
  checkpoint = read_gguf(path)
  try:
    with files.atomic_path(entry) as temporary:
      write_converted(temporary, checkpoint)
  except (OSError, safetensors.SafetensorError) as error:
    logging.warning(
        "converted weights are not cached in %s: %s", entry.parent, error
    )
  return checkpoint, digest


def read_gguf(path: pathlib.Path) -> Checkpoint:
  """Reads a GGUF file of the Llama family.

  Args:
    path: the file.

  Returns:
    The checkpoint, dequantised to float32.

  Raises:
    WeightsError: the file is damaged or of an unsupported kind.
  """
  try:
    reader = gguf.GGUFReader(path)
    metadata = {name: f.contents() for name, f in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
  # The reader trusts its input and fails with whatever comes first.
  except Exception as error:
    raise files.WeightsError(
        f"{path} is not a readable GGUF file"
        f" ({type(error).__name__}: {error}): it is truncated or damaged."
        " Fetch it again."
    ) from error
  try:
    config = _config(metadata, tensors)
    tokenizer = Tokenizer.from_metadata(metadata)
  except KeyError as error:
    raise files.WeightsError(
        f"{path} lacks {error}: it is damaged or not a language model."
    ) from error
  except (TypeError, ValueError, AttributeError) as error:
    raise files.WeightsError(f"{path}: {error}") from error
  if tokenizer.vocab_size != config.vocab_size:
    raise files.WeightsError(
        f"{path} has {tokenizer.vocab_size} tokens but embeds"
        f" {config.vocab_size}: it is damaged."
    )
  names = {"embedding": "token_embd", "norm.scale": "output_norm"}
  for i in range(config.num_layers):
    for ours, theirs in _BLOCK_NAMES.items():
      names[f"blocks.{i}.{ours}"] = f"blk.{i}.{theirs}"
  arrays = {
      ours: _array(path, ours, f"{theirs}.weight", tensors, config)
      for ours, theirs in names.items()
  }
  return Checkpoint(config, arrays, tokenizer)


def _config(metadata: dict[str, Any], tensors: dict) -> DecoderConfig:
  architecture = metadata["general.architecture"]
  if architecture != "llama":
    raise ValueError(
        f"architecture {architecture!r} is not supported; supported: llama."
    )
  if "output.weight" in tensors:
    raise ValueError("an output matrix of its own is not supported, only tied.")

  def field(name: str) -> Any:
    return metadata[f"{architecture}.{name}"]

  num_heads = field("attention.head_count")
  return DecoderConfig(
      vocab_size=int(tensors["token_embd.weight"].shape[1]),
      num_layers=int(field("block_count")),
      width=int(field("embedding_length")),
      hidden_width=int(field("feed_forward_length")),
      num_heads=int(num_heads),
      num_kv_heads=int(field("attention.head_count_kv")),
      head_width=int(field("rope.dimension_count")),
      context_length=int(field("context_length")),
      rope_base=float(field("rope.freq_base")),
      norm_epsilon=float(field("attention.layer_norm_rms_epsilon")),
  )


def _array(
    path: pathlib.Path,
    ours: str,
    theirs: str,
    tensors: dict,
    config: DecoderConfig,
) -> np.ndarray:
  """Returns one array in the decoder's layout, `[in, out]`."""
  if theirs not in tensors:
    raise files.WeightsError(f"{path} lacks tensor {theirs!r}: it is damaged.")
  tensor = tensors[theirs]
  try:
    array = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
  except (NotImplementedError, ValueError) as error:
    raise files.WeightsError(
        f"{path}: tensor {theirs!r} of type {tensor.tensor_type.name} cannot be"
        f" dequantised: {error}"
    ) from error
  if not np.isfinite(array).all():
    raise files.WeightsError(
        f"{path}: tensor {theirs!r} holds values that are not finite: it is"
        " damaged."
    )
  if ours.endswith("attention.q"):
    array = _unpermute(array, config.num_heads)
  elif ours.endswith("attention.k"):
    array = _unpermute(array, config.num_kv_heads)
  if array.ndim == 2 and ours != "embedding":
    array = array.T
  return np.ascontiguousarray(array, dtype=np.float32)


def _unpermute(array: np.ndarray, num_heads: int) -> np.ndarray:
  """Undoes GGUF's interleaving of the rotary halves of each head's rows."""
  rows, columns = array.shape
  halves = array.reshape(num_heads, rows // num_heads // 2, 2, columns)
  return halves.swapaxes(1, 2).reshape(rows, columns)


def write_converted(path: pathlib.Path, checkpoint: Checkpoint) -> None:
  """Writes a checkpoint with checksums; the path should be temporary."""
  description = json.dumps(
      {
          "config": dataclasses.asdict(checkpoint.config),
          "tokenizer": checkpoint.tokenizer.to_json(),
          "checksums": {n: zlib.crc32(a) for n, a in checkpoint.arrays.items()},
      }
  )
  safetensors.numpy.save_file(
      dict(checkpoint.arrays),
      path,
      metadata={
          "description": description,
          "checksum": str(zlib.crc32(description.encode())),
      },
  )


def read_converted(path: pathlib.Path) -> Checkpoint:
  """Reads what `write_converted` wrote.

  Args:
    path: the file.

  Returns:
    The checkpoint.

  Raises:
    WeightsError: the file is damaged.
  """
  try:
    with safetensors.safe_open(path, framework="numpy") as file:
      metadata = file.metadata()
      text = metadata["description"]
      if zlib.crc32(text.encode()) != int(metadata["checksum"]):
        raise ValueError("the description fails its checksum")
      description = json.loads(text)
      arrays = {}
      for name, checksum in description["checksums"].items():
        arrays[name] = file.get_tensor(name)
        if zlib.crc32(arrays[name]) != checksum:
          raise ValueError(f"array {name!r} fails its checksum")
    return Checkpoint(
        DecoderConfig(**description["config"]),
        arrays,
        Tokenizer.from_json(description["tokenizer"]),
    )
  # Whatever a damaged file provokes, the remedy is the same.
  except Exception as error:
    raise files.WeightsError(
        f"the converted weights {path} are damaged"
        f" ({type(error).__name__}: {error})."
    ) from error
