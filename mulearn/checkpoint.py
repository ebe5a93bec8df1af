"""Saves everything that decides the next step, and continues from it.

The same command, started again after a stop or a kill, resumes in this order:

1. The config is compared with the checkpoint's: the names, shapes and dtypes
   of all arrays must be those that this config builds (`restore` checks it
   before it reads an array).
2. Arrays: parameters, optimiser and replay, placed and sharded as the new
   run placed its own.
3. Counters: environment steps, optimiser steps, clocks.
4. Environments: the games' histories of commands are replayed, and what the
   lanes observe then must be what was recorded.
5. Random keys come last, because building 1 to 4 drew from fresh ones.
6. Metrics after the restored step are dropped, since they will come again.

A checkpoint is one Orbax directory, `<step>` (`<step>.1` for a second one of
the same step), that appears whole by a rename or not at all; `snapshot.py`
says what is in it. Several processes, of several hosts, save and restore
together: each writes and reads its own parts of the arrays, the first of them
names, renames and removes.
"""

from collections.abc import Callable, Mapping
import errno
import json
import os
import re
import shutil
import signal
import types
from typing import Any

from absl import logging
from etils import epath

from mulearn import snapshot
from mulearn.parallel import hosts
from mulearn.types import PyTree

# Step and, where a step was saved again, how often.
_NAME = re.compile(r"\d+(\.\d+)?")
_LEFTOVERS = (".orbax-checkpoint-tmp", ".deleted")
_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK_FULL_TEXTS = tuple(os.strerror(e) for e in _DISK_FULL_ERRNOS)


class CheckpointError(RuntimeError):
  """A checkpoint could not be written or read; the message says what to do."""


