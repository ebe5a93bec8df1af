"""The parent's end of a worker process of `env.pool`.

The child is a fresh interpreter that runs `mulearn.env.worker` and nothing of
the program that started it: neither its main module nor JAX.
"""

import contextlib
from multiprocessing import connection
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
from typing import Any

from mulearn.env import worker

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class WorkerProcess:
  """A worker process; it may be killed and started again."""

  def __init__(self, send_timeout_seconds: float):
    self._send_timeout_seconds = send_timeout_seconds
    self._process: subprocess.Popen[bytes] | None = None
    self._jvm_pid: int | None = None
    self.channel: connection.Connection | None = None

  @property
  def pid(self) -> int | None:
    """Process id; None before the start and after the end."""
    return self._process.pid if self._process else None

  @property
  def jvm_pid(self) -> int | None:
    """Process id of the worker's JVM, once it has reported it."""
    return self._jvm_pid

  def start(self, setup: worker.Setup) -> None:
    """Starts the process; it reports on the channel when it is ready."""
    ours, theirs = socket.socketpair()
    # A stopped child does not read: writing to it must not hang us.
    seconds, fraction = divmod(self._send_timeout_seconds, 1.0)
    timeout = struct.pack("ll", int(seconds), int(fraction * 1e6))
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    with theirs:
      self._process = subprocess.Popen(
          [sys.executable, "-m", worker.__name__, str(theirs.fileno())],
          pass_fds=(theirs.fileno(),),
          stdin=subprocess.DEVNULL,
          env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
      )
    self.channel = connection.Connection(ours.detach())
    with contextlib.suppress(OSError):  # The end of the channel will tell.
      self.channel.send(setup)

  def send(self, message: Any) -> bool:
    """Sends a message; False if nobody can be reading."""
    if self.channel is None:
      return False
    try:
      self.channel.send(message)
    except OSError:
      return False
    return True

  def receive(self) -> tuple[str, Any] | None:
    """Receives a message; None if the process has ended."""
    if self.channel is None:
      return None
    try:
      kind, content = self.channel.recv()
    except (EOFError, OSError):
      return None
    if kind == "ready":
      self._jvm_pid = content
    return kind, content

  def hang_up(self) -> None:
    """Ends the channel, upon which the worker ends its JVM and itself."""
    if self.channel is not None:
      self.channel.close()

  def end(self, timeout_seconds: float) -> int | None:
    """Waits for a process that is about to end, then kills it; see `kill`."""
    if self._process is not None:
      with contextlib.suppress(subprocess.TimeoutExpired):
        self._process.wait(timeout_seconds)
    return self.kill()

  def kill(self) -> int | None:
    """Kills the process and its JVM, and reaps it.

    Returns:
      The exit code, negative for a signal; None if it was not running.
    """
    if self._process is None:
      return None
    code = self._process.poll()
    if code is None and self._jvm_pid is not None:
      # The JVM ends with the worker, unless it hangs itself.
      with contextlib.suppress(ProcessLookupError):
        os.kill(self._jvm_pid, signal.SIGKILL)
    self._process.kill()
    self._process.wait()
    self.hang_up()
    self._process = self._jvm_pid = None
    return code
