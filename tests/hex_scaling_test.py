"""The laws of Hex are found where they were put, and the scripts run."""

import json

import jax
import numpy as np
import pytest

from experiments.hex_scaling import config as config_lib
from experiments.hex_scaling import fit, rate, scaling
from experiments.hex_scaling.scaling import Agents
from mulearn import board_train
from mulearn.act.board_agent import BoardAgent, BoardSettings
from mulearn.evaluate import arena
from mulearn.model.board_kinds import make_networks


def test_elo_of_a_share_of_points():
  assert fit.direct_elo([0, 128, 0]) == pytest.approx(0.0, abs=1e-6)
  # Half a pair won and lost more: 10 points of 41 against 31.
  assert fit.direct_elo([28, 4, 8]) == pytest.approx(
      400 * np.log10(10.5 / 30.5), abs=0.01
  )
  assert fit.direct_elo([8, 4, 28]) == -fit.direct_elo([28, 4, 8])


def test_elo_of_a_pool_goes_by_all_games():
  """Who never met the perfect player is rated through who did."""
  share = 1.0 / 11.0  # 400 Elo.
  pairs = [round(100_000 * (1 - share)), 0, round(100_000 * share)]
  rows = [["a:1", rate.PERFECT, pairs], ["b:1", "a:1", pairs]]
  found = fit.pool_elo(rows)
  assert found[rate.PERFECT] == 0.0
  assert found["a:1"] == pytest.approx(-400.0, abs=0.1)
  assert found["b:1"] == pytest.approx(-800.0, abs=0.2)


def test_the_frontier_is_the_best_for_so_much():
  small = np.array([6.0, 7.0, 8.0]), np.array([-600.0, -300.0, -310.0])
  large = np.array([7.0, 8.0, 9.0]), np.array([-500.0, -200.0, 0.0])
  found = scaling.frontier([small, large])
  assert found[0, 0] == 6.0 and found[-1, 0] == 9.0
  for x, y in ((6.0, -600), (6.5, -450), (7.0, -300), (7.5, -300),
               (8.0, -200), (9.0, 0)):  # fmt: skip
    assert np.interp(x, *found.T) == pytest.approx(y, abs=1e-9)


def _frontier(slope, saturation, plateau, noise=0.0):
  x = np.linspace(saturation - 3.5, saturation + 1.0, 90)
  y = np.clip(slope * (x - saturation), plateau, 0.0)
  return np.stack([x, y + noise * np.sin(40.0 * x)], axis=1)


@pytest.mark.parametrize("slope", [120.0, 500.0])
def test_one_slope_of_two_boards_is_found_between_their_clips(slope):
  frontiers = [_frontier(slope, 9.0, -600), _frontier(slope, 10.5, -900)]
  law = scaling.fit_law(frontiers, [-600.0, -900.0])
  assert law.slope == pytest.approx(slope, rel=1e-3)
  assert law.saturation == pytest.approx((9.0, 10.5), abs=1e-3)
  noisy = [_frontier(slope, 9.0, -600, 20.0), _frontier(slope, 10.5, -900, 20)]
  assert scaling.fit_law(noisy, [-600.0, -900.0]).slope == pytest.approx(
      slope, rel=0.05
  )
  fitted = scaling.fit_law(frontiers)
  assert fitted.slope == pytest.approx(slope, rel=1e-3)
  highest = [max(p, f[0, 1]) for p, f in zip((-600.0, -900.0), frontiers)]
  # A plateau that no agent is on is only known to be no higher.
  assert all(np.array(fitted.plateau) <= np.array(highest) + 0.1)
  inside = scaling.fit_inside(frontiers[0], -600.0)
  assert inside == pytest.approx(slope, rel=1e-3)
  assert scaling.fit_inside(frontiers[0][-5:], -600.0) is None  # All is won.


def _agents(num_widths, exchange):
  """Elo is 500 a decade of training, and as much as exchange says of test."""
  agents = []
  for i in range(num_widths):
    for n in (1, 4, 16, 64):
      train = np.linspace(5.0, 10.0, 26) + 0.4 * i
      test = 3.0 + 0.4 * i + np.log10(n)
      elo = 500.0 * (train - 10.0) + 500.0 / -exchange * (test - 4.0)
      elo = np.minimum(elo, 0.0)
      agents.append(Agents(train, test, elo[None], np.array([-900.0])))
  return agents


@pytest.mark.parametrize("exchange", [-1.2, -0.5])
def test_the_exchange_of_computes_is_found(exchange):
  agents = _agents(3, exchange)
  levels = (-600.0, -400.0, -200.0)
  rows = scaling.exchange(agents, [one.elo[0] for one in agents], levels)
  assert {row[2] for row in rows} == set(levels)
  for level in levels:  # No way is beaten in both.
    train, test, _ = rows[rows[:, 2] == level].T
    assert (np.diff(train) > 0).all() and (np.diff(test) < 0).all()
  slope, per_elo, _ = scaling.fit_exchange(rows)
  assert slope == pytest.approx(exchange, rel=1e-6)
  assert per_elo == pytest.approx(-exchange / 500.0, rel=1e-6)
  assert scaling.fit_exchange(rows[:1]) is None
  assert scaling.fit_within(rows) == pytest.approx(exchange, rel=1e-6)
  assert scaling.fit_within(rows[:1]) is None


def test_levels_may_be_apart_as_they_like():
  train = np.array([5.0, 6.0, 5.5, 7.0])
  test = -1.2 * train + np.array([9.0, 9.0, 2.0, 2.0])
  rows = np.stack([train, test, [-300.0, -300.0, -200.0, -200.0]], axis=1)
  assert scaling.fit_within(rows) == pytest.approx(-1.2)


