"""Tokenizers from GGUF metadata: merges, scores, bytes, and what is refused."""

import pytest
from tokenizers import pre_tokenizers

from mulearn.lm import vocabulary
from mulearn.lm.tokenizer import Tokenizer

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
CONTROL = ["<|endoftext|>", "<|end|>"]


def byte_level(pre="gpt-2", tokens=(), merges=(), lacking=(), changes=()):
  alphabet = [token for token in ALPHABET if token not in lacking]
  tokens = [*CONTROL, *alphabet, *tokens]
  metadata = {
      "model": "gpt2",
      "pre": pre,
      "tokens": tokens,
      "token_type": [3, 3] + [1] * (len(tokens) - 2),
      "merges": list(merges),
      "eos_token_id": 1,
  }
  return build(metadata | dict(changes))


def sentence_pieces(**changes):
  """Pieces by score, "bc" before "ab", and bytes for the rest."""
  tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
  types = [2, 3, 3] + [6] * 256
  pieces = ["bc", "ab", "▁ab", "▁", "a", "b", "c", "é"]
  tokens += pieces + ["  ", "<x>"]
  types += [1] * len(pieces) + [4, 4]
  metadata = {
      "model": "llama",
      "tokens": tokens,
      "token_type": types,
      "scores": [0.0] * 259 + [-float(i) for i in range(len(pieces) + 2)],
      "bos_token_id": 1,
      "eos_token_id": 2,
      "add_space_prefix": False,
  }
  return build(metadata | changes)


def build(metadata):
  return vocabulary.from_gguf(
      {f"tokenizer.ggml.{name}": value for name, value in metadata.items()}
  )


def pieces(tokenizer, text):
  return [tokenizer.decode([i]) for i in tokenizer.encode(text)]


def test_merges_are_in_order():
  tokenizer = byte_level(tokens=["ab", "bc"], merges=["b c", "a b"])
  assert pieces(tokenizer, "abc") == ["a", "bc"]
  assert tokenizer.end_id == 0, "what separates documents, not what ends a turn"
  assert tokenizer.special_ids == [0, 1] and tokenizer.start_ids == []


@pytest.mark.parametrize(
    "pre, expected",
    [
        ("gpt-2", ["12345", "!", "a"]),
        ("smollm", ["1", "2", "3", "4", "5", "!", "a"]),
        ("llama-bpe", ["123", "45", "!a"]),
        ("qwen2", ["1", "2", "3", "4", "5", "!a"]),
    ],
)
def test_rules_split_words(pre, expected):
  tokens = ["12", "123", "1234", "12345", "45", "!a"]
  merges = ["1 2", "12 3", "123 4", "1234 5", "4 5", "! a"]
  tokenizer = byte_level(pre, tokens, merges)
  assert pieces(tokenizer, "12345!a") == expected


def test_a_byte_that_is_lacking_keeps_its_neighbours_apart():
  tokenizer = byte_level(tokens=["ab"], merges=["a b"], lacking=["x"])
  assert pieces(tokenizer, "axb") == ["a", "b"]
  assert pieces(tokenizer, "ab") == ["ab"]
  assert tokenizer.vocab_size == 2 + 255 + 1


def test_scores_decide():
  tokenizer = sentence_pieces()
  assert pieces(tokenizer, "abc") == ["a", "bc"]
  assert pieces(tokenizer, "bc ab") == ["bc", " ab"]
  assert tokenizer.start_ids == [1] and tokenizer.start_id == 1


def test_what_is_no_piece_becomes_bytes():
  tokenizer = sentence_pieces()
  assert tokenizer.encode("é") == [tokenizer.encode("cé")[1]]
  assert tokenizer.encode("ü") == [3 + 0xC3, 3 + 0xBC]
  assert tokenizer.decode([3 + 0xC3, 3 + 0xBC]) == "ü"


def test_user_defined_pieces_come_before_merges():
  tokenizer = sentence_pieces()
  assert pieces(tokenizer, "a   b<x>") == ["a", "  ", " ", "b", "<x>"]
  assert "</s>" not in pieces(tokenizer, "</s>")


def test_the_beginning_is_told_to_others_too():
  tokenizer = sentence_pieces()
  fields = {"eos_token": "</s>", "bos_token": "<s>"}
  again = Tokenizer.from_files(tokenizer.backend, fields, None)
  assert again.start_ids == [1] and again.end_id == again.stop_id == 2


def test_a_space_before_the_text():
  tokenizer = sentence_pieces(add_space_prefix=True)
  ids = tokenizer.encode("abc")
  assert ids == sentence_pieces().encode(" abc")
  assert tokenizer.decode(ids) == "abc"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": "t5"}, "'t5' is not supported"),
        ({"pre": "tekken"}, "'tekken'"),
        ({"token_type": [1]}, "token_type' has 1 entries"),
        ({"merges": ["a b c"]}, "merges"),
        ({"merges": ["a b"]}, "merges"),
        ({"merges": 3}, "merges"),
        ({"tokens": 3}, "tokens"),
        ({"token_type": [1] * 258, "bos_token_id": 999}, "999"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
  with pytest.raises(ValueError, match=message):
    byte_level(changes={"add_bos_token": True} | changes)


def test_llama_3_begins_even_where_its_file_does_not_say_so():
  changes = {"bos_token_id": 0}
  assert byte_level("llama-bpe", changes=changes).start_ids == [0]
  changes["add_bos_token"] = False
  assert byte_level("llama-bpe", changes=changes).start_ids == []
  assert byte_level("qwen2", changes={"bos_token_id": 0}).start_ids == []


def test_wrong_scores_are_named():
  with pytest.raises(ValueError, match="scores' has 1 entries"):
    sentence_pieces(scores=[1.0])


def test_a_token_twice_is_named():
  with pytest.raises(ValueError, match="twice"):
    byte_level(tokens=["a"])
