"""Ratings against numbers a person can check."""

import numpy as np
import pytest

from mulearn.evaluate import ratings
from mulearn.evaluate.ratings import Score


def _score(*pairs, times=1):
  return Score(np.array(pairs * times, float))


def test_three_of_four_points_are_191_elo():
  rating = _score((1.0, 1.0), (1.0, 0.0), times=500).rating()
  assert rating.elo == pytest.approx(400 * np.log10(3), abs=1.0)
  # One point in four is lost; the deviation of a pair's mean is 1/4.
  error = 0.25 / np.sqrt(1000) * 400 / np.log(10) / (0.75 * 0.25)
  half = 1.96 * error
  np.testing.assert_allclose(
      rating.ci95, [rating.elo - half, rating.elo + half], atol=0.15 * half
  )


def test_draws_count_half_and_the_opponent_sees_the_opposite():
  score = _score((1.0, 0.5), (0.5, 0.0), (0.0, 1.0), (1.0, 1.0))
  assert score.points == 0.625 and score.counts == (4, 2, 2)
  other = score.reversed()
  assert other.points == 0.375 and other.counts == (2, 2, 4)
  assert other.rating().elo == pytest.approx(-score.rating().elo)


def test_the_interval_is_over_pairs_not_games():
  """Openings that decide both games are pairs of 1 and of 0."""
  lucky = _score((1.0, 1.0), (0.0, 0.0), times=100).rating()
  fair = _score((1.0, 0.0), (0.0, 1.0), times=100).rating()
  assert lucky.elo == pytest.approx(fair.elo, abs=1e-6)
  width = [np.ptp(r.ci95) for r in (lucky, fair)]
  assert width[1] < 0.2 * width[0]


def test_a_match_won_throughout_has_a_finite_and_wide_interval():
  few, many = (_score((1.0, 1.0), times=n).rating() for n in (10, 1000))
  # Half a pair was lost: 21 to 1 and 2001 to 1.
  assert few.elo == pytest.approx(400 * np.log10(21), abs=0.1)
  assert many.elo == pytest.approx(400 * np.log10(2001), abs=0.1)
  for rating in (few, many):
    assert np.isfinite(rating.ci95).all()
    assert rating.ci95[1] - rating.elo > 300 and rating.elo > rating.ci95[0]
  # Of ten pairs, more than one in four lost would have shown (.75^10 = .056).
  assert 100 < few.ci95[0] < 400 * np.log10(10)


def test_the_fit_has_the_likelihoods_own_answer():
  """At the maximum everybody has the points that were to be expected."""
  rng = np.random.default_rng(0)
  wins = rng.uniform(0.1, 30.0, (5, 6, 6)) * rng.uniform(0, 1, (5, 6, 6)) ** 3
  wins *= 1.0 - np.eye(6)
  strength = ratings.fit(wins)
  expected = 1 / (1 + np.exp(strength[:, None, :] - strength[:, :, None]))
  games = wins + wins.swapaxes(1, 2)
  np.testing.assert_allclose((games * expected).sum(2), wins.sum(2), rtol=1e-6)
  np.testing.assert_allclose(strength.sum(axis=1), 0.0, atol=1e-9)


def test_far_apart_players_are_fitted_too():
  wins = np.array([[0.0, 5e3, 5e3], [0.5, 0.0, 5e3], [1e-3, 0.5, 0.0]])
  strength = ratings.fit(wins[None])[0]
  expected = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
  games = wins + wins.T
  np.testing.assert_allclose(
      (games * expected).sum(axis=1), wins.sum(axis=1), rtol=1e-6
  )


def test_a_tournament_is_anchored_and_adds_up():
  scores = {
      (0, 1): _score((1.0, 1.0), (1.0, 0.0), times=100),  # +191
      (1, 2): _score((1.0, 1.0), (1.0, 0.0), times=100),  # +191
      (0, 2): _score(*[(1.0, 1.0)] * 9, (0.0, 0.0), times=100),  # 9:1 = +382
  }
  rated = ratings.rate(scores, 3, anchor=1)
  assert rated[1].elo == 0.0 and rated[1].ci95 == (0.0, 0.0)
  assert rated[0].elo == pytest.approx(190.8, abs=2.0)
  assert rated[2].elo == pytest.approx(-190.8, abs=2.0)
  for rating in (rated[0], rated[2]):
    assert rating.ci95[0] < rating.elo < rating.ci95[1]
  again = ratings.rate(scores, 3, anchor=1)
  assert again == rated
  moved = ratings.rate(scores, 3, anchor=2)
  assert moved[0].elo - moved[1].elo == pytest.approx(rated[0].elo)


def test_the_interval_covers_the_truth_as_often_as_it_says():
  rng = np.random.default_rng(1)
  truth, num, inside = 400 * np.log10(0.7 / 0.3), 300, 0
  for trial in range(num):
    games = (rng.random((40, 2)) < 0.7).astype(float)
    lo, hi = Score(games).rating(num_resamples=300, seed=trial).ci95
    inside += lo < truth < hi
  assert 0.91 < inside / num < 0.98


def test_an_interval_is_the_middle_of_the_draws():
  scores = {(0, 1): _score((1.0, 0.0), (1.0, 1.0), times=20)}
  draws = ratings.resample(scores, 2, 1)
  rated, _ = ratings.rate(scores, 2, 1)
  assert draws.shape == (4000, 2) and not draws[:, 1].any()
  np.testing.assert_allclose(
      np.percentile(draws[:, 0], [2.5, 97.5]), rated.ci95
  )