class Checkpointer:
  """The checkpoints of one run, the newest `keep` of them kept."""

  def __init__(self, directory: str | os.PathLike[str], *, keep: int = 2):
    """Opens or creates the directory.

    Args:
      directory: where the checkpoints are, local or on a bucket.
      keep: number of good checkpoints to keep; 2 or more lets a damaged one
        be survived.

    Raises:
      CheckpointError: if the directory cannot be made.
    """
    if keep < 1:
      raise ValueError(f"keep is {keep}, but at least 1 must be kept.")
    text = os.fspath(directory)
    self.directory = epath.Path(
        text if "://" in text else os.path.abspath(text)
    )
    self._keep = keep
    self._damaged: set[str] = set()
    self._begun: tuple[int, Callable[[], None]] | None = None
    try:
      self.directory.mkdir(parents=True, exist_ok=True)
    except OSError as e:
      raise CheckpointError(
          f"Cannot create the checkpoint directory {self.directory}: {e}."
          " Choose another with --workdir."
      ) from e

  def __enter__(self) -> "Checkpointer":
    return self

  def __exit__(self, unused_kind: Any, error: Any, unused_trace: Any) -> None:
    """`close`, which hides no error that came before."""
    try:
      self.close()
    except CheckpointError as e:
      if error is None:
        raise
      logging.error("%s", e)

  def save(
      self,
      step: int,
      arrays: PyTree,
      host: Mapping[str, Any],
      *,
      wait: bool = True,
  ) -> None:
    """Writes one checkpoint; it will exist whole or not at all.

    Args:
      step: number that names the checkpoint and orders it among the others.
      arrays: pytree of JAX or NumPy arrays, `jax.random` keys or numbers; free
        to be changed or donated afterwards.
      host: everything else; a dict that JSON can hold (tuples come back as
        lists).
      wait: until it is there; else a thread writes on, and the next call of
        `save`, `finish` or `close` waits for it.

    Raises:
      CheckpointError: if the disk is full or this write or the one before
        failed otherwise; earlier checkpoints stay usable.
      TypeError: if `host` holds something that JSON cannot.
    """
    self.finish()
    _check_json(host)
    try:
      self._remove_leftovers()
      path = self.directory / hosts.share(self._free_name(step))
      finish = snapshot.begin(path, arrays, host, copies=not wait)
      self._begun = (step, finish)
    except Exception as e:
      self._remove_leftovers()
      raise self._save_error(step, e) from e
    if wait:
      self.finish()

  def finish(self) -> None:
    """Waits for a save that was begun; all processes at once.

    Raises:
      CheckpointError: it failed; earlier checkpoints stay usable.
    """
    if self._begun is None:
      return
    (step, wait), self._begun = self._begun, None
    try:
      wait()
    except Exception as e:
      self._remove_leftovers()
      raise self._save_error(step, e) from e
    self._prune()

  def restore(
      self, like: PyTree, *, step: int | None = None, partial: bool = False
  ) -> tuple[int, PyTree, dict[str, Any]] | None:
    """Reads the newest checkpoint that is whole, or the newest of a step.

    Args:
      like: pytree with the structure, shapes, dtypes and placement wanted:
        arrays, or a `jax.ShapeDtypeStruct` with a sharding for each.
      step: only a checkpoint of this step will do; None takes any.
      partial: the arrays of `like` are some of those that were saved, by name,
        and nothing is asked of the others.

    Returns:
      The step, the arrays as in `like`, and the host's dict; None where
      nothing has been saved.

    Raises:
      CheckpointError: if the checkpoint belongs to another config, if there is
        none of that step, or if none of the checkpoints can be read.
    """
    self.finish()
    reasons = []
    names = self.names() if step is None else self._names_of(step)
    for name in reversed(hosts.share(names)):
      path = self.directory / name
      try:
        host, manifest = _together(snapshot.read_host, path)
        different = snapshot.differences(manifest, like, partial=partial)
        if not different:
          named = _together(snapshot.load, path, manifest, like)
          arrays = snapshot.verified(named, manifest, like)
      except Exception as e:  # Damage takes any form.
        reasons.append(self._set_aside(name, e))
        continue
      if different:
        raise _config_error(path, different)
      return _order(name)[0], arrays, host
    if reasons:
      raise CheckpointError(
          f"None of the checkpoints in {self.directory} can be read: "
          + " ".join(reasons)
          + " Remove the directory to start over, or choose another --workdir."
      )
    return None

  def latest_step(self) -> int | None:
    """The step of the newest checkpoint not known to be damaged, or None."""
    names = [n for n in self.names() if n not in self._damaged]
    return _order(names[-1])[0] if names else None

  def close(self) -> None:
    """Finishes, and removes what an interrupted save left."""
    self.finish()
    self._remove_leftovers()

  def names(self) -> list[str]:
    """The checkpoints, damaged ones included, from the oldest on."""
    names = [p.name for p in self.directory.iterdir()]
    return sorted(filter(_NAME.fullmatch, names), key=_order)

  def steps(self) -> list[int]:
    """The steps of which there are checkpoints, from the first on."""
    return sorted({_order(name)[0] for name in self.names()})

  def _names_of(self, step: int) -> list[str]:
    names = [n for n in self.names() if _order(n)[0] == step]
    if not names:
      steps = ", ".join(map(str, self.steps())) or "no step at all"
      raise CheckpointError(
          f"{self.directory} has no checkpoint of step {step}; it has those of"
          f" {steps}. A run keeps the"
          " newest --config.num_checkpoints of them."
      )
    return names

  def _free_name(self, step: int) -> str:
    # Never written over: between removing the old one and finishing the new
    # one, a kill would lose both.
    repeats = [n for s, n in map(_order, self.names()) if s == step]
    return f"{step}.{max(repeats) + 1}" if repeats else str(step)

  def _set_aside(self, name: str, error: Exception) -> str:
    self._damaged.add(name)
    reason = f"{self.directory / name} is damaged ({_one_line(error)})."
    logging.warning("%s The one before it is used.", reason)
    return reason

  def _save_error(self, step: int, error: Exception) -> CheckpointError:
    newest = self.latest_step()
    rest = (
        "No earlier checkpoint exists."
        if newest is None
        else f"The checkpoint of step {newest} is untouched and will be used."
    )
    if not _is_disk_full(error):
      return CheckpointError(
          f"Could not save step {step} in {self.directory}: {_one_line(error)}."
          f" {rest}"
      )
    free = shutil.disk_usage(self.directory).free
    return CheckpointError(
        f"The disk is full: could not save step {step} in {self.directory}, where"
        f" {free} bytes are free. Free some space (or move the --workdir to a"
        f" larger disk) and run the same command again. {rest}"
    )

  def _prune(self) -> None:
    good = [n for n in self.names() if n not in self._damaged]
    for name in [*good[: -self._keep], *self._damaged]:
      if hosts.is_leader() and (self.directory / name).exists():
        # Renamed first, so that a kill never leaves half a checkpoint behind.
        (self.directory / name).rename(self.directory / f"{name}.deleted")
    self._damaged.clear()
    self._remove_leftovers()

  def _remove_leftovers(self) -> None:
    if hosts.is_leader():
      for path in self.directory.iterdir():
        if any(mark in path.name for mark in _LEFTOVERS):
          path.rmtree(missing_ok=True)


