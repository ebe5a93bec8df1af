"""Decisions drawn on a board: held against the search they show."""

import jax
from PIL import Image
import pytest

import mulearn
from mulearn.evaluate import curves
from mulearn.explore import __main__ as main
from mulearn.explore import board_episode, board_picture
from mulearn.explore.boards import Board
from mulearn.explore.record import BoardSight, Node, Step, TextSight


def _step(sight):
  moves = (
      Node("3", 0, 9, 0.25, 0.5, policy=0.875, cell=2, chosen=True),
      Node("1", 0, 1, 0.75, -0.5, policy=0.125, cell=3),
  )
  return Step(
      sight, 1, (Node("", -1, 10, 1.0, 0.5), *moves), 0.5, -0.25, 0, False
  )


@pytest.fixture
def board():
  return Board("connect_four", 2, 3, ("yellow", "red"), "XO")


def test_the_picture_tells_the_decision(board, tmp_path):
  path = tmp_path / "new" / "decision.png"
  step = _step(BoardSight((0, 0, 0, 0, 1, 2)))
  board_picture.draw_decisions(path, board, [step, step])
  svg = path.with_suffix(".svg").read_text()
  for words in (
      "red (O) to move", "value -0.25, after search +0.50", "88", "12", "X",
      "O", "3", "1", "before search", "after search",
  ):  # fmt: skip
    assert f"<!-- {words} -->" in svg
  seen = {c for _, c in Image.open(path).convert("RGB").getcolors(2**24)}
  for colour in curves.COLOURS[:2]:  # Bars, and the frame of the move.
    assert tuple(bytes.fromhex(colour[1:])) in seen


def test_what_is_no_decision_on_a_board_is_refused(board, tmp_path):
  with pytest.raises(ValueError, match="no decision"):
    board_picture.draw_decisions(tmp_path / "x.png", board, [])
  with pytest.raises(ValueError, match="made on a text"):
    board_picture.draw_decisions(
        tmp_path / "x.png", board, [_step(TextSight("", ""))]
    )


def test_the_command_draws_what_it_played(board_workdir, tmp_path, capsys):
  workdir, path = board_workdir("simulator"), tmp_path / "board.png"
  words = [
      f"--workdir={workdir}", f"--out={tmp_path / 'page.html'}",
      "--num_simulations=4", "--max_steps=3", f"--picture={path}",
  ]  # fmt: skip
  assert main.main(words) == 0
  assert f"Steps 0, 1, 2 are in {path}" in capsys.readouterr().out
  episode = board_episode.play_episode(
      mulearn.restore_agent(workdir), jax.random.key(0), num_simulations=4,
      max_steps=3,
  )  # fmt: skip
  svg = path.with_suffix(".svg").read_text()
  for step in episode.steps:
    assert f"after search {step.value:+.2f} -->" in svg
  assert main.main([*words, "--picture_steps", "0", "3"]) == 1
  assert "asks for step 3, but the episode has steps 0 to 2" in (
      capsys.readouterr().err
  )