def test_a_level_is_reached_between_two_points_or_not_at_all():
  train, elo = np.array([5.0, 6.0, 7.0]), np.array([-400.0, -200.0, -300.0])
  assert scaling.reach(train, elo, -300.0) == 5.5
  assert scaling.reach(train, elo, -100.0) is None
  assert scaling.reach(train, elo, -500.0) is None  # Where is not known.


def test_seeds_of_a_width_are_drawn_together():
  elo = np.arange(3.0)[:, None]
  agents = {8: [Agents(np.zeros(1), 0.0, elo, elo[:, 0])] * 2}
  rng = np.random.default_rng(0)
  draws = [scaling.resample(agents, rng)[8] for _ in range(50)]
  for one, other in draws:
    np.testing.assert_array_equal(one.elo, other.elo)
    np.testing.assert_array_equal(one.elo[:, 0], one.untrained)
    assert one.elo.shape == (2, 1)
  assert {float(x) for one, _ in draws for x in one.elo[:, 0]} == {
      0.0,
      1.0,
      2.0,
  }
  assert scaling.resample(agents, None) == agents


def test_everybody_meets_perfect_play_and_no_two_meet_twice():
  names = [f"a:{i}" for i in range(9)]
  matches = rate.draw_matches(names, 2)
  assert {a for a, b in matches if b == rate.PERFECT} == set(names)
  assert len({frozenset(m) for m in matches}) == len(matches)
  for name in names:
    assert sum(name in match for match in matches) >= 3


def test_moves_are_advised_or_drawn():
  config = config_lib.get_config("hex_3_4")
  agent = BoardAgent(config, make_networks(config, jax.random.key(0)))
  states = arena.openings(agent.environment, jax.random.key(0), 1024, 0)
  settings = BoardSettings.from_config(config)

  def choose(**how):
    action = rate.choose(
        agent.networks, jax.random.key(1), states,
        settings=settings, num_simulations=rate.POLICY, **how,
    )  # fmt: skip
    return np.bincount(action, minlength=9) / 1024

  head = jax.nn.softmax(agent.glance(states).prior_logits[0])
  assert choose()[head.argmax()] == 1.0
  np.testing.assert_allclose(choose(drawn=True), head, atol=0.06)


def test_an_arm_says_what_it_learns_from():
  few, more = map(config_lib.get_config, ("hex_4_16", "hex_4_16_n16"))
  assert (few.search.num_simulations, more.search.num_simulations) == (4, 16)
  assert few.model.width == more.model.width == 16
  # Whole games are stored before anything is learned.
  lane = more.replay.min_size // more.env.num_lanes
  assert lane == more.learn.unroll_steps + more.learn.td_steps + 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Two tiny runs on 3x3."""
  folder = tmp_path_factory.mktemp("runs")
  for seed in (0, 1):
    config = config_lib.get_config("hex_3_4")
    config.seed, config.num_steps, config.eval_every = seed, 128, 32
    config.eval_growth = 2.0
    config.env.num_lanes, config.self_play.num_plies = 16, 2
    config.learn.updates_per_env_step = 1 / 16
    config.replay.min_size, config.replay.batch_size = 32, 16
    config.replay.capacity, config.learn.td_steps = 1024, 2
    board_train.run_experiment(config, folder / f"hex_3_4_{seed}")
  return folder


def test_the_scripts_rate_and_fit_what_was_run(runs, tmp_path, monkeypatch):
  for module in (rate, fit):
    monkeypatch.setattr(module, "SIMULATIONS", (rate.POLICY, 4))
  monkeypatch.setattr(fit, "NUM_STEPS", {"hex_3": 128})
  words = [f"--runs={runs}", f"--out={tmp_path}", "--games", "hex_3"]
  _run(rate, *words, "--pairs=8")
  met = json.loads((tmp_path / "perfect_hex_3.json").read_text())
  assert set(met) == {"hex_3_4_0", "hex_3_4_1"}
  for rows in met.values():
    assert {row["env_steps"] for row in rows} == {0, 32, 64, 128}
    assert all(sum(row["pairs"]) == 8 for row in rows)
    # Of a pair one game is won by perfect play, whoever else plays.
    assert all(row["pairs"][2] == 0 for row in rows)
  _check_flops(json.loads((tmp_path / "flops_hex_3.json").read_text()))
  _run(fit, f"--out={tmp_path}", "--resamples=2")
  found = json.loads((tmp_path / "scaling.json").read_text())
  for name in ("frontier_direct", "frontier_pool"):
    slope = found[name]["hex_3"]
    assert slope["ci95"][0] <= slope["ci95"][1]
    assert np.isfinite(slope["slope"])
  assert found["untrained_direct"][0] < 0.0
  assert (tmp_path / "scaling.png").exists()
  # What is there is not done again.
  monkeypatch.setattr(rate, "meet_perfect", None)
  monkeypatch.setattr(rate, "meet_each_other", None)
  monkeypatch.setattr(rate, "count_flops", None)
  _run(rate, *words)


def _run(module, *words):
  options = module.parser().parse_args(words)
  options.run(options)


def _check_flops(found):
  """Those of the compiled programs are those of the layers, by hand."""
  [(width, cost)] = ((int(w), cost) for w, cost in found.items())
  forward = 2 * (18 * width + 4 * width**2 + width * 9 + width * 21)
  # The bare policy needs no value, and the compiler leaves it out.
  assert cost["test"]["0"] == forward - 2 * width * 21
  assert cost["test"]["4"] == 5 * forward
  # Acting, and one sample a move forward and back (not to the board).
  assert 5 * forward < cost["train"] < 5 * forward + 3.5 * forward
