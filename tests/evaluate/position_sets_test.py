"""The positions of connect four: what they are, and that their labels are so."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from mulearn.act.board_agent import BoardAgent
from mulearn.env.games import make_environment
from mulearn.evaluate import position_sets, solver
from mulearn.evaluate.examiners import EXAMINERS
from mulearn.model.board_kinds import make_networks

GAME = make_environment("connect_four")
_PLIES = {"begin": (0, 14), "middle": (15, 28), "end": (29, 41)}


@pytest.fixture(scope="module")
def sets():
  return position_sets.connect_four()


def _plies(table):
  return (table.moves >= 0).sum(axis=1)


def test_there_are_a_thousand_distinct_positions_of_each_kind(sets):
  assert tuple(sets) == position_sets.NAMES
  for name, table in sets.items():
    assert table.moves.shape == (1000, 42) and table.optimal.shape == (1000, 7)
    least, most = _PLIES[name.split("-")[0]]
    plies = _plies(table)
    assert least <= plies.min() and plies.max() <= most
    boards = np.asarray(
        jax.vmap(GAME.observation)(table.states(GAME))
    )  # [N, 6, 7, 2]
    mirrored = boards[:, :, ::-1]
    keys = {
        min(board.tobytes(), mirror.tobytes())
        for board, mirror in zip(boards, mirrored)
    }
    assert len(keys) == 1000


def test_they_are_positions_at_which_a_move_is_to_be_made(sets):
  for table in sets.values():
    states = table.states(GAME)
    assert not jax.vmap(GAME.terminated)(states).any()
    invalid = np.asarray(jax.vmap(GAME.invalid)(states))
    assert not (table.optimal & invalid).any()
    assert table.optimal.any(axis=1).all()
  values = np.concatenate([table.value for table in sets.values()])
  assert set(np.unique(values)) == {-1, 0, 1}


def test_known_values_of_the_first_moves(sets):
  """Tromp's values: only the middle column wins, its neighbours draw."""
  table = sets["begin-hard"]
  known = {(): 1, (0,): 1, (2,): 0, (3,): -1, (4,): 0, (6,): 1}
  seen = 0
  for line, value in zip(table.moves.tolist(), table.value):
    line = tuple(m for m in line if m >= 0)
    if line in known:
      seen += 1
      assert value == known[line], line
  assert seen >= 3


_COLUMN = 0b111111  # Seven bits a column; the uppermost stays empty.


def _wins(stones):
  for shift in (1, 6, 7, 8):
    pairs = stones & (stones >> shift)
    if pairs & (pairs >> 2 * shift):
      return True
  return False


def _drop(own, other, column):
  """`own` after a stone in a column that is not full."""
  taken = own | other
  height = ((taken >> 7 * column) & _COLUMN).bit_count()
  return own | 1 << (7 * column + height)


def _is_full(taken, column):
  return (taken >> 7 * column) & _COLUMN == _COLUMN


@functools.cache
def _value(own, other):
  """Of the game for the player to move, by looking at everything."""
  best = None
  for column in range(7):
    if not _is_full(own | other, column):
      after = _drop(own, other, column)
      best = max(-2 if best is None else best, _move_value(after, other))
      if best == 1:
        break
  return 0 if best is None else best


def _move_value(after, other):
  return 1 if _wins(after) else -_value(other, after)


def test_the_labels_are_those_of_a_search_to_the_end(sets):
  """Of late positions, which a plain search can finish."""
  table = sets["end-easy"]
  late = np.flatnonzero(_plies(table) >= 30)[:300]
  assert len(late) == 300
  for i in late:
    own, other = 0, 0
    for column in table.moves[i]:
      if column >= 0:
        own, other = other, _drop(own, other, int(column))
    values = np.array(
        [
            -2
            if _is_full(own | other, column)
            else _move_value(_drop(own, other, column), other)
            for column in range(7)
        ]
    )
    assert values.max() == table.value[i]
    np.testing.assert_array_equal(values == values.max(), table.optimal[i])


def test_other_positions_are_refused(tmp_path):
  path = tmp_path / "positions.csv"
  lines = position_sets.PATH.read_text().splitlines()
  path.write_text("\n".join([lines[0], *lines[2:]]))
  assert set(position_sets.read(path)) == set(position_sets.NAMES)
  with pytest.raises(ValueError, match="make_positions.py"):
    position_sets.read(path, position_sets.SHA256)


