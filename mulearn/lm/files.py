"""Files that are trusted only after a check: hashes, stamps, atomic writes."""

from collections.abc import Iterator
import contextlib
import hashlib
import json
import os
import pathlib
import uuid

from absl import logging


class WeightsError(Exception):
  """Weights are missing, damaged or not what they should be."""


def cache_directory() -> pathlib.Path:
  """Returns `$MULEARN_CACHE`, or `~/.cache/mulearn` where it is not set."""
  chosen = os.environ.get("MULEARN_CACHE")
  return pathlib.Path(chosen or "~/.cache/mulearn").expanduser()


@contextlib.contextmanager
def atomic_path(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Gives a temporary neighbour that replaces `path` if all goes well."""
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def sha256(path: pathlib.Path) -> str:
  """Returns the hash of a file, remembered while size and time stay the same.

  Args:
    path: the file.

  Returns:
    64 hexadecimal digits.

  Raises:
    WeightsError: the file cannot be read.
  """
  try:
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    known = _read_stamp(path)
    if known is not None and known["stamp"] == stamp:
      return known["sha256"]
    with path.open("rb") as file:
      digest = hashlib.file_digest(file, "sha256").hexdigest()
  except OSError as error:
    raise WeightsError(
        f"cannot read {path}: {error.strerror}. Give the path of a GGUF file"
        " that exists and may be read."
    ) from error
  _write_stamp(path, {"stamp": stamp, "sha256": digest})
  return digest


def sha256_of_all(directory: pathlib.Path) -> str:
  """Returns a hash of the names and contents of a directory's files."""
  paths = sorted(p for p in directory.iterdir() if p.is_file())
  lines = [f"{path.name} {sha256(path)}" for path in paths]
  return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def verify(path: pathlib.Path, size: int, digest: str, remedy: str) -> None:
  """Checks a file against the size and hash that it must have.

  Args:
    path: the file.
    size: expected bytes.
    digest: expected sha256, hexadecimal.
    remedy: what to do if it differs, a sentence.

  Raises:
    WeightsError: the file differs or cannot be read.
  """
  actual_digest = sha256(path)
  actual_size = path.stat().st_size
  if actual_size != size:
    raise WeightsError(
        f"{path} has {actual_size:,} bytes, expected {size:,}: it is"
        f" truncated or another file. {remedy}"
    )
  if actual_digest != digest:
    raise WeightsError(
        f"{path} has sha256 {actual_digest}, expected {digest}: it is damaged"
        f" or another file. {remedy}"
    )


def _stamp_path(path: pathlib.Path) -> pathlib.Path:
  key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
  return cache_directory() / "verified" / f"{key}.json"


def _read_stamp(path: pathlib.Path) -> dict | None:
  try:
    known = json.loads(_stamp_path(path).read_text())
    return {"stamp": known["stamp"], "sha256": known["sha256"]}
  except (OSError, ValueError, KeyError, TypeError):
    return None


def _write_stamp(path: pathlib.Path, known: dict) -> None:
  try:
    with atomic_path(_stamp_path(path)) as temporary:
      temporary.write_text(json.dumps(known))
  except OSError as error:
    logging.warning("hash of %s is not remembered: %s", path, error)
