"""Matches of players who are known, and what is wrong with a player is told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env.games import make_environment
from mulearn.evaluate import arena, players, solver

GAME = make_environment("tic_tac_toe")
KEY = jax.random.key(0)
RANDOM = players.random_player(GAME)


@pytest.fixture(scope="module")
def perfect():
  return players.perfect_player(solver.tic_tac_toe(), GAME)


def _first_free(unused_key, states):
  return jax.vmap(GAME.invalid)(states).argmin(axis=1)


def _last_free(unused_key, states):
  return 8 - jax.vmap(GAME.invalid)(states)[:, ::-1].argmin(axis=1)


@pytest.mark.parametrize("num_plies", [0, 3, 9])
def test_no_opening_ends_the_game(num_plies):
  states = arena.openings(GAME, KEY, 200, num_plies)
  assert not jax.vmap(GAME.terminated)(states).any()
  stones = jax.vmap(GAME.observation)(states).sum(axis=(1, 2, 3))
  assert stones.max() == min(num_plies, 8)
  if num_plies == 3:
    assert stones.min() == 3
    boards = np.asarray(jax.vmap(GAME.observation)(states)).reshape(200, -1)
    assert len(np.unique(boards, axis=0)) > 100  # Of 252.


def test_the_games_of_a_pair_are_those_a_person_plays():
  """First against last free cell, from the empty board.

  First begins: X 0, O 8, X 1, O 7, X 2 wins. Last begins: X 8, O 0, X 7, O 1,
  X 6 wins. So who begins wins, and a pair is one game each.
  """
  score = arena.match(
      GAME, _first_free, _last_free, KEY, num_pairs=3, opening_plies=0
  )
  np.testing.assert_array_equal(score.games, [[1.0, 0.0]] * 3)


def test_perfect_play_draws_with_itself_and_never_loses(perfect):
  level = arena.match(
      GAME, perfect, perfect, KEY, num_pairs=50, opening_plies=0
  )
  assert level.counts == (0, 100, 0)
  won, _, lost = arena.match(
      GAME, perfect, RANDOM, KEY, num_pairs=50, opening_plies=0
  ).counts
  assert won > 70 and lost == 0
  won, _, lost = arena.match(
      GAME, RANDOM, perfect, KEY, num_pairs=50, opening_plies=0
  ).counts
  assert won == 0 and lost > 70


def test_lost_openings_are_lost_from_both_sides(perfect):
  """Perfect play turns every decided opening into a point each."""
  score = arena.match(
      GAME, perfect, perfect, KEY, num_pairs=50, opening_plies=3
  )
  np.testing.assert_array_equal(score.games.sum(axis=1), 1.0)
  assert score.counts[0] == score.counts[2] > 5


def test_the_same_key_is_the_same_match():
  def play(key):
    return arena.match(
        GAME, RANDOM, RANDOM, key, num_pairs=20, opening_plies=1
    ).games

  np.testing.assert_array_equal(play(KEY), play(KEY))
  assert (play(KEY) != play(jax.random.key(1))).any()


def test_everybody_meets_everybody(perfect):
  told = []
  played = arena.tournament(
      GAME,
      {"random": RANDOM, "one": players.minimax_player(GAME, 1), "best": perfect},
      KEY,
      num_pairs=40,
      opening_plies=0,
      anchor="one",
      on_match=lambda a, b, score: told.append((a, b, score.points)),
  )  # fmt: skip
  assert [t[:2] for t in told] == [
      ("random", "one"), ("random", "best"), ("one", "best")
  ]  # fmt: skip
  elo = {name: rating.elo for name, rating in played.ratings.items()}
  assert elo["random"] < elo["one"] == 0.0 < elo["best"]
  assert played.score(2, 0).points == 1.0 - played.score(0, 2).points > 0.8


def test_what_is_wrong_with_a_match_is_said(perfect):
  def occupied(key, states):
    return jax.vmap(GAME.invalid)(states).argmax(axis=1)

  sizes = {"num_pairs": 2, "opening_plies": 1}
  with pytest.raises(ValueError, match="Player b chose an illegal move in 2"):
    arena.match(GAME, RANDOM, occupied, KEY, **sizes)
  with pytest.raises(ValueError, match="num_pairs is 0"):
    arena.match(GAME, RANDOM, RANDOM, KEY, num_pairs=0, opening_plies=1)
  for names, anchor in ((["random"], "random"), (["random", "b"], "nobody")):
    with pytest.raises(ValueError, match="the anchor among them"):
      arena.tournament(
          GAME, dict.fromkeys(names, RANDOM), KEY, anchor=anchor, **sizes
      )


def test_a_game_of_double_moves_is_refused():
  class Solitaire:

    def __getattr__(self, name):
      return getattr(GAME, name)

    def current_player(self, state):
      return jnp.zeros_like(GAME.current_player(state))

  with pytest.raises(ValueError, match="alternating moves"):
    arena.match(Solitaire(), RANDOM, RANDOM, KEY, num_pairs=2, opening_plies=1)
