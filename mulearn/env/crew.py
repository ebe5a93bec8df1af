"""Asks worker processes, and starts them again when they die or hang.

Each request is sent to the workers concerned at once; their answers are taken
as they come. A worker that fails is replaced by a new process, which first
replays its lanes and then gets the same request again.
"""

from collections.abc import Callable
import dataclasses
from multiprocessing import connection
import time
from typing import Any

from absl import logging

from mulearn.env import base, process
from mulearn.env import worker as worker_lib

_MAX_RESTARTS = 3
# A worker that is well ends its JVM and itself in a fraction of this.
_END_SECONDS = 3.0


@dataclasses.dataclass
class _Pending:
  """What is awaited of a worker.

  Attributes:
    message: the request; None while only its start is awaited.
    deadline: when it is taken for hung, in seconds of the monotonic clock.
    num_restarts: how often it was started again within this request.
  """

  message: tuple[str, dict[int, Any]] | None
  deadline: float
  num_restarts: int = 0


class Crew:
  """Worker processes under supervision."""

  def __init__(
      self,
      num_workers: int,
      setup: Callable[[int], worker_lib.Setup],
      *,
      timeout_seconds: float,
      start_timeout_seconds: float,
  ):
    """Starts the workers and waits until they are ready.

    Args:
      num_workers: how many processes.
      setup: gives the present setup of a worker, whenever one is started.
      timeout_seconds: a worker that takes longer for one request has hung.
      start_timeout_seconds: the same for starting, replaying included.

    Raises:
      OSError: a worker cannot start its JVM.
      ValueError: the game refuses its settings.
    """
    self._setup = setup
    self._timeout_seconds = timeout_seconds
    self._start_timeout_seconds = start_timeout_seconds
    self._closed = False
    self.workers = [
        process.WorkerProcess(timeout_seconds) for _ in range(num_workers)
    ]
    try:
      self._await({i: self._start(i) for i in range(num_workers)})
    except BaseException:
      self.close()
      raise

  def request(
      self, kind: str, jobs: dict[int, dict[int, Any]]
  ) -> dict[int, worker_lib.Answer]:
    """Sends a request to workers and gathers the answers.

    Args:
      kind: see `worker.Games.answer`.
      jobs: for each worker's index its requests by key; keys are unique.

    Returns:
      An answer for each key.

    Raises:
      WorkerFailedError: a worker failed again and again.
    """
    if self._closed:
      raise RuntimeError("The pool is closed; make a new one.")
    pending = {}
    for index, requests in jobs.items():
      message = (kind, requests)
      if self.workers[index].pid is None:
        pending[index] = self._start(index, message)
      else:
        # A send that fails shows as the end of the channel.
        self.workers[index].send(message)
        pending[index] = _Pending(message, self._after(self._timeout_seconds))
    return self._await(pending)

  def close(self) -> None:
    """Ends all workers; harmless when repeated."""
    self._closed = True
    for worker in self.workers:
      worker.hang_up()
    deadline = self._after(_END_SECONDS)
    for worker in self.workers:
      worker.end(max(0.0, deadline - time.monotonic()))

  def _await(
      self, pending: dict[int, _Pending]
  ) -> dict[int, worker_lib.Answer]:
    """Gathers the answers of all workers that owe one."""
    answers: dict[int, worker_lib.Answer] = {}
    failures: list[str] = []
    try:
      while pending:
        for index in self._wait(pending):
          received = self.workers[index].receive()
          if received is None:
            # The channel may end a moment before the process does.
            code = self.workers[index].end(_END_SECONDS)
            reason = f"died (exit code {code})"
            failures += self._restart(index, pending, reason)
          else:
            self._take(index, pending, *received, answers)
        now = time.monotonic()
        for index in [i for i, p in pending.items() if p.deadline <= now]:
          self.workers[index].kill()
          failures += self._restart(index, pending, "did not answer in time")
    except BaseException:
      # Whoever still owes an answer must not give it to the next request.
      for index in pending:
        self.workers[index].kill()
      raise
    if failures:
      raise base.WorkerFailedError("\n".join(failures), answers)
    return answers

  def _wait(self, pending: dict[int, _Pending]) -> list[int]:
    """Waits for messages, at most until the first deadline."""
    channels: dict[Any, int] = {
        self.workers[index].channel: index for index in pending
    }
    deadline = min(waiting.deadline for waiting in pending.values())
    seconds = max(0.0, deadline - time.monotonic())
    return [channels[ready] for ready in connection.wait(channels, seconds)]

  def _take(
      self,
      index: int,
      pending: dict[int, _Pending],
      kind: str,
      content: Any,
      answers: dict[int, worker_lib.Answer],
  ) -> None:
    """Takes one message of a worker."""
    if kind == "refused":
      raise content
    if kind == "ready" and pending[index].message is not None:
      self.workers[index].send(pending[index].message)
      pending[index].deadline = self._after(self._timeout_seconds)
      return
    if kind == "answers":
      answers.update(content)
    del pending[index]

  def _restart(
      self, index: int, pending: dict[int, _Pending], reason: str
  ) -> list[str]:
    """Replaces an ended worker; gives up, and says so, after too many times."""
    waiting, setup = pending[index], self._setup(index)
    if waiting.num_restarts == _MAX_RESTARTS:
      del pending[index]
      what = waiting.message[0] if waiting.message else "start"
      failure = (
          f"Text worker {index} {reason} once more after"
          f" {_MAX_RESTARTS} restarts within one request ({what}). Its games"
          f" were {setup.histories or 'not begun'} of {setup.spec}; leave these"
          " seeds out, or raise timeout_seconds if the machine is slow."
      )
      return [failure]
    logging.warning(
        "Text worker %d (lanes %s) %s; starting it again and replaying its"
        " games.",
        index,
        ", ".join(map(str, setup.lanes)),
        reason,
    )
    restarted = self._start(index, waiting.message)
    restarted.num_restarts = waiting.num_restarts + 1
    pending[index] = restarted
    return []

  def _start(
      self, index: int, message: tuple[str, dict[int, Any]] | None = None
  ) -> _Pending:
    """Starts a worker, which gets the message when it is ready."""
    self.workers[index].start(self._setup(index))
    return _Pending(message, self._after(self._start_timeout_seconds))

  def _after(self, seconds: float) -> float:
    """The monotonic clock so many seconds from now."""
    return time.monotonic() + seconds
