"""A board game in the terminal, with lines in place of a keyboard."""

import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest

from mulearn.explore.boards import Board
from mulearn.explore.record import BoardSight
from mulearn.play import __main__ as main
from mulearn.play import board as board_lib


@pytest.fixture
def talk(board_workdir, monkeypatch, capsys):
  """(lines, flags) -> what the terminal shows."""

  def run(lines: str, *flags: str, status: int = 0) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    words = [f"--workdir={board_workdir('simulator')}", "--num_simulations=12"]
    assert main.main([*words, *flags]) == status
    return capsys.readouterr().out

  return run


def _stones(text: str) -> list[int]:
  """The number of stones on each board that was shown."""
  boards = re.findall(r"(?:^  \d .*\n){3}", text, re.MULTILINE)
  return [len(re.findall("[XO]", board)) for board in boards]


def test_the_agent_answers_each_move(talk):
  text = talk("b2\n")
  assert "You are X (X) and move first." in text
  assert re.search(r"O plays [abc][123]\.", text)
  assert _stones(text) == [0, 2]
  assert "[O]" in text


def test_the_agent_may_begin(talk):
  text = talk("quit\nb2\n", "--second")
  assert "You are O (O) and move second." in text
  assert re.search(r"X plays [abc][123]\.", text) and _stones(text) == [1]


def test_both_sides_to_the_end(talk):
  moves = "a1 b1 a2 b2 a3 c3 new a1".replace(" ", "\n")
  text = talk(moves, "--both")
  assert _stones(text) == [0, 1, 2, 3, 4, 5, 0, 1]
  assert "X won." in text and "The game is over: type new" in text
  assert "plays" not in text


@pytest.mark.parametrize("word", ["?", "hint", "HINT"])
def test_thoughts_on_request(talk, word):
  text = talk(f"{word}\n")
  assert re.search(r"Value for X: [+-]0\.\d\d before search, .* 12 sim", text)
  rows = re.findall(r"^  [abc][123] +(0\.\d+) +(0\.\d+) +(\d+)", text, re.M)
  assert len(rows) == 8 and "and 1 more" in text
  assert 8 <= sum(int(visits) for *_, visits in rows) <= 12
  after = [float(policy) for _, policy, _ in rows]
  assert after == sorted(after, reverse=True)
  assert re.search(r"It expects [abc][123]", text)


def test_undo_goes_back_to_ones_own_move(talk):
  text = talk("b2\nundo\nb2\n")
  assert _stones(text) == [0, 2, 0, 2]
  assert "no move that could be taken back" in talk("undo\n")
  assert "no move that could be taken back" in talk("undo\n", "--second")


def test_what_cannot_be_played_is_said(talk):
  text = talk("b9\n\nb2\nb2\n")
  assert "'b9' is no move here, such as a1" in text
  assert "b2 cannot be played; there are" in text
  assert _stones(text) == [0, 2]


def test_a_real_terminal_shows_the_board_and_hears_the_keyboard(board_workdir):
  keyboard, terminal = pty.openpty()
  words = [f"--workdir={board_workdir('simulator')}", "--num_simulations=12"]
  with subprocess.Popen(
      [sys.executable, "-m", "mulearn.play", *words],
      stdin=terminal, stdout=terminal, stderr=terminal,
  ) as process:  # fmt: skip
    os.close(terminal)
    text = ""
    for typed in ("b2\n", "\x04"):  # The last is Ctrl-D.
      while not text.rpartition("\n")[2].startswith("X> "):
        text += os.read(keyboard, 4096).decode()
      os.write(keyboard, typed.encode())
      text += "\n"
    assert process.wait(60) == 0
  os.close(keyboard)
  assert _stones(text.replace("\r", "")) == [0, 2]


def test_what_cannot_be_restored_is_said(tmp_path, capsys):
  assert main.main([f"--workdir={tmp_path}"]) == 1
  assert "holds no run with an agent" in capsys.readouterr().err


def test_boards_are_drawn_with_their_names():
  sight = BoardSight(tuple(np.eye(4, dtype=int).ravel()), last=5)
  lines = board_lib.draw(Board.of("hex_4"), sight).splitlines()
  assert lines[0].split() == ["a", "b", "c", "d"]
  assert lines[1] == "  1  X   .   .   ." and lines[2] == "    2  .  [X]  .   ."
  four = BoardSight((0,) * 41 + (2,))
  lines = board_lib.draw(Board.of("connect_four"), four).splitlines()
  assert lines[0].split() == list("1234567") and lines[-1].endswith("O")
