"""Many text games in a few worker processes.

A lane is one game with a name; the pool keeps its history (seed, fold,
commands), which is all that rebuilds it. A worker that dies or hangs is started
again and its lanes are replayed, while the other workers go on.
"""

import dataclasses
from typing import Any, Self

from mulearn.env import base, crew, jvm, text
from mulearn.env import spares as spares_lib
from mulearn.env import worker as worker_lib


@dataclasses.dataclass
class _Lane:
  """What the parent knows of a lane."""

  history: base.History
  last: base.TextStep


class TextPool:
  """Steps many games of one family; a context manager.

  Not thread-safe. Lanes are numbered from 0; lane `i` lives in worker
  `i % num_processes`.
  """

  def __init__(
      self,
      spec: base.GameSpec,
      num_games: int,
      num_processes: int,
      *,
      num_spares: int = 8,
      timeout_seconds: float = 60.0,
      start_timeout_seconds: float = 120.0,
  ):
    """Starts the workers.

    Args:
      spec: the family of games.
      num_games: number of lanes.
      num_processes: number of worker processes, each with one JVM.
      num_spares: number of spare games in each worker, for `branch`.
      timeout_seconds: a worker that takes longer for one request has hung.
      start_timeout_seconds: the same for starting, replaying included.

    Raises:
      JavaNotFoundError: there is no Java runtime.
      ValueError: a number is out of range, or the game refuses its settings.
    """
    if min(num_games, num_processes, num_spares) < 1:
      raise ValueError(
          "num_games, num_processes and num_spares must be at least 1, got"
          f" {num_games}, {num_processes} and {num_spares}."
      )
    # Missing software is reported here, once, and not by every worker.
    jvm.find_jar()
    jvm.find_java()
    num_processes = min(num_processes, num_games)
    self._spec = spec
    self._num_games = num_games
    self._num_processes = num_processes
    self._num_spares = num_spares
    self._lanes: dict[int, _Lane] = {}
    self._spares = spares_lib.Spares(num_processes, num_spares)
    self._crew = crew.Crew(
        num_processes,
        self._setup,
        timeout_seconds=timeout_seconds,
        start_timeout_seconds=start_timeout_seconds,
    )

  @property
  def worker_pids(self) -> tuple[int | None, ...]:
    """Process id of each worker."""
    return tuple(worker.pid for worker in self._crew.workers)

  @property
  def jvm_pids(self) -> tuple[int | None, ...]:
    """Process id of each worker's JVM."""
    return tuple(worker.jvm_pid for worker in self._crew.workers)

  def reset(
      self, starts: dict[int, tuple[int, str]]
  ) -> dict[int, base.TextStep]:
    """Starts new games.

    Args:
      starts: for each lane the seed and the fold.

    Returns:
      For each lane the first step.

    Raises:
      ValueError: a lane, a seed or a fold does not exist; nothing was reset.
      WorkerFailedError: a worker failed again and again.
    """
    return self.restore_all(
        {lane: (seed, fold, ()) for lane, (seed, fold) in starts.items()}
    )

  def step(self, commands: dict[int, str]) -> dict[int, base.TextStep]:
    """Gives one command in each of the lanes named.

    Args:
      commands: for each lane one of its admissible commands.

    Returns:
      For each lane what the game answered.

    Raises:
      RuntimeError: a lane was never reset, or its game is over.
      ValueError: a command is not admissible; nothing was stepped.
      WorkerFailedError: a worker failed again and again.
    """
    for lane, command in commands.items():
      self._check_lane(lane)
      last = self._lanes[lane].last if lane in self._lanes else None
      text.check_command(last, command)
    histories = {}
    for lane, command in commands.items():
      seed, fold, past = self._lanes[lane].history
      histories[lane] = (seed, fold, past + (command,))
    return self._move("step", commands, histories)

  def restore(
      self, lane: int, seed: int, fold: str, commands: tuple[str, ...]
  ) -> base.TextStep:
    """Brings a lane to a history, by resetting it and replaying.

    Args:
      lane: which lane.
      seed: the game's seed.
      fold: the fold it belongs to.
      commands: what to replay.

    Returns:
      The last step.

    Raises:
      ValueError: the history cannot be replayed.
    """
    return self.restore_all({lane: (seed, fold, tuple(commands))})[lane]

  def restore_all(
      self, histories: dict[int, base.History]
  ) -> dict[int, base.TextStep]:
    """Brings many lanes to histories, all workers at once; see `restore`."""
    for lane, (seed, fold, _) in histories.items():
      self._check_lane(lane)
      base.check_seed(seed, fold)
    histories = {
        lane: (seed, fold, tuple(commands))
        for lane, (seed, fold, commands) in histories.items()
    }
    return self._move("restore", histories, histories)

  def history(self, lane: int) -> base.History:
    """Returns what rebuilds a lane: seed, fold and commands.

    Args:
      lane: which lane.

    Raises:
      RuntimeError: the lane was never reset.
    """
    self._check_lane(lane)
    if lane not in self._lanes:
      raise RuntimeError(f"Lane {lane} has no history; reset it first.")
    return self._lanes[lane].history

  def branch(self, histories: list[base.History]) -> list[base.TextStep]:
    """Evaluates arbitrary histories on spare games; lanes are untouched.

    A spare game that stands on a prefix of a history continues from there, so
    that following a path costs one step at a time.

    Args:
      histories: seed, fold and commands of each; they may be equal.

    Returns:
      The last step of each history.

    Raises:
      ValueError: a history cannot be played.
      RuntimeError: a history goes on after the end of the game.
      WorkerFailedError: a worker failed again and again.
    """
    histories = [(seed, fold, tuple(past)) for seed, fold, past in histories]
    for seed, fold, _ in histories:
      base.check_seed(seed, fold)
    jobs: dict[int, dict[int, tuple[int, base.History]]] = {}
    slots = self._spares.assign(histories)
    for i, (history, (index, slot)) in enumerate(zip(histories, slots)):
      jobs.setdefault(index, {})[i] = (slot, history)
    steps = _steps(self._crew.request("branch", jobs))
    return [steps[i] for i in range(len(histories))]

  def close(self) -> None:
    """Ends all processes; harmless when repeated."""
    self._crew.close()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exc_info) -> None:
    self.close()

  def _check_lane(self, lane: int) -> None:
    """Raises ValueError if there is no such lane."""
    if not 0 <= lane < self._num_games:
      raise ValueError(
          f"There is no lane {lane}; lanes are 0 to {self._num_games - 1}."
      )

  def _move(
      self,
      kind: str,
      requests: dict[int, Any],
      histories: dict[int, base.History],
  ) -> dict[int, base.TextStep]:
    """Requests something of lanes and records where they came to stand."""
    jobs: dict[int, dict[int, Any]] = {}
    for lane, request in requests.items():
      jobs.setdefault(lane % self._num_processes, {})[lane] = request
    try:
      answers = self._crew.request(kind, jobs)
    except base.WorkerFailedError as error:
      self._record(error.answers, histories)
      raise
    self._record(answers, histories)
    steps = _steps(answers)
    return {lane: steps[lane] for lane in requests}

  def _record(
      self,
      answers: dict[int, worker_lib.Answer],
      histories: dict[int, base.History],
  ) -> None:
    """Records the lanes that moved; one that failed must be reset."""
    for lane, answer in answers.items():
      if isinstance(answer, base.TextStep):
        self._lanes[lane] = _Lane(histories[lane], answer)
      else:
        self._lanes.pop(lane, None)

  def _setup(self, index: int) -> worker_lib.Setup:
    """What a worker needs to take up, or to take up again, its lanes."""
    self._spares.forget(index)
    lanes = tuple(range(index, self._num_games, self._num_processes))
    return worker_lib.Setup(
        spec=self._spec,
        lanes=lanes,
        num_spares=self._num_spares,
        histories={
            lane: self._lanes[lane].history
            for lane in lanes
            if lane in self._lanes
        },
    )


def _steps(answers: dict[int, worker_lib.Answer]) -> dict[int, base.TextStep]:
  """The answers, if none is an error; else raises the first that is."""
  steps = {}
  for number, answer in answers.items():
    if isinstance(answer, Exception):
      raise answer
    steps[number] = answer
  return steps