@pytest.mark.parametrize(
    "text, says",
    [
        ("set,moves,scores\n", "the sets of nothing; there are end-easy"),
        ("a,b\n1,2\n", "the sets None; there are end-easy"),
        ("set,moves,scores\nend-hard,01,0 0 0 0 0 0 0\n", "sets end-hard"),
        ("set,moves\nend-easy,01\n", "Row 1 .*the scores ''"),
        ("set,moves,scores\nend-easy,017,0 0 0 0 0 0 0\n", "Row 1 .*'017'"),
        ("set,moves,scores\nend-easy,01,0 0 0 0 0 0\n", "Row 1 .*0 0'"),
        ("set,moves,scores\nend-easy,01,x 0 0 0 0 0 0\n", "x where it is full"),
        (f"set,moves,scores\nend-easy,{'0' * 6},0 0 0 0 0 0 0\n", "is full"),
        (f"set,moves,scores\nend-easy,{'0' * 7},x 0 0 0 0 0 0\n", "6 times"),
        (
            "set,moves,scores\nend-easy,0101010,0 0 0 0 0 0 0\n",
            "row 1 of the set end-easy is a game that is over",
        ),
        ("set,moves,scores\nend-easy,01\n", "Row 1 .*''"),
        (
            f"set,moves,scores\nend-easy,{'0' * 42},0 0 0 0 0 0 0\n",
            "at most 41",
        ),
    ],
)
def test_what_holds_no_positions_is_refused(tmp_path, text, says):
  path = tmp_path / "positions.csv"
  path.write_text(text)
  with pytest.raises(ValueError, match=says):
    position_sets.read(path)


def test_a_file_that_is_missing_is_named(tmp_path):
  with pytest.raises(ValueError, match="no file of positions at .*nothing.csv"):
    position_sets.read(tmp_path / "nothing.csv")


def test_some_of_the_sets_may_be_left_out(tmp_path):
  lines = position_sets.PATH.read_text().splitlines()
  path = tmp_path / "positions.csv"
  path.write_text("\n".join(x for x in lines if not x.startswith("begin")))
  assert set(position_sets.read(path)) == {
      "end-easy", "middle-easy", "middle-medium"
  }  # fmt: skip


@dataclasses.dataclass
class _Player:
  """Says at each call the next of the moves it was given."""

  agent: BoardAgent
  moves: list[np.ndarray]
  environment = GAME

  def plan(self, rng_key, state, num_simulations=None):
    plan = self.agent.plan(rng_key, state, num_simulations)
    return plan._replace(action=self.moves.pop(0))

  def glance(self, state):
    return self.agent.glance(state)


@pytest.fixture(scope="module")
def agent(board_config):
  config = board_config("simulator")
  config.env.name = "connect_four"
  config.search.num_eval_simulations = 2
  return BoardAgent(config, make_networks(config, jax.random.key(0)))


def test_mistakes_are_told_set_by_set(sets, agent):
  tables = list(sets.values())
  perfect = [table.optimal.argmax(axis=1) for table in tables]
  worst = tables[4].optimal.argmin(axis=1)  # Of begin-medium alone.
  moves = [*perfect[:4], worst, *perfect[5:]]
  key = jax.random.key(0)
  found = EXAMINERS["connect_four"](_Player(agent, moves), key)
  expected = 1.0 - tables[4].optimal[np.arange(1000), worst].mean()
  for name in position_sets.NAMES:
    mistakes = expected if name == "begin-medium" else 0.0
    assert found[f"mistake/{name}"] == pytest.approx(mistakes)
    assert 0.0 < found[f"policy_mistake/{name}"] < 1.0
  signs = [found[f"sign/{name}"] for name in position_sets.NAMES]
  assert found["sign_rate"] == pytest.approx(np.mean(signs))
  assert expected > 0.5
  assert found["optimal_rate"] == pytest.approx(1.0 - expected / 6)
  assert set(found) > {"policy_rate", "value_error", "sign_rate"}


def test_every_solved_game_has_its_examiner():
  assert {"connect_four", *solver.TABLES} <= set(EXAMINERS)
