"""What the tests of `env` share: one JVM, and a small setting of each game."""

import pytest

from mulearn.env import base
from mulearn.env import jvm as jvm_lib

SPECS = {
    "twc": base.GameSpec(
        "twc", (("numLocations", 2), ("numItemsToPutAway", 2)), 30
    ),
    "cookingworld": base.GameSpec(
        "cookingworld",
        (
            ("numLocations", 4),
            ("numIngredients", 2),
            ("numDistractorItems", 4),
            ("includeDoors", 0),
            ("limitInventorySize", 0),
        ),
        50,
    ),
    "mapreader": base.GameSpec(
        "mapreader",
        (("numLocations", 8), ("maxDistanceApart", 3), ("includeDoors", 0)),
        30,
    ),
    "coin": base.GameSpec(
        "coin", (("numLocations", 6), ("includeDoors", 1)), 50
    ),
}


@pytest.fixture(scope="session")
def jvm():
  """One JVM for all games that live in the test's own process."""
  with jvm_lib.Jvm() as machine:
    yield machine


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys())
def spec(request) -> base.GameSpec:
  """Each family of games in turn."""
  return request.param


@pytest.fixture(scope="session")
def twc() -> base.GameSpec:
  """The family of games that the tests of the pool use."""
  return SPECS["twc"]
