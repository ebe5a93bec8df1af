"""A line of moves: held against the rules, the table and single steps."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

import mulearn
from mulearn.act.board_agent import BoardSettings
from mulearn.evaluate import curves, solver
from mulearn.explore import imagined_line, line_picture
from mulearn.explore.boards import Board
from mulearn.model.board_world import BoardObservation

# X takes the centre; O's edge loses, and X wins on the left.
MOVES = "b2 b1 a1 c3 a2 c2 a3".split()
ACTIONS = (4, 1, 0, 8, 3, 5, 6)


@pytest.fixture(scope="module")
def agent(board_workdir):
  return mulearn.restore_agent(board_workdir("world"))


@pytest.fixture(scope="module")
def line(agent):
  return imagined_line.imagine_line(agent, MOVES, solver.tic_tac_toe())


def test_the_game_is_that_of_the_rules(line):
  assert [g.move for g in line] == ["", *MOVES]
  stones = [0] * 9
  for k, action in enumerate(ACTIONS):
    stones[action] = 1 + k % 2
    assert line[k + 1].stones == tuple(stones) and line[k + 1].last == action
  for glimpse in line[:-1]:
    assert glimpse.is_open == tuple(s == 0 for s in glimpse.stones)
  assert [g.is_over for g in line] == [False] * 7 + [True]
  assert not any(line[-1].is_open)


def test_values_are_those_of_the_first_player(line):
  # A draw until O errs; from there X wins, whoever is to move.
  assert [g.value for g in line] == [0, 0, 1, 1, 1, 1, 1, 1]
  assert line[-1].seen_value == 1.0
  assert line[0].imagined_over == 0.0


def test_the_line_is_imagined_step_by_step(agent, line, board_states):
  settings = BoardSettings.from_config(agent.config)
  model, state = settings.model(agent.networks), board_states(())
  game = agent.environment
  observation = BoardObservation(
      jax.vmap(game.observation)(state), jax.vmap(game.invalid)(state)
  )
  node = model.root(jax.random.key(0), observation, jnp.zeros((1, 9)))
  assert line[0].imagined_value == pytest.approx(float(node.value[0]), abs=1e-5)
  for k, action in enumerate(ACTIONS):
    node = model.step(jax.random.key(0), node.state, jnp.array([action]))
    worth = float((node.reward + node.discount * node.value)[0])
    sign = 1 if k % 2 == 0 else -1  # X made the even moves.
    glimpse = line[k + 1]
    assert glimpse.imagined_value == pytest.approx(sign * worth, abs=1e-5)
    goes_on = -float(node.discount[0])
    assert glimpse.imagined_over == pytest.approx(1.0 - goes_on, abs=1e-5)
    legal = jax.nn.sigmoid(agent.networks.legal_logits(node.state))[0]
    free = np.array(line[k + 1].stones) == 0
    np.testing.assert_allclose(
        np.array(glimpse.imagined_open)[free], np.asarray(legal)[free], 1e-4
    )


def test_what_cannot_be_played_is_refused(agent, board_workdir):
  with pytest.raises(ValueError, match="'b2' cannot be played as move 2.*a1"):
    imagined_line.imagine_line(agent, ["b2", "b2"])
  with pytest.raises(ValueError, match="the game is over"):
    imagined_line.imagine_line(agent, [*MOVES, "c1"])
  rules = mulearn.restore_agent(board_workdir("simulator"))
  with pytest.raises(ValueError, match="imagines nothing"):
    imagined_line.imagine_line(rules, MOVES)


def test_the_picture_shows_each_position(line, tmp_path):
  path = tmp_path / "line.png"
  line_picture.draw_line(path, Board.of("tic_tac_toe"), line)
  seen = Image.open(path).convert("RGB").getcolors(maxcolors=2**24)
  for colour in curves.COLOURS[:3]:  # X, O and frames, the network's sight.
    assert tuple(bytes.fromhex(colour[1:])) in {c for _, c in seen}
  svg = path.with_suffix(".svg").read_text()
  for words in ("start", *MOVES, "the game", "imagined", "true"):
    assert f"<!-- {words} -->" in svg
