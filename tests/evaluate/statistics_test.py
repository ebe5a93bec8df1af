"""Tests of intervals: known coverage, pairing, and what an overlap means."""

import numpy as np
import pytest

from mulearn.evaluate import statistics


def _episodes(arm, outcomes):
  """Makes results of an arm from outcomes `[seeds, games]`."""
  return [
      statistics.EpisodeResult(arm, s, g, bool(x), float(x) / 2, 5)
      for s, row in enumerate(outcomes)
      for g, x in enumerate(row)
  ]


def _coverage(num_seeds, seed_spread, game_spread, num_trials=200):
  """Fraction of simulated studies whose interval holds the true success."""
  rng = np.random.default_rng(0)
  # Symmetric spreads around even odds keep the true success at one half.
  held = 0
  for _ in range(num_trials):
    logits = seed_spread * rng.normal(size=(num_seeds, 1))
    logits = logits + game_spread * rng.normal(size=(1, 60))
    success = rng.random(logits.shape) < 1.0 / (1.0 + np.exp(-logits))
    lo, hi = statistics.bootstrap_ci(success.astype(float), num_resamples=800)
    held += lo <= 0.5 <= hi
  return held / num_trials


def test_coverage_of_plain_bernoulli_games_is_nominal():
  assert 0.92 <= _coverage(1, 0.0, 0.0) <= 0.99


def test_coverage_holds_where_games_differ_for_all_seeds_alike():
  assert 0.92 <= _coverage(3, 0.0, 2.0) <= 1.0


def test_coverage_of_three_unequal_seeds_is_at_least_as_documented():
  assert 0.85 <= _coverage(3, 0.5, 1.0) <= 1.0


def test_games_alone_would_not_cover_unequal_seeds():
  """The interval is wider than one that takes the seeds for granted."""
  values = np.repeat([[0.0], [0.5], [1.0]], 100, axis=1) * 0.9
  lo, hi = statistics.bootstrap_ci(values)
  assert lo == 0.0 and hi == pytest.approx(0.9)


def test_shared_games_are_wider_than_games_of_their_own():
  rng = np.random.default_rng(0)
  values = np.repeat(rng.random((1, 50)), 5, axis=0)
  crossed = statistics.bootstrap_ci(values)
  nested = statistics.bootstrap_ci(list(values))
  assert crossed[1] - crossed[0] > 1.5 * (nested[1] - nested[0])


def test_interval_of_the_mean_agrees_with_the_normal_one():
  values = np.random.default_rng(1).normal(size=400)
  lo, hi = statistics.bootstrap_ci(values)
  half = 1.96 * values.std() / 20
  np.testing.assert_allclose(
      [lo, hi], [values.mean() - half, values.mean() + half], atol=0.015
  )


def test_interval_is_deterministic_and_widens_with_confidence():
  values = np.random.default_rng(0).random((3, 40))
  assert statistics.bootstrap_ci(values) == statistics.bootstrap_ci(values)
  narrow = statistics.bootstrap_ci(values, confidence=0.5)
  wide = statistics.bootstrap_ci(values, confidence=0.99)
  assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_hundred_failures_do_not_prove_that_success_is_impossible():
  lo, hi = statistics.bootstrap_ci(np.zeros((3, 100)))
  assert lo == 0.0
  # Wilson: z^2 / (n + z^2) with z = 1.96 and n = 100.
  assert hi == pytest.approx(3.8415 / 103.8415, rel=1e-3)


def test_seeds_with_unequal_numbers_of_games_are_pooled():
  rows = [np.full(10, 0.25), np.full(30, 0.25)]
  assert statistics.bootstrap_ci(rows) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("values", [np.zeros((2, 0)), np.array([1.0, np.nan])])
def test_missing_values_are_refused(values):
  with pytest.raises(ValueError, match="finite"):
    statistics.bootstrap_ci(values)


def test_summary_holds_numbers_a_person_can_check():
  outcomes = [[1, 1, 0, 0], [1, 1, 1, 0]]
  summary = statistics.summarise(
      _episodes("muzero", outcomes) + _episodes("gold", [[1, 1, 1, 1]])
  )
  assert list(summary) == ["muzero", "gold"]
  muzero = summary["muzero"]
  assert muzero["success"] == 0.625
  assert muzero["return"] == 0.3125
  assert muzero["episodes"] == 8
  assert muzero["games"] == 4
  assert muzero["mean_steps"] == 5.0
  assert muzero["success_by_seed"] == {"0": 0.5, "1": 0.75}
  assert muzero["ci95"][0] < 0.625 < muzero["ci95"][1]
  assert summary["gold"]["return_ci95"] == [0.5, 0.5]


def test_order_of_episodes_does_not_matter():
  rng = np.random.default_rng(0)
  episodes = _episodes("a", rng.random((3, 20)) < 0.5)
  shuffled = [episodes[i] for i in rng.permutation(len(episodes))]
  assert statistics.summarise(episodes) == statistics.summarise(shuffled)


def test_an_episode_counted_twice_is_refused():
  episodes = _episodes("muzero", [[1, 0]])
  with pytest.raises(ValueError, match="two results for game 0"):
    statistics.summarise(episodes + episodes[:1])


def test_beats_needs_intervals_apart():
  high, low = {"ci95": [0.5, 0.7]}, {"ci95": [0.2, 0.4]}
  overlapping = {"ci95": [0.3, 0.5]}
  assert statistics.beats(high, low)
  assert not statistics.beats(low, high)
  assert not statistics.beats(high, overlapping)


def test_pairs_find_a_difference_that_separate_intervals_hide():
  base = np.arange(100) % 2
  better = base.copy()
  better[0:16:2] = 1  # the same wins, and eight more
  a, b = _episodes("a", [better]), _episodes("b", [base])
  summary = statistics.summarise(a + b)
  assert not statistics.beats(summary["a"], summary["b"])
  difference = statistics.compare(a, b)
  assert difference.mean == pytest.approx(0.08)
  assert difference.ci95[0] > 0.0
  assert difference.games == 100


def test_comparison_is_antisymmetric_in_its_mean():
  rng = np.random.default_rng(0)
  a = _episodes("a", rng.random((3, 30)) < 0.7)
  b = _episodes("b", rng.random((2, 30)) < 0.4)
  forth, back = statistics.compare(a, b), statistics.compare(b, a)
  assert forth.mean == pytest.approx(-back.mean)
  assert forth.ci95[0] < forth.mean < forth.ci95[1]


def test_comparison_uses_the_games_in_common():
  a = _episodes("a", [[1, 1, 1]])
  b = _episodes("b", [[0, 1]])
  assert statistics.compare(a, b).games == 2
  assert statistics.compare(a, b).mean == 0.5
  with pytest.raises(ValueError, match="no game in common"):
    statistics.compare(a, [])
