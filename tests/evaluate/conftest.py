"""A small deterministic text game, and pools that host it without a process."""

import pytest

from mulearn.env.base import TextObservation, TextStep

COMMANDS = ("go left", "go right", "wait")
LIMIT = 4


def play(history) -> TextStep:
  """A corridor of 7 cells; cell 6 is the goal, cell 0 the pit.

  The game starts in cell 3 (even seeds) or 4 (odd seeds), and every cell looks
  different in every game.
  """
  seed, _, commands = history
  cell, over, reward = 3 + seed % 2, False, 0.0
  for command in commands:
    if over:
      raise RuntimeError(f"{history} goes on after the end of the game.")
    cell += {"go left": -1, "go right": 1, "wait": 0}[command]
    over = cell in (0, 6)
    reward = 1.0 if cell == 6 else 0.0
  observation = TextObservation(
      task="walk",
      facts=("task: walk", f"room: cell {cell}"),
      prompt=f"You are in cell {cell} of game {seed}.",
      commands=COMMANDS if cell != 4 else COMMANDS[:2],
      history=tuple(commands),
  )
  return TextStep(
      observation=observation,
      reward=reward,
      terminated=over,
      truncated=not over and len(commands) >= LIMIT,
      score=float(cell == 6),
      success=cell == 6,
  )


class FakePool:
  """As `env.pool.TextPool`, of corridors; remembers what it was asked."""

  def __init__(self):
    self.lanes = {}
    self.started = []
    self.branched = []

  def reset(self, starts):
    self.started += list(starts.values())
    self.lanes |= {k: (seed, fold, ()) for k, (seed, fold) in starts.items()}
    return {lane: play(self.lanes[lane]) for lane in starts}

  def step(self, commands):
    for lane, command in commands.items():
      seed, fold, past = self.lanes[lane]
      assert command in play(self.lanes[lane]).observation.commands
      self.lanes[lane] = (seed, fold, (*past, command))
    return {lane: play(self.lanes[lane]) for lane in commands}

  def history(self, lane):
    return self.lanes[lane]

  def branch(self, histories):
    self.branched += histories
    return [play(history) for history in histories]


@pytest.fixture
def pool():
  """A fresh pool of corridors."""
  return FakePool()


@pytest.fixture(scope="session")
def play_corridor():
  """History -> its last step."""
  return play
