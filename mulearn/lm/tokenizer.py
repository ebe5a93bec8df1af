"""Text to token ids and back: byte-level BPE rebuilt from GGUF metadata.

Text is data: unless asked, a special token that is spelt out in a text (an
observation that prints "<|im_end|>") is encoded as ordinary characters.
"""

from collections.abc import Sequence
import json

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

# GGUF pre-tokenizer names whose rule is "digits one by one, then GPT-2 bytes".
_DIGIT_BYTE_LEVEL = ("smollm",)


class Tokenizer:
  """Byte-level BPE with special tokens only on request."""

  def __init__(
      self,
      tokens: Sequence[str],
      merges: Sequence[str],
      special_ids: Sequence[int],
      end_id: int,
      chat_template: str = "",
  ):
    """Builds the tokenizer.

    Args:
      tokens: the vocabulary in the order of the ids, in GPT-2's byte alphabet.
      merges: pairs "left right", first merged first.
      special_ids: ids of control tokens.
      end_id: id of the token that separates documents.
      chat_template: the model's Jinja template, kept as it is.
    """
    self.tokens = list(tokens)
    self.merges = list(merges)
    self.special_ids = [int(i) for i in special_ids]
    self.end_id = int(end_id)
    self.chat_template = chat_template
    self._plain = self._build()
    self._special = self._build()
    self._special.add_special_tokens(
        [
            tokenizers.AddedToken(
                self.tokens[i], special=True, normalized=False
            )
            for i in self.special_ids
        ]
    )

  def _build(self) -> tokenizers.Tokenizer:
    vocabulary = {token: i for i, token in enumerate(self.tokens)}
    pairs = [tuple(merge.split(" ")) for merge in self.merges]
    built = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    built.decoder = decoders.ByteLevel()
    return built

  @property
  def vocab_size(self) -> int:
    return len(self.tokens)

  def encode(self, text: str, special: bool = False) -> list[int]:
    """Returns the token ids of `text`.

    Args:
      text: any text.
      special: whether spelt-out control tokens such as `<|im_start|>` become
        their ids; otherwise they are ordinary characters.
    """
    encoder = self._special if special else self._plain
    return encoder.encode(text, add_special_tokens=False).ids

  def decode(self, ids: Sequence[int]) -> str:
    """Returns the text of token ids, control tokens spelt out."""
    return self._special.decode(list(ids), skip_special_tokens=False)

  def to_json(self) -> str:
    """Returns everything that `from_json` needs."""
    return json.dumps(
        {
            "tokens": self.tokens,
            "merges": self.merges,
            "special_ids": self.special_ids,
            "end_id": self.end_id,
            "chat_template": self.chat_template,
        }
    )

  @classmethod
  def from_json(cls, text: str) -> "Tokenizer":
    """Rebuilds the tokenizer that `to_json` described."""
    return cls(**json.loads(text))

  @classmethod
  def from_metadata(cls, metadata: dict) -> "Tokenizer":
    """Builds the tokenizer that a GGUF file describes.

    Args:
      metadata: GGUF's fields by name.

    Returns:
      The tokenizer.

    Raises:
      ValueError: the file describes a kind of tokenizer that is not supported.
      KeyError: a field is missing.
    """
    kind = (
        metadata["tokenizer.ggml.model"],
        metadata.get("tokenizer.ggml.pre"),
    )
    if kind[0] != "gpt2" or kind[1] not in _DIGIT_BYTE_LEVEL:
      raise ValueError(
          f"tokenizer {kind} is not supported; supported: gpt2 with one of"
          f" {_DIGIT_BYTE_LEVEL}."
      )
    types = metadata["tokenizer.ggml.token_type"]
    tokens = metadata["tokenizer.ggml.tokens"]
    special_ids = [i for i, kind in enumerate(types) if kind == 3]
    end_id = metadata["tokenizer.ggml.eos_token_id"]
    if "<|endoftext|>" in tokens:
      end_id = tokens.index("<|endoftext|>")
    return cls(
        tokens,
        metadata["tokenizer.ggml.merges"],
        special_ids,
        end_id,
        metadata.get("tokenizer.chat_template", ""),
    )
