"""Every test of search is run with each subject."""

from conformance import subject
import pytest


@pytest.fixture(params=subject.SEARCHES)
def search(request) -> subject.Search:
  """A search under test."""
  return subject.SEARCHES[request.param]


@pytest.fixture(params=subject.TARGETS)
def targets(request) -> subject.Targets:
  """The targets under test."""
  return subject.TARGETS[request.param]


@pytest.fixture(params=subject.REPLAYS)
def make_replay(request):
  """(example, capacity, length, batch size) -> the replay under test."""
  return subject.REPLAYS[request.param]
