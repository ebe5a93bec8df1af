"""Model error of a model that knows the rules, and of spoiled ones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from mulearn.act.board_agent import BoardAgent
from mulearn.evaluate import error_picture, model_error, solver
from mulearn.evaluate.position_index import PositionIndex
from mulearn.model.support import Support

LINES = jnp.array(solver._LINES)
POWERS = 3 ** jnp.arange(9)
SUPPORT = Support(11, 1.0)  # Of the tiny run.


def _logits(value):
  return jnp.log(SUPPORT.to_probs(value) + 1e-12)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Oracle:
  """As `Imaginer`, with the board for a latent and all the answers.

  Attributes:
    value: of each board, in base 3, for the player to move, `[3^9]`.
    policy: logits, large where a move is optimal, `[3^9, 9]`.
    forgets: added to the action whose stone is put; 0 is right.
    sign: of what is said of the end and of what is legal; 1 is right.
  """

  value: jax.Array
  policy: jax.Array
  forgets: jax.Array
  sign: jax.Array

  def represent(self, planes):
    return planes.reshape(len(planes), 18)

  def _code(self, latent):
    cells = latent.reshape(-1, 9, 2)
    return (cells @ jnp.array([1.0, 2.0])).astype(int) @ POWERS

  def predict(self, latent):
    code = self._code(latent)
    return self.policy[code], _logits(self.value[code])

  def dynamics(self, latent, action):
    cells = latent.reshape(-1, 9, 2)
    own = cells[..., 0] + jax.nn.one_hot((action + self.forgets) % 9, 9)
    won = (own[:, LINES].sum(-1) == 3).any(-1)
    full = (own + cells[..., 1]).sum(-1) == 9
    after = jnp.stack([cells[..., 1], own], axis=-1).reshape(-1, 18)
    goes_on = jnp.where(won | full, -9.0, 9.0) * self.sign
    return after, _logits(won.astype(float)), goes_on

  def legal_logits(self, latent):
    empty = latent.reshape(-1, 9, 2).sum(-1) == 0
    return jnp.where(empty, 9.0, -9.0) * self.sign


@pytest.fixture(scope="module")
def table():
  return solver.tic_tac_toe()


@pytest.fixture(scope="module")
def make_agent(table, board_config):
  def make(forgets=0, sign=1.0):
    value, policy = np.zeros(3**9), np.zeros((3**9, 9))
    for moves, v, optimal in zip(table.moves, table.value, table.optimal):
      moves = [m for m in moves if m >= 0]
      own = moves[len(moves) % 2 :: 2]  # Those of the player to move.
      code = sum(3**m for m in own) + sum(2 * 3**m for m in moves)
      code -= sum(2 * 3**m for m in own)
      value[code], policy[code] = v, np.where(optimal, 5.0, 0.0)
    oracle = Oracle(*map(jnp.asarray, (value, policy, forgets, sign)))
    return BoardAgent(board_config("world"), oracle)

  return make


def _measure(agent, table, **sizes):
  sizes = {"num_lines": 2000} | sizes
  return model_error.model_error(agent, table, jax.random.key(0), **sizes)


def test_a_model_that_knows_the_rules_makes_no_error(make_agent, table):
  lines = _measure(make_agent(), table)
  assert tuple(lines) == ("own", "perfect", "random")
  for points in lines.values():
    # From the empty board the ninth move is the last.
    assert [p["k"] for p in points] == list(range(9))
    counts = [p["lines"] for p in points]
    assert counts[0] == 2000 and sorted(counts)[::-1] == counts
    assert [p["moves"] for p in points[1:]] == counts[:-1]
    for p in points:
      for name in ("value_error", "value_error_seen", "policy_kl"):
        assert p[name] == pytest.approx(0.0, abs=1e-3)
      assert p["policy_optimal"] == p["policy_optimal_seen"] == 1.0
      assert p["value_sign"] in (1.0, None)
    for p in points[1:]:
      assert p["legal_error"] == p["end_error"] == 0.0
      assert p["legal_log_loss"] == pytest.approx(np.log1p(np.exp(-9)))
      assert p["end_log_loss"] == pytest.approx(np.log1p(np.exp(-9)))
      assert p["reward_error"] == pytest.approx(0.0, abs=1e-3)
    assert points[0]["legal_error"] is None and "moves" not in points[0]


def test_truth_may_come_from_elsewhere_than_the_table(make_agent, table):
  """Then lines leave a table that holds only the positions they begin at."""
  early = np.argsort((table.moves >= 0).sum(axis=1), kind="stable")[:50]
  few = dataclasses.replace(
      table, moves=table.moves[early], value=table.value[early],
      optimal=table.optimal[early],
  )  # fmt: skip
  agent = make_agent(forgets=1)
  truth = PositionIndex(table, agent.environment).truth
  lines = _measure(agent, few, truth=truth)
  assert [p["k"] for p in lines["own"]] == list(range(9))
  whole = _measure(agent, table)
  same = _measure(agent, table, truth=truth)
  assert same == whole
  with pytest.raises(ValueError, match="are not in the table of 50"):
    _measure(agent, few)


def test_a_model_that_takes_one_move_for_another_is_found(make_agent, table):
  """At the start it knows all; what it imagines is another game."""
  for points in _measure(make_agent(forgets=1), table, max_moves=3).values():
    assert [p["k"] for p in points] == [0, 1, 2, 3]
    assert points[0]["value_error"] == pytest.approx(0.0, abs=1e-3)
    assert points[0]["policy_kl"] == pytest.approx(0.0, abs=1e-5)
    for p in points[1:]:
      assert p["value_error"] > 0.2 and p["policy_kl"] > 0.5
      assert p["value_error_seen"] == pytest.approx(0.0, abs=1e-3)
      assert p["policy_optimal"] < 0.9 and p["policy_optimal_seen"] == 1.0
      # After a move too many and a move too few: 2 of 9, or fewer.
      assert 0.1 < p["legal_error"] <= 0.5
      assert p["reward_error"] > 0.05


def test_heads_that_say_the_opposite_are_always_wrong(make_agent, table):
  for points in _measure(make_agent(sign=-1.0), table, max_moves=2).values():
    for p in points[1:]:
      assert p["legal_error"] == p["end_error"] == 1.0
      assert p["end_log_loss"] == pytest.approx(9.0, abs=1e-3)


def test_the_lines_are_what_they_are_called(make_agent, table):
  """Perfect lines stay drawn; random ones are decided again and again."""
  agent = make_agent()
  settings = model_error.BoardSettings.from_config(agent.config)
  states = table.states(agent.environment)
  optimal = jnp.asarray(table.optimal)
  rows = np.arange(4520)
  rates = {}
  for line, choose in model_error._LINE_MOVES.items():
    action = choose(
        jax.random.key(1), agent.networks, states, optimal, settings=settings
    )
    invalid = np.asarray(jax.vmap(agent.environment.invalid)(states))
    assert not invalid[rows, action].any()
    rates[line] = table.optimal[rows, action].mean()
  assert rates["perfect"] == 1.0 > rates["own"] > 0.95
  assert 0.4 < rates["random"] < 0.75


def test_starts_are_as_many_of_each_length(table):
  start = model_error._starts(table, jax.random.key(0), 9000)
  played = (table.moves[np.asarray(start)] >= 0).sum(axis=1)
  np.testing.assert_allclose(np.bincount(played), 1000, atol=150)


def test_the_picture_shows_each_kind_of_line(make_agent, table, tmp_path):
  lines = _measure(make_agent(forgets=1), table, max_moves=3)
  path = tmp_path / "plots" / "model_error.png"
  error_picture.draw_model_error(path, lines)
  image = Image.open(path).convert("RGB")
  seen = {colour for _, colour in image.getcolors(maxcolors=2**24)}
  for colour in error_picture.COLOURS[:3]:
    assert tuple(bytes.fromhex(colour[1:])) in seen
  svg = path.with_suffix(".svg").read_text()
  assert svg.rstrip().endswith("</svg>")


def test_what_cannot_be_measured_is_told(
    board_config, make_board_networks, make_agent, table
):
  rules = BoardAgent(
      board_config("simulator"), make_board_networks("simulator")
  )
  with pytest.raises(ValueError, match="simulator: it moves by the rules"):
    _measure(rules, table)
  with pytest.raises(ValueError, match="max_moves is 0"):
    _measure(make_agent(), table, max_moves=0)
