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


def check_minimax(search, turns):
  """Moves and values are those of perfect play, but for close calls.

  Rewards are multiples of a half. Right searches lose 0 to .03 a game and err
  by .02 to .2 in its value, those with a wrong sign by .8 to 1.4.
  """
  games = games_lib.draw(7, NUM_GAMES, turns=turns)
  found = search(
      jax.random.key(0), games, games_lib.root(games), games_lib.step,
      NUM_SIMULATIONS,
  )  # fmt: skip
  action, value = np.asarray(found.action), np.asarray(found.value)
  best = np.array([games_lib.minimax(games, g) for g in range(NUM_GAMES)])
  chosen = []
  for game in range(NUM_GAMES):
    worth = {
        child - 1: reward + discount * games_lib.minimax(games, game, child)
        for child, reward, discount in games_lib.moves(games, game, 0)
    }
    chosen.append(worth[int(action[game])])
  lost = best - np.array(chosen)
  assert lost.max() <= 0.5 and lost.mean() < 0.05
  assert np.abs(value - best).mean() < 0.25


@pytest.mark.parametrize("turns", TURNS)
def test_search_finds_perfect_play(search, turns):
  """Row 4: whoever is to move after whom."""
  check_minimax(search, turns)


@pytest.mark.parametrize("name", broken.SIGNS)
def test_a_wrong_sign_is_found(name):
  """Row 4: the same check, with the bugs of peers."""
  with pytest.raises(AssertionError):
    check_minimax(broken.SIGNS[name], "random")


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