class SignalGuard:
  """Turns SIGTERM and Ctrl-C into a wish to stop, so that the loop can save.

  A second Ctrl-C interrupts, and a checkpoint that is being written is then
  waited for. Outside the main thread, where Python delivers no signals, it does
  nothing.

  Attributes:
    stop: True once a signal has come.
  """

  def __init__(self) -> None:
    self.stop = False
    self._previous: dict[int, Any] = {}

  def __enter__(self) -> "SignalGuard":
    for number in (signal.SIGINT, signal.SIGTERM):
      try:
        self._previous[number] = signal.signal(number, self._handle)
      except ValueError:  # Not the main thread.
        break
    return self

  def __exit__(self, *unused_error: Any) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _handle(self, number: int, unused_frame: types.FrameType | None) -> None:
    if self.stop and number == signal.SIGINT:
      raise KeyboardInterrupt
    self.stop = True
    logging.warning(
        "%s: saving, then stopping. Ctrl-C again stops without another save.",
        signal.Signals(number).name,
    )


def _together(read: Callable[..., Any], *arguments: Any) -> Any:
  """What is read, or an error in all processes if one of them has one.

  Else those that go on would wait for the one that does not, for ever.
  """
  found, error = None, None
  try:
    found = read(*arguments)
  except Exception as e:
    error = e
  if any(hosts.any_of([error is not None])):
    raise error or ValueError("another process could not read it")
  return found


def _order(name: str) -> tuple[int, int]:
  """Step and repeat of a checkpoint's name."""
  step, _, repeat = name.partition(".")
  return int(step), int(repeat or "0")


def _check_json(host: Mapping[str, Any]) -> None:
  try:
    json.dumps(host)
  except (TypeError, ValueError) as e:
    raise TypeError(
        f"The host part of a checkpoint must be a dict that JSON can hold: {e}."
        " Pass arrays as `arrays`."
    ) from e


def _config_error(path: epath.Path, different: list[str]) -> CheckpointError:
  return CheckpointError(
      f"{path} was written with another config: {len(different)} of its arrays"
      f" differ, {'; '.join(different[:3])}. Run with the config it was written"
      " with, or choose another --workdir."
  )


def _is_disk_full(error: BaseException | None) -> bool:
  while error is not None:
    if getattr(error, "errno", None) in _DISK_FULL_ERRNOS:
      return True
    if any(text in str(error) for text in _DISK_FULL_TEXTS):
      return True
    error = error.__cause__ or error.__context__
  return False


def _one_line(error: Exception) -> str:
  return f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " ")
