"""Row 4: the signs of two players, against minimax.

Rewards or values with the wrong sign (muzero-general #108), or right only where
players take turns (alpha-zero-general #18). Search knows nothing but the rules
of small random games; it must come close to the moves and the values of perfect
play, and targets along a perfect line must be the value of perfect play.
"""

from conformance import broken
from conformance import games as games_lib
import jax
import numpy as np
import pytest

NUM_GAMES, NUM_SIMULATIONS = 64, 400
TURNS = ("alternating", "random", "alone")
KEY = jax.random.key(0)


def _play(search, games, num_simulations):
  """What search found, and what perfect play gets from each action."""
  root = games_lib.root(games)
  found = search(KEY, games, root, games_lib.step, num_simulations)
  worth = [games_lib.worths(games, game) for game in range(len(games.player))]
  return type(found)(*(np.asarray(x) for x in found)), np.array(worth)


def _worth_of(found, worth):
  return np.take_along_axis(worth, found.action[:, None], 1)[:, 0]


def check_forced(search, turns):
  """Signs alone: after the first move, games go on in one way only.

  All simulations that begin with an action return the same, so there is no
  error to allow for, however few they are.
  """
  for seed in range(6):
    games = games_lib.forced(games_lib.draw(seed, 8, turns=turns))
    found, worth = _play(search, games, 16)
    best = worth.max(axis=-1)
    np.testing.assert_array_equal(_worth_of(found, worth), best)
    # A value is the mean over simulations, or leans towards the best action.
    seen = np.where(found.visits > 0, worth, 0.0)
    mean = np.average(seen, axis=-1, weights=found.visits)
    assert (mean - 1e-4 <= found.value).all()
    assert (found.value <= best + 1e-4).all()


def check_minimax(search, turns):
  """Moves and values come near to those of perfect play.

  Not nearer, because the model knows nothing. PUCT's values are means over all
  that it tried: its errors fall with the number of simulations, from .19 a game
  at most to .10 with 1,600. Gumbel's do not fall to zero: below the root it
  tries the less of an action the more it has tried others, so that one whose
  first simulation looked half a point worse may never get a second. Right
  searches lose up to .03 a game and err by .02 to .2 in its value, those with
  a wrong sign lose .4 to 1.4 and err by .8 to 1.4.
  """
  games = games_lib.draw(7, NUM_GAMES, turns=turns)
  found, worth = _play(search, games, NUM_SIMULATIONS)
  best = worth.max(axis=-1)
  lost = best - _worth_of(found, worth)
  assert lost.mean() < 0.1
  assert np.abs(found.value - best).mean() < 0.3


@pytest.mark.parametrize("turns", TURNS)
def test_moves_without_a_choice_are_worth_what_they_are(search, turns):
  """Row 4: whoever is to move after whom, to the last digit."""
  check_forced(search, turns)


@pytest.mark.parametrize("turns", TURNS)
def test_search_finds_perfect_play(search, turns):
  """Row 4: also where both sides choose."""
  check_minimax(search, turns)


@pytest.mark.parametrize("check", [check_forced, check_minimax])
@pytest.mark.parametrize("name", broken.SIGNS)
def test_a_wrong_sign_is_found(name, check):
  """Row 4: the same checks, with the bugs of peers."""
  with pytest.raises(AssertionError):
    check(broken.SIGNS[name], "random")


def _perfect_line(games, game):
  """Nodes, rewards and discounts of a line of perfect play."""
  node, nodes, rewards, discounts = 0, [], [], []
  while not games.terminal[game, node]:
    nodes.append(node)
    child, reward, discount = max(
        games_lib.moves(games, game, node),
        key=lambda m: m[1] + m[2] * games_lib.minimax(games, game, m[0]),
    )
    rewards.append(reward)
    discounts.append(discount)
    node = child
  return nodes, rewards, discounts


@pytest.mark.parametrize("turns", TURNS)
def test_returns_of_perfect_lines_are_minimax(targets, turns):
  """Row 4: of every position of the line, for the player to move there."""
  games = games_lib.draw(3, NUM_GAMES, turns=turns, factor=0.5)
  length = 2 * games_lib.DEPTH + 1
  for game in range(16):
    nodes, rewards, discounts = _perfect_line(games, game)
    padding = length - len(nodes)  # Another game follows.
    returns = targets(
        np.float32([rewards + [7.0] * padding]),
        np.float32([discounts + [-1.0] * padding]),
        np.full((1, length), 9.0, np.float32),
        np.zeros((1, length), bool),
        games_lib.DEPTH,
    )
    expected = [games_lib.minimax(games, game, node) for node in nodes]
    np.testing.assert_allclose(returns[0][: len(nodes)], expected, atol=1e-5)
