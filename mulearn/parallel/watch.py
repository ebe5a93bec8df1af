"""Looks after the processes of a run, and names the one that is missing.

When a host dies, the others wait in the next meeting of their devices and say
nothing. Here a thread of each process tells the others, through the key-value
store of `jax.distributed`, that it is alive and how many rounds it has begun.
Who is silent for long is lost: the others say so and end, so that whoever
started them can start all again. Who lags behind while the others wait is named
and waited for.
"""

from collections.abc import Callable
import dataclasses
import json
import os
import re
import statistics
import sys
import threading
import time
from typing import Any

from absl import logging
import jax
from jax._src import distributed  # The store has no public name.

_PREFIX = "mulearn/watch/"
# How messages of the runtime begin, whatever the class of the exception.
_STATUS = re.compile(
    "(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED): "
)
_EXIT_CODE = 75  # "Temporary failure": start the same command again.


@dataclasses.dataclass
class _Peer:
  """What is known of a process: what it last said, and when that changed."""

  said: dict[str, Any]
  heard: float


class Watch:
  """Tells of this process and watches the others, between `with` and its end.

  Alone, a process has nobody to watch but itself: rounds that take long are
  still told.
  """

  def __init__(
      self,
      *,
      beat_seconds: float = 2.0,
      lost_seconds: float = 30.0,
      stall_seconds: float = 60.0,
      stall_factor: float = 10.0,
      leave: Callable[[str], None] | None = None,
      agreed: tuple[type[BaseException], ...] = (),
  ):
    """Does not start yet.

    Args:
      beat_seconds: between two signs of life.
      lost_seconds: a process that is silent for this long is lost.
      stall_seconds: a round shorter than this is never called stalled.
      stall_factor: a round that takes so many times the median is.
      leave: ends this process with a message; `leave_at_once` if None.
      agreed: exceptions that all processes raise together, which is no failure.
    """
    self._beat_seconds = beat_seconds
    self._lost_seconds = lost_seconds
    self._stall_seconds = stall_seconds
    self._stall_factor = stall_factor
    self._leave = leave or leave_at_once
    self._agreed = agreed
    self._said: dict[str, Any] = {"beat": 0, "round": 0, "env_steps": 0}
    self._rounds: list[float] = []
    self._began: float | None = None
    self._told = False
    self._end = threading.Event()
    self._thread: threading.Thread | None = None
    self._peers: dict[int, _Peer] = {}

  def __enter__(self) -> "Watch":
    self._thread = threading.Thread(target=self._run, daemon=True)
    self._thread.start()
    return self

  def __exit__(self, kind: Any, error: Any, unused_trace: Any) -> None:
    if self._peers and _has_broken_off(error):
      # Most likely somebody is gone. Who?
      if found := self.missing(self._lost_seconds + 5.0 * self._beat_seconds):
        self._go(found)
    self._end.set()
    if self._thread is not None:
      self._thread.join()
    failed = kind is not None and not issubclass(kind, self._agreed)
    why = f"{kind.__name__}: {error}" if failed else ""
    self._tell(left=True, why=why)

  def begin_round(self, env_steps: int) -> None:
    """Notes that the devices begin a round; the first is not timed."""
    self._began = time.monotonic()
    self._said |= {"round": self._said["round"] + 1, "env_steps": env_steps}

  def end_round(self) -> None:
    """Notes that what was begun has ended."""
    if self._began is not None and self._said["round"] > 2:  # Both compile.
      self._rounds = [*self._rounds[-99:], time.monotonic() - self._began]
    self._began, self._told = None, False

  def missing(self, wait_seconds: float = 0.0) -> str | None:
    """Names a process that is gone, waiting for so long until one is."""
    deadline = time.monotonic() + wait_seconds
    while True:
      if (found := self._missing()) or time.monotonic() >= deadline:
        return found
      self._exchange()
      time.sleep(min(0.5, self._beat_seconds))

  def _run(self) -> None:
    while not self._end.wait(self._beat_seconds):
      self._exchange()
      if (found := self._missing()) is not None:
        self._go(found)
        return
      self._look_for_stall()

  def _go(self, message: str) -> None:
    """Ends this process; that of the store comes last, or others end unheard."""
    if jax.process_index() == 0:
      time.sleep(3.0 * self._beat_seconds)
    self._leave(message)

  def _exchange(self) -> None:
    """Says that this process is alive, and hears who else is."""
    client = distributed.global_state.client
    if client is None:
      return
    self._tell()
    try:
      found = client.key_value_dir_get(_PREFIX)
    except jax.errors.JaxRuntimeError:
      return  # The store is with process 0, which then falls silent.
    now = time.monotonic()
    for key, text in found:
      number, said = int(key.removeprefix(_PREFIX)), json.loads(text)
      if number not in self._peers or self._peers[number].said != said:
        self._peers[number] = _Peer(said, now)

  def _tell(self, **more: Any) -> None:
    client = distributed.global_state.client
    if client is None:
      return
    self._said |= {"beat": self._said["beat"] + 1, **more}
    key = f"{_PREFIX}{jax.process_index()}"
    try:
      client.key_value_set(key, json.dumps(self._said), allow_overwrite=True)
    except jax.errors.JaxRuntimeError:
      pass  # See `_exchange`.

  def _missing(self) -> str | None:
    """Says which process is lost or has failed."""
    now = time.monotonic()
    for number, peer in sorted(self._peers.items()):
      if number == jax.process_index():
        continue
      name = f"Process {number} of {jax.process_count()}"
      if peer.said.get("left"):
        if peer.said["why"]:
          return f"{name} stopped: {peer.said['why']}"
      elif now - peer.heard > self._lost_seconds:
        return (
            f"{name} is lost: nothing was heard of it for"
            f" {now - peer.heard:.0f} s, at environment step"
            f" {peer.said['env_steps']}. It was killed, or its host or its"
            " network is gone. This process stops too; run the same command on"
            " all hosts to go on from the last checkpoint."
        )
    return None

  def _look_for_stall(self) -> None:
    """Warns once of a round that takes far longer than others did."""
    if self._began is None or self._told or len(self._rounds) < 3:
      return
    usual = statistics.median(self._rounds)
    taken = time.monotonic() - self._began
    if taken <= max(self._stall_seconds, self._stall_factor * usual):
      return
    self._told = True
    mine = self._said["round"]
    late = [
        str(number)
        for number, peer in sorted(self._peers.items())
        if peer.said["round"] < mine and not peer.said.get("left")
    ]
    who = (
        f"process {', '.join(late)} has not begun it yet, and the others wait"
        if late
        else "all processes have begun it, so it is compiled, the devices are"
        " at work, or they hang"
    )
    logging.warning(
        "A round takes %.0f s so far, usually %.2f s: %s.", taken, usual, who
    )


def _has_broken_off(error: BaseException | None) -> bool:
  """Whether a meeting of devices failed, which JAX tells in several ways."""
  while error is not None:
    if isinstance(error, jax.errors.JaxRuntimeError):
      return True
    if _STATUS.match(str(error)):
      return True
    error = error.__cause__ or error.__context__
  return False


def leave_at_once(message: str) -> None:
  """Ends this process without waiting for others, who may never come."""
  print(message, file=sys.stderr, flush=True)
  sys.stdout.flush()
  os._exit(_EXIT_CODE)
