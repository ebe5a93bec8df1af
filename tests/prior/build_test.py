"""From a config to a prior."""

import pathlib

import numpy as np
import pytest

from mulearn import lm
from mulearn.config import ModelConfig, PriorConfig
from mulearn.prior import base, build, language

SCORING = language.Scoring("plain", "mean", 1.0)


def test_every_kind_has_its_prior(raw, rooms):
  assert isinstance(build.make_prior("uniform", raw, None), base.UniformPrior)
  right = build.make_prior("language", raw, SCORING)
  wrong = build.make_prior("shuffled", raw, SCORING)
  assert isinstance(right, language.LanguagePrior)
  for x, y in zip(right(rooms), wrong(rooms)):
    np.testing.assert_array_equal(np.sort(x), np.sort(y))


@pytest.mark.parametrize(
    "kind, scoring", [("oracle", SCORING), ("language", None)]
)
def test_impossible_priors_are_named(raw, kind, scoring):
  with pytest.raises(ValueError, match=f"prior.kind is '{kind}'.*uniform"):
    build.make_prior(kind, raw, scoring)


def test_nothing_is_loaded_before_it_is_needed(monkeypatch, tmp_path):
  loaded = []
  monkeypatch.setattr(
      lm, "load", lambda model, dtype: loaded.append((model, dtype))
  )
  one = build.Language(PriorConfig(), tmp_path / "answers.sqlite")
  assert one.raw_scores().num_tokens == 0
  one.embedding(ModelConfig())
  assert not loaded
  one.load()
  one.load()
  assert loaded == [("smollm2-135m", "float32")]


def test_file_of_ones_own_is_named_by_its_content(monkeypatch, tmp_path):
  path = tmp_path / "weights.gguf"
  names = []
  for content in (b"one", b"two", b"one"):
    path.write_bytes(content)
    config = PriorConfig(model=str(path))
    names.append(build.Language(config, tmp_path / "a.sqlite")._name)
  assert names[0] == names[2] != names[1]
  half = build.Language(
      PriorConfig(model=str(path), dtype="bfloat16"), tmp_path / "a.sqlite"
  )
  assert half._name != names[2]


def test_a_directory_is_named_by_what_it_holds(tmp_path):
  small = pathlib.Path(__file__).parents[1] / "testdata" / "hugging_face"
  config = PriorConfig(model=str(small / "llama3"))
  made = build.Language(config, tmp_path / "a.sqlite")
  assert made._name == f"{lm.load(config.model).sha256}:float32"
