"""Tokenizers rebuilt from the vocabulary and merges in GGUF metadata.

Two kinds exist: "gpt2", byte-level BPE with a rule that splits text into
words, and "llama", SentencePiece's BPE, whose merges follow from the scores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from mulearn.lm.tokenizer import UNKNOWN, Tokenizer, find_separator

# What llama.cpp calls the types of tokens.
_NORMAL, _CONTROL, _USER_DEFINED, _BYTE = 1, 3, 4, 6

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|"
    r"\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _words(digits: str) -> list:
  pattern = tokenizers.Regex(_WORDS.format(digits=digits))
  return [
      pre_tokenizers.Split(pattern, "isolated"),
      pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
  ]


_GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
# GGUF's names of the rules that split text into words.
_RULES = {
    "gpt-2": lambda: [_GPT2],
    "smollm": lambda: [pre_tokenizers.Digits(individual_digits=True), _GPT2],
    "llama-bpe": lambda: _words("{1,3}"),
    "qwen2": lambda: _words(""),
}


def byte_level(
    tokens: Sequence[str], merges: Sequence[str], rule: str
) -> tokenizers.Tokenizer:
  """Builds byte-level BPE.

  Args:
    tokens: the vocabulary in the order of the ids, in GPT-2's byte alphabet.
    merges: pairs "left right", first merged first.
    rule: how text is split into words, a name of GGUF's.

  Returns:
    The tokenizer, without added tokens.

  Raises:
    ValueError: the rule is not supported, or a merge is not a pair of tokens.
  """
  if rule not in _RULES:
    raise ValueError(
        f"tokenizer ('gpt2', {rule!r}) is not supported; supported: gpt2 with"
        f" one of {tuple(_RULES)}, and llama."
    )
  vocabulary = _ids(tokens)
  unknown = {}
  if not vocabulary.keys() >= set(pre_tokenizers.ByteLevel.alphabet()):
    vocabulary[UNKNOWN] = len(tokens)
    unknown = {"unk_token": UNKNOWN}
  try:
    model = models.BPE(
        vocab=vocabulary,
        merges=[tuple(merge.split(" ")) for merge in merges],
        ignore_merges=rule == "llama-bpe",
        **unknown,
    )
  # The library raises this very class.
  except Exception as error:
    raise ValueError(f"field 'tokenizer.ggml.merges': {error}.") from error
  built = tokenizers.Tokenizer(model)
  if rule == "qwen2":
    built.normalizer = normalizers.NFC()
  built.pre_tokenizer = pre_tokenizers.Sequence(_RULES[rule]())
  built.decoder = decoders.ByteLevel()
  return built


def sentence_piece(
    tokens: Sequence[str],
    scores: Sequence[float],
    types: Sequence[int],
    add_space: bool,
) -> tokenizers.Tokenizer:
  """Builds SentencePiece's BPE (arXiv:1808.06226) with bytes for the unknown.

  It joins the two neighbours whose union has the best score, so the merges are
  all the ways to split each piece, in the order of the scores.

  Args:
    tokens: the vocabulary in the order of the ids.
    scores: of each, higher is joined first.
    types: of each, as in llama.cpp.
    add_space: whether a text gets a space before it.

  Returns:
    The tokenizer, without added tokens.
  """
  pieces = {t: i for i, t in enumerate(tokens) if types[i] == _NORMAL}
  merges = [
      (piece[:i], piece[i:])
      for piece in sorted(pieces, key=lambda piece: -scores[pieces[piece]])
      for i in range(1, len(piece))
      if piece[:i] in pieces and piece[i:] in pieces
  ]
  unknown = tokens[types.index(2)] if 2 in types else None
  built = tokenizers.Tokenizer(
      models.BPE(
          vocab=_ids(tokens),
          merges=merges,
          unk_token=unknown,
          fuse_unk=True,
          byte_fallback=_BYTE in types,
      )
  )
  replace = normalizers.Replace(" ", "▁")
  strip = []
  if add_space:
    replace = normalizers.Sequence([normalizers.Prepend("▁"), replace])
    strip = [decoders.Strip(" ", 1, 0)]
  built.normalizer = replace
  built.decoder = decoders.Sequence(
      [
          decoders.Replace("▁", " "),
          decoders.ByteFallback(),
          decoders.Fuse(),
          *strip,
      ]
  )
  return built


def _ids(tokens: Sequence[str]) -> dict[str, int]:
  vocabulary = {token: i for i, token in enumerate(tokens)}
  if len(vocabulary) != len(tokens):
    raise ValueError("field 'tokenizer.ggml.tokens' holds a token twice.")
  return vocabulary


def from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
  """Builds the tokenizer that a GGUF file describes.

  Args:
    metadata: GGUF's fields by name.

  Returns:
    The tokenizer.

  Raises:
    ValueError: the file describes a kind of tokenizer that is not supported.
    KeyError: a field is missing.
  """

  def field(name: str, *default: Any) -> Any:
    name = f"tokenizer.ggml.{name}"
    return metadata.get(name, *default) if default else metadata[name]

  kind, tokens = field("model"), _texts(field("tokens"), "tokens")
  types = _numbers(field("token_type"), len(tokens), "token_type")
  if kind == "gpt2":
    merges = _texts(field("merges", []), "merges")
    built = byte_level(tokens, merges, field("pre", "default"))
  elif kind == "llama":
    scores = _numbers(field("scores"), len(tokens), "scores")
    add_space = bool(field("add_space_prefix", True))
    built = sentence_piece(tokens, scores, types, add_space)
  else:
    raise ValueError(
        f"tokenizer {kind!r} is not supported; supported: gpt2 and llama."
    )
  for number, special in ((_USER_DEFINED, False), (_CONTROL, True)):
    chosen = [t for t, found in zip(tokens, types) if found == number and t]
    # Spaces are already written as the tokens have them once normalised.
    normalized = kind == "llama" and not special
    added = [
        tokenizers.AddedToken(t, special=special, normalized=normalized)
        for t in chosen
    ]
    (built.add_special_tokens if special else built.add_tokens)(added)
  eos_id = int(field("eos_token_id"))
  bos_id = field("bos_token_id", None)
  names = {"bos_token": bos_id, "eos_token": eos_id}
  # What a file leaves unsaid, llama.cpp knows of the rule.
  usual = kind == "llama" or field("pre", "") == "llama-bpe"
  starts = bos_id is not None and field("add_bos_token", usual)
  if starts and 0 <= bos_id < len(tokens):
    # Ours never asks for it; it is for those who read what is exported.
    built.post_processor = processors.TemplateProcessing(
        single=[tokens[bos_id], "$A"],
        special_tokens=[(tokens[bos_id], int(bos_id))],
    )
  return Tokenizer(
      built.to_str(),
      special_ids=[i for i, kind in enumerate(types) if kind == _CONTROL],
      end_id=find_separator(built, eos_id),
      start_ids=[bos_id] if starts else [],
      chat_template=str(metadata.get("tokenizer.chat_template", "")),
      chat_tokens={
          name: tokens[i]
          for name, i in names.items()
          if i is not None and 0 <= i < len(tokens)
      },
  )


def _texts(values: Any, name: str) -> list[str]:
  if not isinstance(values, list):
    raise ValueError(f"field 'tokenizer.ggml.{name}' is not a list of texts.")
  return values


def _numbers(values: Any, count: int, name: str) -> list:
  values = np.atleast_1d(values)
  known = values.dtype.kind in "iuf" and values.shape == (count,)
  if not known or not np.isfinite(values).all():
    raise ValueError(
        f"field 'tokenizer.ggml.{name}' has {values.size} entries for {count}"
        " tokens, or others than numbers."
    )
  return values.tolist()
