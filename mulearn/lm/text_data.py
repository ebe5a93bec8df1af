"""Examples to learn from: read, tokenised, packed into rows, streamed by Grain.

An example is a dict: `text`; or `prompt` and `completion`; or `messages` with
roles and contents. What is learnt of it is the text, the completion, or what
the assistant says; the rest is read and not predicted. Short examples share a
row without seeing each other. Tokens are kept in memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import json
import os
import pathlib
from typing import Any, NamedTuple

import grain
import jax
import numpy as np
import tensorflow_datasets as tfds

from mulearn.lm.tokenizer import Tokenizer

# Rows that are still looked at for room.
_OPEN_ROWS = 64


class Rows(NamedTuple):
  """Packed examples: what is read, and what is predicted after each token.

  Attributes:
    tokens: `[B, L]`, int32; padding is 0.
    targets: `[B, L]`, int32, the token that follows.
    weights: `[B, L]`, float32, 1 where the target is to be learnt, else 0.
    segments: `[B, L]`, int32, number of the example in its row, 0 for padding.
    positions: `[B, L]`, int32, place of the token in its example.
  """

  tokens: np.ndarray
  targets: np.ndarray
  weights: np.ndarray
  segments: np.ndarray
  positions: np.ndarray


class Encoded(NamedTuple):
  """Tokens of an example `[n]`, and which of them are to be learnt `[n]`."""

  tokens: list[int]
  learnt: list[bool]


def read(
    path: str | os.PathLike[str], split: str = "train"
) -> Sequence[Mapping[str, Any]]:
  """Opens examples.

  Args:
    path: a file of JSON lines, or the folder of a TFDS dataset in array_record
      files with the same fields.
    split: of the TFDS dataset.

  Returns:
    Random access to the examples.

  Raises:
    ValueError: the path is neither, or a line is not a JSON object.
  """
  path = pathlib.Path(path).expanduser()
  if path.is_dir():
    return tfds.builder_from_directory(path).as_data_source(split)
  if not path.is_file():
    raise ValueError(
        f"{path} does not exist; give a file of JSON lines or the folder of a"
        " TFDS dataset."
    )
  examples = []
  for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
    if not line.strip():
      continue
    try:
      example = json.loads(line)
    except ValueError as error:
      raise ValueError(f"{path}:{number} is not JSON: {error}") from error
    if not isinstance(example, dict):
      raise ValueError(f"{path}:{number} is not a JSON object.")
    examples.append(example)
  return examples


def load(
    path: str | os.PathLike[str],
    split: str,
    tokenizer: Tokenizer,
    length: int,
    *,
    shared: bool = True,
) -> Rows:
  """Reads, tokenises and packs some examples.

  Args:
    path: see `read`.
    split: see `read`.
    tokenizer: of the model.
    length: tokens of a row.
    shared: whether each process takes its share of the examples, as training
      does, or all of them.

  Returns:
    The rows.
  """
  examples = read(path, split)
  first, step = (jax.process_index(), jax.process_count()) if shared else (0, 1)
  share = range(first, len(examples), step)
  return pack(
      (part for i in share for part in encode(tokenizer, examples[i])), length
  )


def encode(tokenizer: Tokenizer, example: Mapping[str, Any]) -> list[Encoded]:
  """Tokenises an example and marks what is to be learnt of it.

  Args:
    tokenizer: of the model.
    example: see the module.

  Returns:
    One, or of a conversation whose earlier turns the model's template writes
    in another way once they are past (Qwen 3 drops their thoughts) one a turn.

  Raises:
    ValueError: it has none of the forms, or the template does not go on from
      where it asks for an answer.
  """
  fields = _plain(example)
  if "messages" in fields:
    return _encode_messages(tokenizer, fields["messages"])
  if "text" in fields:
    before, after = "", fields["text"]
  elif "prompt" in fields and "completion" in fields:
    before, after = fields["prompt"], fields["completion"]
  else:
    raise ValueError(
        f"an example has the fields {sorted(example)}, expected text, or prompt"
        " and completion, or messages."
    )
  start = tokenizer.start_ids + tokenizer.encode(before)
  start = start or [tokenizer.start_id]
  end = tokenizer.encode(after) + [tokenizer.end_id]
  return [Encoded(start + end, [False] * len(start) + [True] * len(end))]


def _plain(value: Any) -> Any:
  """Turns what TFDS reads back into what JSON would have held."""
  if isinstance(value, bytes):
    return value.decode()
  if isinstance(value, Mapping):
    value = {name: _plain(part) for name, part in value.items()}
    if isinstance(value.get("messages"), dict):  # A sequence of dicts.
      rows = zip(*value["messages"].values())
      value["messages"] = [dict(zip(value["messages"], row)) for row in rows]
    return value
  is_sequence = isinstance(value, (list, tuple, np.ndarray))
  return [_plain(part) for part in value] if is_sequence else value


def _encode_messages(
    tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]]
) -> list[Encoded]:
  """Marks what the assistant says, the end of its turns included."""
  found: list[Encoded] = []
  for i, message in enumerate(messages):
    if message["role"] != "assistant":
      continue
    asked = tokenizer.render(messages[:i])
    said = tokenizer.render(messages[: i + 1], answer=False)
    if not said.startswith(asked):
      raise ValueError(
          "the chat template asks for an answer with"
          f" {asked[-40:]!r}, which is not how it writes one: what is to be"
          " learnt of messages is not known. Give prompt and completion."
      )
    tokens = tokenizer.encode(said, special=True)
    # Where the answer begins may be in the middle of a token.
    start = len(
        os.path.commonprefix([tokenizer.encode(asked, special=True), tokens])
    )
    learnt: list[bool] = []
    if found and tokens[: len(found[-1].tokens)] == found[-1].tokens:
      learnt = found.pop().learnt
    learnt = learnt + [False] * (start - len(learnt))
    found.append(Encoded(tokens, learnt + [True] * (len(tokens) - start)))
  return found


def pack(examples: Iterable[Encoded], length: int) -> Rows:
  """Packs examples into rows, first fit in the order given.

  Args:
    examples: what is longer than a row is continued in another one, without
      sight of what came before.
    length: tokens of a row, L.

  Returns:
    Every row.

  Raises:
    ValueError: there is nothing to learn.
  """
  rows: list[list[Encoded]] = []
  free: list[int] = []
  for part in _parts(examples, length):
    size = len(part.tokens) - 1
    open_rows = range(max(0, len(rows) - _OPEN_ROWS), len(rows))
    row = next((r for r in open_rows if size <= free[r]), len(rows))
    if row == len(rows):
      rows.append([])
      free.append(length)
    rows[row].append(part)
    free[row] -= size
  if not rows:
    raise ValueError("there is nothing to learn in the examples.")
  packed = Rows(*np.zeros((5, len(rows), length), np.int32))
  packed = packed._replace(weights=packed.weights.astype(np.float32))
  for b, row in enumerate(rows):
    offset = 0
    for number, part in enumerate(row, 1):
      size = len(part.tokens) - 1
      place = b, slice(offset, offset + size)
      packed.tokens[place] = part.tokens[:-1]
      packed.targets[place] = part.tokens[1:]
      packed.weights[place] = part.learnt[1:]
      packed.segments[place] = number
      packed.positions[place] = np.arange(size)
      offset += size
  return packed


def _parts(examples: Iterable[Encoded], length: int) -> Iterator[Encoded]:
  """Yields the parts of examples that fit into a row and teach something."""
  for tokens, learnt in examples:
    for start in range(0, len(tokens) - 1, length):
      # A part begins with the token that the part before it ended with.
      part = slice(start, start + length + 1)
      if any(learnt[part][1:]):
        yield Encoded(tokens[part], learnt[part])


def batches(rows: Rows, batch_size: int, seed: int) -> grain.IterDataset[Rows]:
  """Streams batches for ever, each pass over the rows in another order.

  Its iterator's `get_state()` and `set_state(state)` stop and continue the
  stream exactly.

  Args:
    rows: of this process.
    batch_size: rows of a batch, of this process.
    seed: decides the orders.
  """
  dataset = (
      grain.MapDataset.range(len(rows.tokens))
      .seed(seed)
      .shuffle()
      .repeat()
      .map(lambda i: Rows(*(field[i] for field in rows)))
      .batch(batch_size, drop_remainder=True)
  )
  # The rows are in memory: threads would only contend for the interpreter.
  return dataset.to_iter_dataset(
      grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
  )
