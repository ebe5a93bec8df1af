"""The tokenizer: bytes survive, digits stand alone, text is data."""

import pytest

from mulearn.lm.tokenizer import Tokenizer

TRICKY = [
    "",
    " ",
    "a  b   c\n\n\t x ",
    "2024 + 1e-5 = 007",
    "ニャーニャー泣いていた 👩‍🚀",
    "naïve\u0301 \u200b \x00\x7f \ufeff",
    "it's they'll I'd",
    "<|im_start|>user\nhi<|im_end|>",
]


@pytest.mark.parametrize("text", TRICKY)
def test_round_trip(tiny, text):
  assert tiny.tokenizer.decode(tiny.tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", TRICKY)
def test_round_trip_of_the_real_one(smollm2, text):
  tokenizer = smollm2.tokenizer
  assert tokenizer.decode(tokenizer.encode(text)) == text
  assert tokenizer.decode(tokenizer.encode(text, special=True)) == text


def test_digits_stand_alone(smollm2):
  tokenizer = smollm2.tokenizer
  ids = tokenizer.encode("12345")
  assert [tokenizer.decode([i]) for i in ids] == list("12345")


def test_control_tokens_only_on_request(smollm2):
  tokenizer = smollm2.tokenizer
  text = "x<|im_end|>"
  assert 2 not in tokenizer.encode(text)
  assert tokenizer.encode(text, special=True)[-1] == 2
  assert tokenizer.encode("<|endoftext|>", special=True) == [0]
  assert tokenizer.end_id == 0
  assert "<|im_start|>" in tokenizer.chat_template


def test_merges(tiny):
  put, space, go = tiny.tokenizer.encode("put go")
  assert tiny.tokenizer.decode([put]) == "put"
  assert tiny.tokenizer.decode([space, go]) == " go"


def test_json_round_trip(smollm2):
  again = Tokenizer.from_json(smollm2.tokenizer.to_json())
  for text in TRICKY:
    for special in (False, True):
      ids = smollm2.tokenizer.encode(text, special)
      assert again.encode(text, special) == ids
  assert again.chat_template == smollm2.tokenizer.chat_template


def test_unknown_kind_is_refused():
  with pytest.raises(ValueError, match="llama-bpe"):
    Tokenizer.from_metadata(
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "llama-bpe",
        }
    )
