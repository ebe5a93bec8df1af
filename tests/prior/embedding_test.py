"""Embeddings are asked once, ever, and the cache knows model and layer."""

import numpy as np
import pytest

from mulearn.prior import embedding as embedding_lib
from mulearn.prior.embedding import Embedding


@pytest.fixture
def encoded(monkeypatch):
  """Texts that the fake encoder was asked for, as it goes on."""
  texts = []

  def encode(model, new, layer):
    assert model == "model"
    texts.extend(new)
    return np.array([[len(t), layer, ord(t[0])] for t in new], np.float32)

  monkeypatch.setattr(embedding_lib.lm, "encode", encode)
  return texts


def test_equal_texts_are_asked_once(encoded, cache):
  embed = Embedding(lambda: "model", "fake", 3, cache)
  rows = embed(["hat", "shoe", "hat"])
  np.testing.assert_array_equal(rows, [[3, 3, 104], [4, 3, 115], [3, 3, 104]])
  assert encoded == ["hat", "shoe"]
  np.testing.assert_array_equal(embed(["lamp", "shoe"])[1], rows[1])
  assert encoded == ["hat", "shoe", "lamp"]


def test_known_texts_need_no_model(encoded, cache):
  expected = Embedding(lambda: "model", "fake", 3, cache)(["hat", "shoe"])

  def load():
    raise AssertionError("The model was loaded.")

  known = Embedding(load, "fake", 3, cache)
  np.testing.assert_array_equal(known(["hat", "shoe"]), expected)
  for other in (
      Embedding(load, "fake", 4, cache),
      Embedding(load, "x", 3, cache),
  ):
    with pytest.raises(AssertionError, match="was loaded"):
      other(["hat"])
