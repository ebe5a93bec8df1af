"""Text to token ids and back, and conversations to text.

Text is data: unless asked, a control token that is spelt out in a text (an
observation that prints `<|im_end|>`) is encoded as ordinary characters.
"""

from collections.abc import Mapping, Sequence
import functools
import json
from typing import Any

import tokenizers

# Tokens that separate documents; the tokenizers of chat models name another
# one, that of the end of a turn, as the end.
_SEPARATORS = ("<|endoftext|>", "<|end_of_text|>")
# Stands for bytes that a vocabulary lacks, so that their neighbours are not
# joined over the gap; it is no token of the model and left out of all ids.
UNKNOWN = "<|no such byte|>"


class Tokenizer:
  """A tokenizer of the `tokenizers` library and what a model adds to it.

  Attributes:
    special_ids: ids of control tokens.
    end_id: id of the token that separates documents.
    start_ids: what must stand before every text: the id of the beginning for
      models that have been trained with one (Gemma, Llama 3), else nothing.
    chat_template: the model's Jinja template, or "".
    chat_tokens: what a template may name, `bos_token` for example.
  """

  def __init__(
      self,
      backend: str,
      *,
      special_ids: Sequence[int],
      end_id: int,
      start_ids: Sequence[int] = (),
      chat_template: str = "",
      chat_tokens: Mapping[str, str] | None = None,
  ):
    """Builds the tokenizer.

    Args:
      backend: the contents of a `tokenizer.json`.
      special_ids: see the attributes, as the rest.
      end_id: id.
      start_ids: ids.
      chat_template: Jinja.
      chat_tokens: names to texts.
    """
    self.backend = backend
    self.special_ids = [int(i) for i in special_ids]
    self.end_id = int(end_id)
    self.start_ids = [int(i) for i in start_ids]
    self.chat_template = chat_template
    self.chat_tokens = dict(chat_tokens or {})
    self._plain = tokenizers.Tokenizer.from_str(backend)
    self._plain.encode_special_tokens = True
    self._unknown = self._plain.token_to_id(UNKNOWN)
    size = self.vocab_size
    for i in (*self.special_ids, self.end_id, *self.start_ids):
      if not 0 <= i < size:
        raise ValueError(f"token {i} is named, but there are only {size}.")

  @functools.cached_property
  def _special(self) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(self.backend)

  @functools.cached_property
  def vocab_size(self) -> int:
    """V, control tokens included."""
    size = self._plain.get_vocab_size(with_added_tokens=True)
    return size if self._unknown is None else size - 1

  @property
  def start_id(self) -> int:
    """The token to put before a text where there must be one."""
    return self.start_ids[0] if self.start_ids else self.end_id

  @property
  def stop_id(self) -> int:
    """The token with which the model ends its turn or its text."""
    stop = self._plain.token_to_id(self.chat_tokens.get("eos_token", ""))
    return self.end_id if stop is None else stop

  def encode(self, text: str, special: bool = False) -> list[int]:
    """Returns the token ids of `text`, without `start_ids`.

    Args:
      text: any text.
      special: whether spelt-out control tokens such as `<|im_start|>` become
        their ids; otherwise they are ordinary characters.
    """
    encoder = self._special if special else self._plain
    ids = encoder.encode(text, add_special_tokens=False).ids
    if self._unknown in ids:
      ids = [i for i in ids if i != self._unknown]
    return ids

  def decode(self, ids: Sequence[int]) -> str:
    """Returns the text of token ids, control tokens spelt out."""
    return self._plain.decode(list(ids), skip_special_tokens=False)

  def chat(
      self, messages: Sequence[Mapping[str, Any]], answer: bool = True
  ) -> list[int]:
    """Returns the token ids of a conversation in the model's own format.

    The template is the model's and not trusted: it is rendered in a sandbox.
    Control tokens spelt out in a message do become tokens, as everywhere where
    templates are used.

    Args:
      messages: each with a `role` and a `content`.
      answer: whether the ids end where the model's answer begins.

    Raises:
      ValueError: there is no template, or it fails.
    """
    return self.encode(self.render(messages, answer), special=True)

  def render(
      self, messages: Sequence[Mapping[str, Any]], answer: bool = True
  ) -> str:
    """Returns the text of a conversation; see `chat`."""
    if not self.chat_template:
      raise ValueError(
          "the model has no chat template; give it plain text, or a model that"
          " was trained to chat."
      )
    from jinja2 import sandbox

    def refuse(message: str) -> None:
      raise ValueError(message)

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = functools.partial(
        json.dumps, ensure_ascii=False
    )
    environment.globals["raise_exception"] = refuse
    try:
      return environment.from_string(self.chat_template).render(
          messages=list(messages),
          add_generation_prompt=answer,
          **self.chat_tokens,
      )
    # It may divide by 0, call itself for ever, or be written for others.
    except Exception as error:
      raise ValueError(f"the chat template fails: {error}") from error

  def to_json(self) -> str:
    """Returns everything that `from_json` needs."""
    names = "backend special_ids end_id start_ids chat_template chat_tokens"
    return json.dumps({name: getattr(self, name) for name in names.split()})

  @classmethod
  def from_json(cls, text: str) -> "Tokenizer":
    """Rebuilds the tokenizer that `to_json` described."""
    return cls(**json.loads(text))

  @classmethod
  def from_files(
      cls, backend: str, settings: Mapping[str, Any], eos_id: int | None
  ) -> "Tokenizer":
    """Builds the tokenizer of a Hugging Face directory.

    Args:
      backend: the contents of `tokenizer.json`.
      settings: those of `tokenizer_config.json`, the template among them.
      eos_id: what `config.json` says, if anything.

    Returns:
      The tokenizer.

    Raises:
      ValueError: a file is damaged or incomplete.
    """
    try:
      built = tokenizers.Tokenizer.from_str(backend)
    # The library raises this very class.
    except Exception as error:
      raise ValueError(f"tokenizer.json is not readable: {error}") from error
    added = built.get_added_tokens_decoder()
    named = {}
    for key in ("bos_token", "eos_token", "unk_token", "pad_token"):
      token = settings.get(key)
      token = token.get("content") if isinstance(token, dict) else token
      if isinstance(token, str):
        named[key] = token
    end_id = find_separator(built, eos_id)
    if end_id is None:
      end_id = built.token_to_id(named.get("eos_token", ""))
    if end_id is None:
      raise ValueError("neither config.json nor the tokenizer names an end.")
    template = settings.get("chat_template") or ""
    if isinstance(template, list):
      by_name = {t["name"]: t["template"] for t in template}
      template = by_name.get("default", "")
    started = built.encode("", add_special_tokens=True).ids
    return cls(
        backend,
        special_ids=[i for i, token in added.items() if token.special],
        end_id=end_id,
        start_ids=[i for i in started if i != end_id],
        chat_template=template,
        chat_tokens=named,
    )


def find_separator(
    built: tokenizers.Tokenizer, default: int | None
) -> int | None:
  """Returns the id of the token that separates documents."""
  for token in _SEPARATORS:
    found = built.token_to_id(token)
    if found is not None:
      return found
  return default
