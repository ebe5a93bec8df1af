"""The real models against Hugging Face transformers on the same files."""

import importlib.util
import pathlib

import jax
import numpy as np
import pytest

from mulearn import lm

DATA = pathlib.Path(__file__).parents[1] / "testdata"
# Texts of like length share a compiled shape.
LENGTHS = (192, 720)
NUM_GREEDY = 48


def script(name):
  spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


SCRIPT = script("make_lm_reference")
NUM_TEXTS, NUM_PROMPTS = len(SCRIPT.TEXTS), len(SCRIPT.PROMPTS)


@pytest.fixture(scope="module")
def reference(real_model):
  with np.load(DATA / f"lm_reference_{real_model.name}.npz") as arrays:
    return dict(arrays)


@jax.jit
def logits_at(decoder, tokens, rows, places):
  """Logits `[N, V]` at N places of a batch, since all would be gigabytes."""
  batch, length = tokens.shape
  positions = np.broadcast_to(np.arange(length), (batch, length))
  mask = np.tril(np.ones((batch, length, length), bool))
  hidden, _ = decoder(tokens, positions, mask)
  return decoder.unembed(hidden[rows, places])


def test_logits(real_model, reference):
  groups = {}
  for i in range(NUM_TEXTS):
    size = len(reference[f"tokens_{i}"])
    groups.setdefault(next(n for n in LENGTHS if size <= n), []).append(i)
  for length, members in groups.items():
    tokens = np.zeros((len(members), length), np.int32)
    for row, i in enumerate(members):
      ids = reference[f"tokens_{i}"]
      tokens[row, : len(ids)] = ids
    places = [reference[f"positions_{i}"] for i in members]
    rows = np.repeat(np.arange(len(members)), [len(p) for p in places])
    logits = np.asarray(
        logits_at(real_model.params, tokens, rows, np.concatenate(places))
    )
    for row, i in enumerate(members):
      ours = logits[rows == row].astype(np.float64)
      chosen = ours[:, reference["vocabulary"]]
      assert np.abs(chosen - reference[f"logits_{i}"]).max() <= 2e-3
      top = np.take_along_axis(ours, reference[f"top_{i}"], axis=1)
      assert np.abs(top - reference[f"top_logits_{i}"]).max() <= 2e-3
      total = np.log(np.exp(ours).sum(axis=-1))
      assert np.abs(total - reference[f"logsumexp_{i}"]).max() <= 2e-3


def test_greedy_tokens(real_model, reference):
  """Each of 48 tokens on 10 prompts is our likeliest after those before it."""
  texts = [
      np.concatenate([reference[f"prompt_{i}"], reference[f"greedy_{i}"]])
      for i in range(NUM_PROMPTS)
  ]
  tokens = np.zeros((NUM_PROMPTS, max(map(len, texts))), np.int32)
  for i, ids in enumerate(texts):
    tokens[i, : len(ids)] = ids
  for i, ids in enumerate(texts):
    places = np.arange(len(ids) - 1 - NUM_GREEDY, len(ids) - 1)
    rows = np.zeros(NUM_GREEDY, np.int32)
    logits = logits_at(real_model.params, tokens[i : i + 1], rows, places)
    np.testing.assert_array_equal(logits.argmax(-1), reference[f"greedy_{i}"])


def test_reference_is_worth_the_name(reference):
  lengths = [len(reference[f"tokens_{i}"]) for i in range(NUM_TEXTS)]
  assert NUM_TEXTS >= 12 and NUM_PROMPTS >= 10
  assert max(lengths) > 512 + 32, "one must reach beyond Gemma's window"
  assert sum(len(reference[f"logits_{i}"]) for i in range(NUM_TEXTS)) > 80
  assert all(
      len(reference[f"greedy_{i}"]) == NUM_GREEDY for i in range(NUM_PROMPTS)
  )


def test_token_ids(real_model, reference):
  tokenizer = real_model.tokenizer
  for i, text in enumerate(SCRIPT.TEXTS):
    ids = tokenizer.encode(text, special=True)
    size = SCRIPT.MAX_TOKENS - len(tokenizer.start_ids)
    assert tokenizer.start_ids + ids[:size] == reference[f"tokens_{i}"].tolist()
    assert tokenizer.decode(ids) == text


def test_token_ids_of_fuzzed_and_tricky_texts(real_model):
  texts = script("make_tokenizer_reference").texts()
  with np.load(DATA / f"tokens_{real_model.name}.npz") as arrays:
    ids, lengths = arrays["ids"], arrays["lengths"]
  assert len(texts) == len(lengths) == 3500
  expected = np.split(ids, np.cumsum(lengths)[:-1])
  for text, row in zip(texts, expected):
    assert real_model.tokenizer.encode(text) == row.tolist(), repr(text)


def test_bfloat16_ranks_like_float32(smollm2):
  rounded = lm.load("smollm2-135m", dtype="bfloat16")
  context = "You hold a dirty sock. Where does it belong? It goes in the"
  things = "fridge|washing machine|oven|wardrobe|dishwasher|bin|garden|laundry"
  candidates = [" " + thing for thing in things.split("|")]
  (exact,) = lm.score(smollm2, [context], [candidates], boundary=".")
  (close,) = lm.score(rounded, [context], [candidates], boundary=".")
  np.testing.assert_allclose(exact, close, atol=0.15)
  assert candidates[int(np.argmax(exact))] in (" laundry", " washing machine")
