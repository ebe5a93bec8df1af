"""Boards as people see them, held against the rules."""

import jax
import numpy as np
import pytest

from mulearn.env import board as games
from mulearn.env.games import make_environment
from mulearn.explore.boards import Board


@pytest.mark.parametrize(
    "name",
    ["tic_tac_toe", "connect_four", "othello", "hex_3", "hex_5", "go_9x9"],
)
def test_a_random_game_is_seen_as_it_lies_on_the_table(name):
  game, board = make_environment(name), Board.of(name)
  state = game.init(jax.random.key(1))
  view = jax.jit(
      lambda state: (
          game.observation(state), game.invalid(state), game.terminated(state)
      )
  )  # fmt: skip
  step = jax.jit(game.step)
  random = np.random.default_rng(0)
  planes, invalid, over = view(state)
  stones = board.stones(planes, 0)
  for ply in range(20):
    if over:
      break
    mover = ply % 2
    action = int(random.choice(np.flatnonzero(~np.asarray(invalid))))
    cell = board.cell(stones, mover, action)
    state = step(state, action)
    planes, invalid, over = view(state)
    after = board.stones(planes, 1 - mover)
    if cell >= 0:
      assert stones[cell] == 0 and after[cell] == mover + 1
      changed = np.flatnonzero(stones != after)
      # Only Othello turns stones over.
      assert changed.tolist() == [cell] or name == "othello"
    else:
      np.testing.assert_array_equal(stones, after)
    stones = after
  assert ply >= 4


@pytest.mark.parametrize("name", sorted({*games.GAMES} - {"gardner_chess"}))
@pytest.mark.parametrize("mover", [0, 1])
def test_names_and_actions_are_one_to_one(name, mover):
  board = Board.of(name)
  assert board.num_actions == make_environment(name).num_actions
  names = [board.name(mover, a) for a in range(board.num_actions)]
  assert len(set(names)) == len(names)
  found = [board.action(mover, f" {name.upper()} ") for name in names]
  assert found == list(range(board.num_actions))
  assert board.action(mover, "z99") is None


def test_names_are_those_of_the_table():
  hexes = Board.of("hex_4")
  assert (hexes.name(0, 1), hexes.name(1, 1)) == ("b1", "a2")
  assert Board.of("tic_tac_toe").name(1, 7) == "b3"
  assert Board.of("connect_four").name(0, 6) == "7"
  assert Board.of("othello").name(0, 64) == "pass"
  assert Board.of("go_9x9").name(1, 81) == "pass"


def test_a_full_column_takes_no_stone():
  board = Board.of("connect_four")
  stones = np.zeros(42, np.int8)
  stones[2::7] = 1
  assert board.cell(stones, 0, 2) == -1
  stones[2] = 0
  assert board.cell(stones, 0, 2) == 2


def test_a_game_without_a_picture_is_named():
  with pytest.raises(ValueError, match="'gardner_chess'.*tic_tac_toe"):
    Board.of("gardner_chess")
