"""The real model against Hugging Face transformers on the same file."""

import importlib.util
import pathlib

import numpy as np
import pytest

from mulearn import lm

DATA = pathlib.Path(__file__).parents[1] / "testdata"
NUM_TEXTS = 8
PADDED = 192


@pytest.fixture(scope="module")
def reference():
  with np.load(DATA / "lm_reference.npz") as arrays:
    return dict(arrays)


def texts():
  path = DATA / "make_lm_reference.py"
  spec = importlib.util.spec_from_file_location("make_lm_reference", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.TEXTS


def test_logits(smollm2, reference):
  tokens = np.zeros((NUM_TEXTS, PADDED), np.int32)
  for i in range(NUM_TEXTS):
    ids = reference[f"tokens_{i}"]
    tokens[i, : len(ids)] = ids
  worst = 0.0
  for start in range(0, NUM_TEXTS, 4):
    logits = np.asarray(lm.logits(smollm2, tokens[start : start + 4]))
    for i in range(start, start + 4):
      rows = logits[i - start, reference[f"positions_{i}"]].astype(np.float64)
      total = np.log(np.exp(rows).sum(axis=-1))
      chosen = rows[:, reference["vocabulary"]]
      worst = max(
          worst,
          np.abs(chosen - reference[f"logits_{i}"]).max(),
          np.abs(total - reference[f"logsumexp_{i}"]).max(),
      )
  assert worst <= 2e-3


def test_reference_is_worth_the_name(reference):
  lengths = [len(reference[f"tokens_{i}"]) for i in range(NUM_TEXTS)]
  assert max(lengths) > 180 and max(lengths) <= PADDED
  assert sum(len(reference[f"logits_{i}"]) for i in range(NUM_TEXTS)) > 50


def test_token_ids(smollm2, reference):
  for i, text in enumerate(texts()):
    ids = smollm2.tokenizer.encode(text, special=True)
    assert ids == reference[f"tokens_{i}"].tolist()
    assert smollm2.tokenizer.decode(ids) == text


def test_bfloat16_ranks_like_float32(smollm2):
  rounded = lm.load("smollm2-135m", dtype="bfloat16")
  context = "You hold a dirty sock. Where does it belong? It goes in the"
  things = "fridge|washing machine|oven|wardrobe|dishwasher|bin|garden|laundry"
  candidates = [" " + thing for thing in things.split("|")]
  (exact,) = lm.score(smollm2, [context], [candidates], boundary=".")
  (close,) = lm.score(rounded, [context], [candidates], boundary=".")
  np.testing.assert_allclose(exact, close, atol=0.15)
  assert candidates[int(np.argmax(exact))] in (" laundry", " washing machine")
