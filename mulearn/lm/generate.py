"""Continues prompts: a batch at a time, streamed, until a stop.

Neither the padding nor the company of a prompt changes its continuation.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any
import zlib

import jax
from jax import Array
import numpy as np

from mulearn.lm import sampling
from mulearn.lm.continuation import Continuation, OnToken
from mulearn.lm.decoder import Decoder
from mulearn.lm.decoding import decode, prefill
from mulearn.lm.model import LanguageModel

# Prompts that are continued together.
_MAX_BATCH = 64
# Lengths of prompts, and of the slots behind them, are rounded up to these.
_LENGTHS = (16, 32, 64, 128, 256, 512)
# Steps between two looks at the text where a stop string is waited for.
_STEPS = 8


def generate(
    model: LanguageModel,
    prompts: Sequence[str] | Sequence[Sequence[int]] | Array,
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    stop: Sequence[str] = (),
    stop_ids: Sequence[int] | None = None,
    rng_key: Array | int = 0,
    on_token: OnToken | None = None,
) -> list[Any]:
  """Continues each prompt until a stop or for `max_new_tokens`.

  A prompt's draws are decided by the key, its tokens and how many equal prompts
  precede it; by nothing else in the batch.

  Args:
    model: the language model.
    prompts: texts, or token ids of each prompt.
    max_new_tokens: most tokens to add.
    temperature: 0 takes the likeliest token; else see `sampling.settings`.
    top_k: see `sampling.settings`.
    top_p: see `sampling.settings`.
    min_p: see `sampling.settings`.
    stop: texts before which a continuation ends.
    stop_ids: tokens before which it ends; None means every control token.
    rng_key: a key or a seed.
    on_token: called with the index of a prompt and what is new of its
      continuation, a text or token ids, as soon as it is known.

  Returns:
    For each prompt its continuation: texts for texts, lists of token ids for
    token ids.

  Raises:
    ValueError: an argument is out of range, or a prompt is too long.
  """
  chosen = sampling.settings(temperature, top_k, top_p, min_p)
  if max_new_tokens < 1:
    raise ValueError(f"max_new_tokens={max_new_tokens}; give 1 or more.")
  if isinstance(rng_key, int):
    rng_key = jax.random.key(rng_key)
  ids = [_tokens(model, prompt) for prompt in prompts]
  rows = [
      Continuation(model.tokenizer, i, stop, isinstance(prompt, str), on_token)
      for i, prompt in enumerate(prompts)
  ]
  if stop_ids is None:
    stop_ids = model.tokenizer.special_ids
  ends = np.zeros(model.config.vocab_size, bool)
  ends[list(stop_ids)] = True
  at_once = max_new_tokens if not stop else min(_STEPS, max_new_tokens)
  run = functools.partial(
      _run,
      model.params,
      ends=ends,
      num_new=max_new_tokens,
      at_once=1 if on_token else at_once,
      settings=chosen,
      top_k=top_k if chosen else 0,
  )
  keys = _row_keys(rng_key, ids)
  _check_prompts(model, ids, max_new_tokens)
  # Rows of like length share a batch: little is computed for padding.
  order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
  for start in range(0, len(order), _MAX_BATCH):
    part = order[start : start + _MAX_BATCH]
    run([ids[i] for i in part], [rows[i] for i in part], keys[np.array(part)])
  return [row.result() for row in rows]


def _tokens(model: LanguageModel, prompt: Any) -> list[int]:
  """Returns a prompt's ids, at least one."""
  if not isinstance(prompt, str):
    return [int(i) for i in prompt] or [model.tokenizer.end_id]
  ids = model.tokenizer.start_ids + model.tokenizer.encode(prompt)
  return ids or [model.tokenizer.end_id]


def _check_prompts(
    model: LanguageModel, ids: Sequence[Sequence[int]], num_new: int
) -> None:
  size = model.config.vocab_size
  wrong = [i for row in ids for i in row if not 0 <= i < size]
  if wrong:
    raise ValueError(
        f"a prompt holds token {wrong[0]}, but {model.name} knows {size}; encode"
        " it with this model's tokenizer."
    )
  longest = max(map(len, ids), default=0)
  if longest + num_new > model.config.context_length:
    raise ValueError(
        f"a prompt of {longest} tokens and {num_new} new ones exceed the"
        f" {model.config.context_length} that {model.name} was trained to see;"
        " shorten the prompt or lower max_new_tokens."
    )


def _row_keys(rng_key: Array, ids: Sequence[Sequence[int]]) -> Array:
  """Returns a key for each prompt, `[B]`; equal prompts get different ones."""
  seen: dict[tuple[int, ...], int] = {}
  numbers = np.zeros((len(ids), 2), np.uint32)
  for i, row in enumerate(ids):
    occurrence = seen[tuple(row)] = seen.get(tuple(row), -1) + 1
    numbers[i] = zlib.crc32(np.asarray(row, np.int32).tobytes()), occurrence
  fold = jax.vmap(jax.random.fold_in, (None, 0))
  keys = fold(rng_key, numbers[:, 0])
  return jax.vmap(jax.random.fold_in)(keys, numbers[:, 1])


def _round_up(length: int) -> int:
  fitting = (size for size in _LENGTHS if size >= length)
  return next(fitting, -(-length // _LENGTHS[-1]) * _LENGTHS[-1])


def _run(
    decoder: Decoder,
    prompts: list[list[int]],
    rows: list[Continuation],
    rng_keys: Array,
    *,
    ends: np.ndarray,
    num_new: int,
    at_once: int,
    settings: Mapping[str, float],
    top_k: int,
) -> None:
  """Continues one batch, telling each row of its tokens as they come."""
  count = len(prompts)
  # A product of one bfloat16 row is many times slower on a CPU than of two.
  size = max(2, 1 << (count - 1).bit_length())
  length = _round_up(max(map(len, prompts)))
  tokens = np.zeros((size, length), np.int32)
  lengths = np.ones(size, np.int32)
  for b, prompt in enumerate(prompts):
    tokens[b, : len(prompt)] = prompt
    lengths[b] = len(prompt)
  rng_keys = rng_keys[np.minimum(np.arange(size), count - 1)]
  done = np.arange(size) >= count
  choice = (ends, settings, top_k)
  state = prefill(
      decoder, tokens, lengths, rng_keys, done, *choice, _round_up(num_new)
  )
  told, step = 0, 1
  while True:
    if told or at_once > 1:  # A stream tells of the first token at once.
      state = decode(decoder, state, min(step + at_once, num_new), *choice)
      step = int(state.step)
    done, chosen = np.array(state.done), np.asarray(state.chosen)
    for b, row in enumerate(rows):
      row.extend(chosen[b, told:step], ends, step == num_new)
      done[b] = row.finished
    if step >= num_new or done.all():
      return
    told, state = step, state._replace(done=done)
