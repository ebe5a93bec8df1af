"""From a config to a prior."""

import pathlib
import tempfile

import numpy as np
import pytest

from mulearn import lm
from mulearn.config import ModelConfig, PriorConfig
from mulearn.prior import base, build, language

_SMALL = pathlib.Path(__file__).parents[1] / "testdata/hugging_face/llama3"
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


@pytest.mark.parametrize("size", [0, 9])
def test_a_host_shares_the_model_among_its_devices_only(size, tmp_path):
  config = PriorConfig(num_devices=size)
  with pytest.raises(ValueError, match=rf"num_devices is {size}.* host has"):
    build.Language(config, tmp_path / "answers.sqlite").load()


def test_devices_of_a_host_share_the_model(run_on_devices):
  """See `_on_two_devices`."""
  assert run_on_devices(2, __file__) == "passed"


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
  config = PriorConfig(model=str(_SMALL))
  made = build.Language(config, tmp_path / "a.sqlite")
  assert made._name == f"{lm.load(config.model).sha256}:float32"


def _on_two_devices(directory: pathlib.Path) -> None:
  found = []
  for size in (1, 2):
    config = PriorConfig(model=str(_SMALL), num_devices=size)
    made = build.Language(config, directory / f"{size}.sqlite")
    scores = made.raw_scores()(
        "plain", ["A door.", "A long corridor."], [["go", "look at it"], ["go"]]
    )
    nats = [row for each in scores for row in each.token_log_probs]
    embedded = made.embedding(ModelConfig(layer=1))(["a hat", "two hats"])
    found.append([*nats, embedded])
    query = made.load().params.blocks[0].attention.q
    shards = query[...].addressable_shards
    assert [s.data.shape for s in shards] == [
        (query.shape[0], query.shape[1] // size)
    ] * size
  for one, two in zip(*found):
    np.testing.assert_allclose(one, two, atol=1e-5)
  print("passed")


if __name__ == "__main__":
  with tempfile.TemporaryDirectory() as directory:
    _on_two_devices(pathlib.Path(directory))
