"""Spare games go where they are soonest."""

from mulearn.env import spares, worker


def _history(*commands, seed=1):
  return (seed, "train", commands)


def test_continuation():
  start = _history("a")
  assert worker.continuation(start, _history("a", "b", "c")) == ("b", "c")
  assert worker.continuation(start, start) == ()
  assert worker.continuation(start, _history("b", "a")) is None
  assert worker.continuation(start, _history()) is None
  assert worker.continuation(start, _history("a", seed=2)) is None
  assert worker.continuation(None, start) is None


def test_work_is_spread_and_continuations_stay():
  places = spares.Spares(num_workers=2, num_spares=2)
  first = places.assign([_history("a", seed=seed) for seed in range(4)])
  assert sorted(first) == [(0, 0), (0, 1), (1, 0), (1, 1)]
  longer = [_history("a", "b", seed=seed) for seed in reversed(range(4))]
  assert places.assign(longer) == list(reversed(first))


def test_a_lost_worker_has_no_continuations():
  places = spares.Spares(num_workers=2, num_spares=1)
  [(lost, _)] = places.assign([_history(*"abcdefgh")])
  places.forget(lost)
  # Both workers would have to replay; the one that was idle is chosen.
  [(index, _)] = places.assign([_history(*"abcdefghi")])
  assert index == 1 - lost
