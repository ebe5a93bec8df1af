"""What is learnt of an example, and how examples share rows."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mulearn.lm import text_data
from mulearn.lm.text_data import Encoded
from mulearn.lm.tokenizer import Tokenizer

TEMPLATE = (
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
)


def learnt_text(tokenizer, encoded):
  ids = [t for t, learnt in zip(*encoded) if learnt]
  return tokenizer.decode(ids)


def test_what_is_learnt(tiny):
  tokenizer = tiny.tokenizer
  (text,) = text_data.encode(tokenizer, {"text": "put it"})
  assert text.tokens[0] == tokenizer.start_id and not text.learnt[0]
  assert learnt_text(tokenizer, text) == "put it<|endoftext|>"
  pair = {"prompt": "go", "completion": " north"}
  (encoded,) = text_data.encode(tokenizer, pair)
  assert learnt_text(tokenizer, encoded) == " north<|endoftext|>"
  assert tokenizer.decode(encoded.tokens) == "go north<|endoftext|>"
  # As TFDS reads texts back.
  assert [encoded] == text_data.encode(
      tokenizer, {"prompt": b"go", "completion": b" north"}
  )


MESSAGES = [
    {"role": "user", "content": "go"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "put"},
    {"role": "assistant", "content": "no"},
    {"role": "user", "content": "never read"},
]


def with_template(tiny, template):
  values = json.loads(tiny.tokenizer.to_json()) | {"chat_template": template}
  return Tokenizer.from_json(json.dumps(values))


def test_only_what_the_assistant_says_is_learnt(tiny):
  tokenizer = with_template(tiny, TEMPLATE)
  (encoded,) = text_data.encode(tokenizer, {"messages": MESSAGES})
  assert learnt_text(tokenizer, encoded) == "yes<|im_end|>no<|im_end|>"
  assert len(encoded.tokens) == len(encoded.learnt)
  assert "never" not in tokenizer.decode(encoded.tokens)


def test_turns_that_are_written_in_another_way_once_past(tiny):
  thinks = TEMPLATE.replace(
      "{{ m.content }}",
      "{% if loop.last and m.role == 'assistant' %}<hm>{% endif %}"
      "{{ m.content }}",
  )
  tokenizer = with_template(tiny, thinks)
  first, second = text_data.encode(tokenizer, {"messages": MESSAGES})
  assert tokenizer.decode(first.tokens) == "u:go<|im_end|>a:<hm>yes<|im_end|>"
  assert learnt_text(tokenizer, first) == "<hm>yes<|im_end|>"
  assert tokenizer.decode(second.tokens).startswith(
      "u:go<|im_end|>a:yes<|im_end|>u:put"
  )
  assert learnt_text(tokenizer, second) == "<hm>no<|im_end|>"


def test_an_answer_that_is_not_what_was_asked_for(tiny):
  tokenizer = with_template(tiny, TEMPLATE.replace("}a:{%", "}assistant:{%"))
  with pytest.raises(ValueError, match="'.*assistant:', which is not how"):
    text_data.encode(tokenizer, {"messages": MESSAGES})


def test_rows_by_hand():
  examples = [
      Encoded([1, 2, 3, 4], [False, False, True, True]),
      Encoded([5, 6, 7], [False, True, True]),
      Encoded([8, 9], [False, True]),
  ]
  rows = text_data.pack(examples, 5)
  # The second fits behind the first, the third into a row of its own.
  assert rows.tokens.tolist() == [[1, 2, 3, 5, 6], [8, 0, 0, 0, 0]]
  assert rows.targets.tolist() == [[2, 3, 4, 6, 7], [9, 0, 0, 0, 0]]
  assert rows.weights.tolist() == [[0, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
  assert rows.segments.tolist() == [[1, 1, 1, 2, 2], [1, 0, 0, 0, 0]]
  assert rows.positions.tolist() == [[0, 1, 2, 0, 1], [0, 0, 0, 0, 0]]


def test_a_long_example_is_continued():
  tokens = list(range(1, 12))
  rows = text_data.pack([Encoded(tokens, [False] + [True] * 10)], 4)
  learnt = rows.targets[rows.weights > 0]
  assert sorted(learnt.tolist()) == tokens[1:]
  assert (
      rows.targets[rows.weights > 0] == rows.tokens[rows.weights > 0] + 1
  ).all()


def test_every_target_is_in_one_row():
  rng = np.random.default_rng(0)
  examples, start = [], 0
  for size in rng.integers(2, 20, 200):
    tokens = list(range(start, start + size))
    examples.append(Encoded(tokens, [False] + [True] * (size - 1)))
    start += size
  rows = text_data.pack(examples, 16)
  wanted = sorted(t for e in examples for t in e.tokens[1:])
  assert sorted(rows.targets[rows.weights > 0].tolist()) == wanted
  assert (rows.segments > 0).mean() > 0.9


def test_streams_resume_and_repeat():
  examples = [Encoded([i, i + 1], [False, True]) for i in range(1, 8)]
  rows = text_data.pack(examples, 2)
  stream = iter(text_data.batches(rows, 2, seed=3))
  first = [next(stream).tokens.tolist() for _ in range(3)]
  state = stream.get_state()
  json.dumps(state)  # It goes into a checkpoint.
  then = [next(stream).tokens.tolist() for _ in range(9)]
  again = iter(text_data.batches(rows, 2, seed=3))
  again.set_state(state)
  assert [next(again).tokens.tolist() for _ in range(9)] == then
  other = iter(text_data.batches(rows, 2, seed=4))
  assert [next(other).tokens.tolist() for _ in range(3)] != first


def test_files(tmp_path, tiny):
  path = tmp_path / "train.jsonl"
  path.write_text('{"text": "go"}\n\n{"text": "put"}\n')
  assert text_data.read(path) == [{"text": "go"}, {"text": "put"}]
  rows = text_data.load(path, "train", tiny.tokenizer, 8)
  assert rows.weights.sum() == 4
  path.write_text("{")
  with pytest.raises(ValueError, match="train.jsonl:1 is not JSON"):
    text_data.read(path)
  path.write_text("[1]")
  with pytest.raises(ValueError, match="not a JSON object"):
    text_data.read(path)
  with pytest.raises(ValueError, match="does not exist"):
    text_data.read(tmp_path / "none.jsonl")
  with pytest.raises(ValueError, match="fields \\['words'\\]"):
    text_data.encode(tiny.tokenizer, {"words": "x"})
  with pytest.raises(ValueError, match="nothing to learn"):
    text_data.pack([], 8)


def test_messages_as_tfds_reads_them_back(tiny):
  tokenizer = with_template(tiny, TEMPLATE)
  read = {
      name: np.array([m[name].encode() for m in MESSAGES], object)
      for name in ("role", "content")
  }
  assert text_data.encode(tokenizer, {"messages": read}) == text_data.encode(
      tokenizer, {"messages": MESSAGES}
  )


class Texts(tfds.core.GeneratorBasedBuilder):
  """Two texts."""

  VERSION = tfds.core.Version("1.0.0")
  code_path = None

  def _info(self):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, dl_manager):
    return {"train": self._generate_examples()}

  def _generate_examples(self):
    yield 0, {"text": "go"}
    yield 1, {"text": "put"}


def test_a_tfds_dataset(tmp_path, tiny):
  builder = Texts(data_dir=tmp_path, file_format="array_record")
  builder.download_and_prepare()
  examples = text_data.read(builder.data_path)
  found = {
      learnt_text(tiny.tokenizer, encoded)
      for e in examples
      for encoded in text_data.encode(tiny.tokenizer, e)
  }
  assert found == {"go<|endoftext|>", "put<|endoftext|>"}
