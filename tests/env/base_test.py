"""What the contracts of `env` compute themselves."""

import pytest

from mulearn.env import base

PAST = (
    ("attic", "take hat"),
    ("hall", "go up"),
    ("attic", "look"),
    ("attic", "take hat"),
)


@pytest.mark.parametrize(
    "sight, expected",
    [
        ("attic", ("take hat", "look")),
        ("hall", ("go up",)),
        ("cellar", ()),
    ],
)
def test_what_was_tried_at_a_sight(sight, expected):
  assert base.tried_before(PAST, sight) == expected
  assert base.tried_before(iter(PAST), sight) == expected


def test_at_the_beginning_nothing_was_tried():
  assert base.tried_before((), "attic") == ()
