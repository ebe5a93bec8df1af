"""The tokenizer: bytes survive, digits stand alone, text is data."""

import json

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
  assert tokenizer.end_id == 0 and tokenizer.stop_id == 2
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


def test_chat(smollm2):
  messages = [
      {"role": "system", "content": "Be brief."},
      {"role": "user", "content": "Hi <b>there</b>"},
  ]
  text = smollm2.tokenizer.render(messages)
  assert text == (
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi"
      " <b>there</b><|im_end|>\n<|im_start|>assistant\n"
  )
  ids = smollm2.tokenizer.chat(messages, answer=False)
  assert ids[0] == 1 and ids.count(2) == 2
  assert text.startswith(smollm2.tokenizer.decode(ids))


def with_template(tiny, template):
  fields = json.loads(tiny.tokenizer.to_json()) | {"chat_template": template}
  return Tokenizer(**fields)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ messages.append(1) }}",
        "{% for m in messages %}{% set _ = m.update({'a': 1}) %}{% endfor %}",
        "{{ raise_exception('roles must alternate') }}",
        "{% nonsense %}",
        "{{ messages[0] + 1 }}",
        "{{ 1 // 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_a_template_can_do_nothing_but_write(tiny, template):
  with pytest.raises(ValueError, match="the chat template"):
    with_template(tiny, template).render([{"role": "user", "content": "x"}])


def test_no_template(tiny):
  with pytest.raises(ValueError, match="no chat template"):
    tiny.tokenizer.render([])


def test_ids_beyond_the_vocabulary_are_refused(tiny):
  fields = json.loads(tiny.tokenizer.to_json()) | {"end_id": 261}
  with pytest.raises(ValueError, match="only 261"):
    Tokenizer(**fields)


def test_files_name_the_end_in_one_way_or_another(tiny):
  backend = tiny.tokenizer.backend
  assert Tokenizer.from_files(backend, {}, None).end_id == 0
  renamed = backend.replace("<|endoftext|>", "<end>")
  assert Tokenizer.from_files(renamed, {}, 1).end_id == 1
  named = {
      "eos_token": "<end>",
      "chat_template": [
          {"name": "default", "template": "a"},
          {"name": "tools", "template": "b"},
      ],
  }
  tokenizer = Tokenizer.from_files(renamed, named, None)
  assert tokenizer.end_id == 0 and tokenizer.chat_template == "a"
  assert tokenizer.special_ids == [0, 1]
  with pytest.raises(ValueError, match="an end"):
    Tokenizer.from_files(renamed, {}, None)
  with pytest.raises(ValueError, match="tokenizer.json"):
    Tokenizer.from_files("{", {}, 0)
