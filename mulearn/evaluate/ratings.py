"""Elo ratings from pairs of games, with intervals.

Ratings are those of Bradley and Terry 1952, "Rank analysis of incomplete block
designs", https://doi.org/10.2307/2334029, by maximum likelihood; a draw counts
as half a win. Intervals are the Bayesian bootstrap (Rubin 1981,
https://doi.org/10.1214/aos/1176345338) over pairs, since the two games of one
opening are not two independent games. Half a pair won and half a pair lost
(Jeffreys' prior) join every match: a match that was won throughout has no
greatest likelihood otherwise, and resampling it shows no doubt at all. `choix`
fits one table of results at a time; an interval needs thousands.
"""

import dataclasses
import math

import numpy as np

ELO_PER_NAT = 400.0 / math.log(10.0)
_PRIOR = 0.5  # Pairs won, and as many lost, that join every match.
_TAIL = 2.5  # Percent beyond each end of an interval.


@dataclasses.dataclass(frozen=True)
class Rating:
  """How strong a player is.

  Attributes:
    elo: beside the anchor's 0.
    ci95: the ends of its interval.
  """

  elo: float
  ci95: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Score:
  """What one player made of colour-reversed pairs against another.

  Attributes:
    games: points of each game of each pair, 0, 0.5 or 1, `[N, 2]`; the player
      began the first game of a pair and its opponent the second.
  """

  games: np.ndarray

  @property
  def points(self) -> float:
    """Points a game, from 0 to 1."""
    return float(self.games.mean())

  @property
  def counts(self) -> tuple[int, int, int]:
    """Games won, drawn and lost."""
    won, drawn, lost = (int((self.games == x).sum()) for x in (1.0, 0.5, 0.0))
    return won, drawn, lost

  def rating(self, num_resamples: int = 4000, seed: int = 0) -> Rating:
    """The difference to the opponent in Elo.

    Args:
      num_resamples: bootstrap draws.
      seed: of the draws.

    Returns:
      The difference, positive where the player is stronger.
    """
    table = {(0, 1): self}
    return rate(table, 2, 1, num_resamples=num_resamples, seed=seed)[0]

  def reversed(self) -> "Score":
    """The same games as the opponent sees them."""
    return Score(1.0 - self.games[:, ::-1])


def rate(
    scores: dict[tuple[int, int], Score],
    num_players: int,
    anchor: int,
    *,
    num_resamples: int = 4000,
    seed: int = 0,
) -> list[Rating]:
  """Rates all players of a tournament at once.

  Args:
    scores: of player i against player j at `(i, j)`, each match once.
    num_players: P.
    anchor: the player whose rating is 0.
    num_resamples: R, bootstrap draws.
    seed: of the draws; the same scores always get the same ratings.

  Returns:
    P ratings.
  """
  table = np.zeros((1, num_players, num_players))
  for (i, j), score in scores.items():
    pairs = _pairs(score)
    weights = _weights(len(pairs))
    table[0, i, j] = weights @ pairs
    table[0, j, i] = weights @ (1.0 - pairs)
  best = _to_elo(fit(table), anchor)
  draws = resample(
      scores, num_players, anchor, num_resamples=num_resamples, seed=seed
  )
  lo, hi = np.percentile(draws, [_TAIL, 100.0 - _TAIL], axis=0)
  return [
      Rating(float(best[0, i]), (float(lo[i]), float(hi[i])))
      for i in range(num_players)
  ]


def resample(
    scores: dict[tuple[int, int], Score],
    num_players: int,
    anchor: int,
    *,
    num_resamples: int = 4000,
    seed: int = 0,
) -> np.ndarray:
  """Rates all players as often as the pairs of games are drawn anew.

  Args:
    scores: as `rate` takes them.
    num_players: P.
    anchor: the player whose rating is 0.
    num_resamples: R, bootstrap draws.
    seed: of the draws.

  Returns:
    Elo of each player under each draw, `[R, P]`.
  """
  rng = np.random.default_rng(seed)
  draws = np.zeros((num_resamples, num_players, num_players))
  for (i, j), score in scores.items():
    pairs = _pairs(score)
    shape = _weights(len(pairs))
    weights = rng.standard_gamma(shape, (num_resamples, len(pairs)))
    weights *= shape.sum() / weights.sum(axis=1, keepdims=True)
    draws[:, i, j] = weights @ pairs
    draws[:, j, i] = weights @ (1.0 - pairs)
  return _to_elo(fit(draws), anchor)


def fit(wins: np.ndarray, num_steps: int = 100) -> np.ndarray:
  """The ratings under which these results are most likely.

  Newton's method on the logarithm of the likelihood, which is concave.

  Args:
    wins: of player i over player j, draws as halves, `[R, P, P]`; for each
      match both ends are more than 0.
    num_steps: the most steps.

  Returns:
    Strengths in nats, with mean 0, `[R, P]`: i beats j with probability
    `sigmoid(strength[i] - strength[j])`.
  """
  games = wins + wins.swapaxes(1, 2)
  eye = np.eye(wins.shape[1])
  strength = np.zeros(wins.shape[:2])
  for _ in range(num_steps):
    difference = strength[:, :, None] - strength[:, None, :]
    expected = 1.0 / (1.0 + np.exp(-difference))
    slope = (wins - games * expected).sum(axis=2)
    curve = games * expected * (1.0 - expected)
    # Ones where only differences matter: the mean stays where it is.
    hessian = curve.sum(axis=2)[:, :, None] * eye - curve + 1.0
    step = np.linalg.solve(hessian, slope[:, :, None])[:, :, 0]
    strength += np.clip(step, -1.0, 1.0)
    if np.abs(step).max() < 1e-9:
      break
  return strength - strength.mean(axis=1, keepdims=True)


def _to_elo(strength: np.ndarray, anchor: int) -> np.ndarray:
  return ELO_PER_NAT * (strength - strength[:, anchor : anchor + 1])


def _pairs(score: Score) -> np.ndarray:
  """Points of each pair, and of the two that join it, `[N + 2]`."""
  return np.concatenate([score.games.mean(axis=1), [1.0, 0.0]])


def _weights(num: int) -> np.ndarray:
  """How much each of `_pairs` counts, `[num]`."""
  return np.array([1.0] * (num - 2) + [_PRIOR] * 2)
