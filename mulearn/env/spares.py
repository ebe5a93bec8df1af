"""Which spare game should go to which history.

Search through the true game asks for many histories, most of which continue one
that was asked for a moment ago. A spare game that stands on a prefix gets there
in a step or two; any other has to be reset and replayed.
"""

import itertools

from mulearn.env import base, worker

# What a reset costs, in steps (1 ms against 0.25 ms).
_RESET_COST = 4


class Spares:
  """The parent's record of where every spare game stands."""

  def __init__(self, num_workers: int, num_spares: int):
    slots = itertools.product(range(num_workers), range(num_spares))
    self._num_workers = num_workers
    # The slot that was used longest ago is the first key.
    self._histories: dict[tuple[int, int], base.History | None] = {
        slot: None for slot in slots
    }

  def forget(self, worker_index: int) -> None:
    """Notes that a worker's spare games were lost."""
    for slot in self._histories:
      if slot[0] == worker_index:
        self._histories[slot] = None

  def assign(self, histories: list[base.History]) -> list[tuple[int, int]]:
    """Chooses a worker and a slot for each history.

    Histories assigned to the same worker must be visited in order.

    Args:
      histories: where spare games should go.

    Returns:
      For each history the index of the worker and the slot in it.
    """
    loads = [0] * self._num_workers
    return [self._assign(history, loads) for history in histories]

  def _assign(self, history: base.History, loads: list[int]) -> tuple[int, int]:
    """Takes the slot that would be done first; the oldest among equals."""

    def finish(slot: tuple[int, int]) -> int:
      rest = worker.continuation(self._histories[slot], history)
      if rest is None:
        return loads[slot[0]] + _RESET_COST + len(history[2])
      return loads[slot[0]] + len(rest)

    slot = min(self._histories, key=finish)
    loads[slot[0]] = finish(slot)
    self._histories.pop(slot)
    self._histories[slot] = history
    return slot
