"""What the language model has said before, kept on disk.

One SQLite file of (key, value) blobs: safe under kill at any moment, and under
several processes. Keys are SHA-256 digests of everything that decides a value
(model, prompt, context, action), so a stale answer cannot be found.
"""

from collections.abc import Iterable, Mapping, Sequence
import hashlib
import os
import pathlib
import sqlite3

import numpy as np


def default_directory() -> pathlib.Path:
  """`$MULEARN_CACHE`, or `~/.cache/mulearn`."""
  return pathlib.Path(
      os.environ.get("MULEARN_CACHE", "~/.cache/mulearn")
  ).expanduser()


def digest(*parts: str) -> bytes:
  """A key of 32 bytes; parts are delimited, so ("a", "b") is not ("ab",)."""
  hasher = hashlib.sha256()
  for part in parts:
    data = part.encode()
    hasher.update(len(data).to_bytes(8, "little"))
    hasher.update(data)
  return hasher.digest()


class Cache:
  """A persistent mapping from digests to float32 vectors."""

  def __init__(self, path: pathlib.Path | str):
    """Opens or creates the file at `path`; ":memory:" keeps nothing.

    A file that is not a database is set aside and begun anew: all it held can
    be computed again.
    """
    self._path = str(path)
    if self._path != ":memory:":
      pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
      self._open()
    except sqlite3.DatabaseError:
      os.replace(self._path, self._path + ".damaged")
      self._open()

  def _open(self) -> None:
    self._database = sqlite3.connect(self._path, timeout=60.0)
    self._database.execute("PRAGMA journal_mode=WAL")
    self._database.execute("PRAGMA synchronous=NORMAL")
    self._database.execute(
        "CREATE TABLE IF NOT EXISTS answers"
        " (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
    )
    self._database.commit()

  def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
    """The vectors that are known, by key."""
    found: dict[bytes, np.ndarray] = {}
    unique = list(dict.fromkeys(keys))
    for start in range(0, len(unique), 500):
      chunk = unique[start : start + 500]
      marks = ",".join("?" * len(chunk))
      rows = self._database.execute(
          f"SELECT key, value FROM answers WHERE key IN ({marks})", chunk
      )
      found.update((k, np.frombuffer(v, np.float32)) for k, v in rows)
    return found

  def put(self, values: Mapping[bytes, Iterable[float]]) -> None:
    """Adds vectors; all of them are on disk, or none."""
    rows = [
        (key, np.asarray(value, np.float32).tobytes())
        for key, value in values.items()
    ]
    with self._database:
      self._database.executemany(
          "INSERT OR REPLACE INTO answers VALUES (?, ?)", rows
      )

  def close(self) -> None:
    """Closes the file."""
    self._database.close()
