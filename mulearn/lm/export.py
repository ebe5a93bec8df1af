"""Writes a model as a Hugging Face directory, one array in memory at a time."""

from collections.abc import Iterator
import json
import math
import pathlib

from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm import hugging_face, hugging_face_config, tensors, weights
from mulearn.lm.model import LanguageModel
from mulearn.lm.tokenizer import UNKNOWN, Tokenizer


def export(
    model: LanguageModel,
    directory: str | pathlib.Path,
    dtype: str | None = None,
    max_file_bytes: int = 5 * 10**9,
) -> None:
  """Writes config.json, safetensors and the tokenizer's files.

  Args:
    model: the model.
    directory: made if it is not there; files of these names are replaced.
    dtype: of the arrays in the files; None keeps the model's.
    max_file_bytes: about how large a file may get before the next is begun.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  dtype = dtype or str(model.params.embedding[...].dtype)
  files = _split(model, jnp.dtype(dtype).itemsize, max_file_bytes)
  index: dict[str, str] = {}
  for i, part in enumerate(files, 1):
    name = f"model-{i:05}-of-{len(files):05}.safetensors"
    name = name if len(files) > 1 else "model.safetensors"
    shapes = {}
    for ours, array in part.items():
      turned = weights.is_matrix(ours, array.shape)
      theirs = hugging_face.weight_name(model.config, ours)
      shapes[theirs] = array.shape[::-1] if turned else array.shape
      index[theirs] = name
    tensors.write_safetensors(
        directory / name, shapes, _host_arrays(model, part), jnp.dtype(dtype)
    )
  # One that is left from before would be believed.
  for name in (hugging_face.INDEX, hugging_face.TEMPLATE):
    (directory / name).unlink(missing_ok=True)
  if len(files) > 1:
    sizes = [math.prod(a.shape) for part in files for a in part.values()]
    total = {"total_size": sum(sizes) * jnp.dtype(dtype).itemsize}
    parts = {"metadata": total, "weight_map": index}
    _write(directory / hugging_face.INDEX, parts)
  tokenizer = model.tokenizer
  fields = hugging_face_config.to_fields(model.config)
  fields |= {"dtype": dtype, "eos_token_id": tokenizer.stop_id}
  _write(directory / "config.json", fields)
  (directory / "tokenizer.json").write_text(_backend(tokenizer), "utf-8")
  settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
  settings |= tokenizer.chat_tokens
  if tokenizer.chat_template:
    settings["chat_template"] = tokenizer.chat_template
  _write(directory / "tokenizer_config.json", settings)


def _write(path: pathlib.Path, fields: dict) -> None:
  path.write_text(json.dumps(fields, indent=2) + "\n")


def _backend(tokenizer: Tokenizer) -> str:
  """Returns a tokenizer.json without what is no token of the model."""
  if UNKNOWN not in tokenizer.backend:
    return tokenizer.backend
  fields = json.loads(tokenizer.backend)
  del fields["model"]["vocab"][UNKNOWN]
  fields["model"]["unk_token"] = None
  return json.dumps(fields, ensure_ascii=False)


def _split(
    model: LanguageModel, itemsize: int, limit: int
) -> list[dict[str, Array]]:
  """Returns the parameters of each file."""
  files: list[dict[str, Array]] = [{}]
  size = 0
  for name, array in weights.parameter_arrays(model.params).items():
    size += math.prod(array.shape) * itemsize
    if size > limit and files[-1]:
      files.append({})
      size = math.prod(array.shape) * itemsize
    files[-1][name] = array
  return files


def _host_arrays(
    model: LanguageModel, part: dict[str, Array]
) -> Iterator[np.ndarray]:
  for name, array in part.items():
    host = np.asarray(array)
    offset = hugging_face.norm_offset(model.config, name)
    host = host - np.float32(offset) if offset else host
    yield host.T if weights.is_matrix(name, host.shape) else host
