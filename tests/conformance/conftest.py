"""Every test is run with each subject; hypothesis may draw for one of them."""

from conformance import subject
import pytest

# Bare mctx is held equal to ours by a test, so that these hold of it as well.
_SEARCHES = [n for n in subject.SEARCHES if n not in subject.BARE_MCTX]


@pytest.fixture(scope="module", params=_SEARCHES)
def search(request) -> subject.Search:
  """A search under test."""
  return subject.SEARCHES[request.param]


@pytest.fixture(scope="module", params=subject.CHANCE_SEARCHES)
def chance_search(request) -> subject.ChanceSearch:
  """A search with chance under test."""
  return subject.CHANCE_SEARCHES[request.param]


@pytest.fixture(scope="module", params=subject.TARGETS)
def targets(request) -> subject.Targets:
  """The targets under test."""
  return subject.TARGETS[request.param]


@pytest.fixture(scope="module", params=subject.REPLAYS)
def make_replay(request):
  """(example, capacity, length, batch size) -> the replay under test."""
  return subject.REPLAYS[request.param]
