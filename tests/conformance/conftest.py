"""Every test is run with each subject; hypothesis may draw for one of them."""

from conformance import subject
import pytest


@pytest.fixture(scope="module", params=subject.SEARCHES)
def search(request) -> subject.Search:
  """A search under test."""
  return subject.SEARCHES[request.param]


@pytest.fixture(scope="module", params=subject.TARGETS)
def targets(request) -> subject.Targets:
  """The targets under test."""
  return subject.TARGETS[request.param]


@pytest.fixture(scope="module", params=subject.REPLAYS)
def make_replay(request):
  """(example, capacity, length, batch size) -> the replay under test."""
  return subject.REPLAYS[request.param]
