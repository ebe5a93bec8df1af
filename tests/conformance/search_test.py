"""Bugs of peers in search, each with its number in our list of them.

1. Q-values leaked between the games of a batch (LightZero #474).
3. Policies indexed by slot instead of action; illegal moves kept mass
   (LightZero #486, #489).
5. What lies behind an end was counted (Stoix `ff_mz`).

Row 4 is in `two_players_test.py`, row 6 in `chance_test.py`.
"""

import functools

from conformance import broken
from conformance import games as games_lib
from conformance.subject import SEARCHES
from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

A, NUM_GAMES, NUM_SIMULATIONS = games_lib.A, 8, 16
KEY = jax.random.key(0)
SEEDS = st.integers(0, 2**32 - 1)
few = functools.partial(
    settings, deadline=None, derandomize=True, database=None
)


def _draw(seed, **changes):
  return games_lib.draw(seed, NUM_GAMES, opinions=1.0, **changes)


def _run(search, games, rows=None, *, explore=False, key=KEY):
  root = games_lib.root(games, rows)
  found = search(key, games, root, games_lib.step, NUM_SIMULATIONS, explore)
  return type(found)(*(np.asarray(x) for x in found))


def check_same(one, other):
  best = np.sort(one.action_weights, axis=-1)
  clear = best[:, -1] - best[:, -2] > 1e-5  # Else the key may decide.
  np.testing.assert_array_equal(one.action[clear], other.action[clear])
  np.testing.assert_array_equal(one.visits, other.visits)
  np.testing.assert_allclose(
      one.action_weights, other.action_weights, atol=1e-5
  )
  np.testing.assert_allclose(one.value, other.value, atol=1e-5)


def _rows(found, rows):
  return type(found)(*(x[rows] for x in found))


def check_permutation(search, seed, order):
  """Row 1: who is whose neighbour does not matter."""
  games = _draw(seed)
  plain = _run(search, games)
  check_same(_run(search, games, order), _rows(plain, order))


def check_batch_of_one(search, seed, row):
  """Row 1: nor whether there are neighbours at all."""
  games = _draw(seed)
  plain = _run(search, games)
  check_same(_run(search, games, [row]), _rows(plain, [row]))


def check_mass(found, invalid):
  """Row 3: zero mass on what cannot be chosen, and 1 on the rest."""
  assert (found.action_weights[invalid] == 0.0).all()
  assert (found.visits[invalid] == 0).all()
  np.testing.assert_allclose(found.action_weights.sum(-1), 1.0, rtol=1e-5)
  assert not np.take_along_axis(invalid, found.action[:, None], 1).any()


def check_masses(search, seed):
  """Row 3: with the noise of self-play."""
  games = _draw(seed)
  found = _run(search, games, explore=True, key=jax.random.key(seed % 1000))
  check_mass(found, games.invalid[:, 0])


def check_bounds(search, seed, factor):
  """Row 5: a root is worth what some line from it is worth, ends included."""
  games = _draw(seed, factor=factor)
  found = _run(search, games)
  low, high = np.transpose(
      [games_lib.bounds(games, game) for game in range(NUM_GAMES)]
  )
  assert (low - 1e-4 <= found.value).all()
  assert (found.value <= high + 1e-4).all()


@given(seed=SEEDS, order=st.permutations(range(NUM_GAMES)))
@few(max_examples=8)
def test_row_1_the_order_of_a_batch_does_not_matter(search, seed, order):
  check_permutation(search, seed, order)


@given(seed=SEEDS, row=st.integers(0, NUM_GAMES - 1))
@few(max_examples=8)
def test_row_1_a_batch_of_one_is_a_row_of_a_batch(search, seed, row):
  check_batch_of_one(search, seed, row)


@pytest.mark.parametrize("name", broken.BATCH)
def test_row_1_a_leak_is_found(name):
  """Row 1: the same check, where games do see each other."""
  with pytest.raises(AssertionError):
    check_batch_of_one(broken.BATCH[name], 1, 3)


def test_row_1_a_leak_between_neighbours_is_found():
  """Row 1: what an order shows, unlike a statistic of the whole batch."""
  search = broken.BATCH["value of a neighbour"]
  with pytest.raises(AssertionError):
    check_permutation(search, 1, np.roll(np.arange(NUM_GAMES)[::-1], 3))


@given(seed=SEEDS)
@few(max_examples=8)
def test_row_3_no_mass_on_invalid_actions(search, seed):
  check_masses(search, seed)


def check_round_trip(search, seed, names):
  """Row 3: the same game, whose actions stand in another order."""
  games, names = _draw(seed), np.asarray(names)
  found = _run(search, games._replace(names=names))
  back = np.argsort(names)
  found = found._replace(
      action=names[found.action],
      visits=found.visits[:, back],
      action_weights=found.action_weights[:, back],
  )
  check_same(found, _run(search, games))


@given(seed=SEEDS, names=st.permutations(range(A)))
@few(max_examples=8)
def test_row_3_what_an_action_is_called_does_not_matter(search, seed, names):
  check_round_trip(search, seed, names)


@pytest.mark.parametrize("name", broken.SLOTS)
def test_row_3_a_wrong_slot_is_found(name):
  """Row 3: the same checks, with the bugs of peers."""
  with pytest.raises(AssertionError):
    check_masses(broken.SLOTS[name], 1)


@given(seed=SEEDS, factor=st.sampled_from([1.0, 0.9, 0.5]))
@few(max_examples=8)
def test_row_5_values_lie_between_the_worst_and_the_best_line(
    search, seed, factor
):
  check_bounds(search, seed, factor)


@pytest.mark.parametrize("name", broken.ENDS)
def test_row_5_a_line_beyond_the_end_is_found(name):
  """Row 5: the same check, where games go on behind their ends."""
  with pytest.raises(AssertionError):
    for seed in range(20):
      check_bounds(broken.ENDS[name], seed, 1.0)


@pytest.mark.parametrize("policy", ["gumbel", "puct"])
@given(seed=SEEDS, explore=st.booleans())
@few(max_examples=40)
def test_with_all_actions_as_slots_ours_is_mctx(policy, seed, explore):
  """No row: for the same keys, visits, actions and values are those of mctx."""
  games = _draw(seed)
  ours, bare = (
      _run(SEARCHES[f"{name}_{policy}"], games, explore=explore)
      for name in ("mulearn", "mctx")
  )
  check_same(ours, bare)
