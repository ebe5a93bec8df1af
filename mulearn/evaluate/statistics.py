"""How sure a number is: intervals over training seeds and test games.

The score of an arm is an average over two random things at once: the seeds it
was trained with and the games it was tested on. Both are resampled here, so
that an interval speaks of new seeds on new games. `rliable` would bring nine
packages and resamples the seeds alone.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

Interval: TypeAlias = tuple[float, float]
Values: TypeAlias = np.ndarray | Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True)
class EpisodeResult:
  """One held-out game, played to its end by one trained agent.

  Attributes:
    arm: what played, e.g. `muzero_lm`.
    seed: the training seed of the agent (0 where nothing was trained).
    game: the test seed of the game.
    success: whether the game was won.
    score: undiscounted return of the episode.
    num_steps: commands that were used.
  """

  arm: str
  seed: int
  game: int
  success: bool
  score: float
  num_steps: int


@dataclasses.dataclass(frozen=True)
class Difference:
  """How much one arm exceeds another on the same games.

  Attributes:
    mean: average of (first arm minus second arm) over the shared games.
    ci95: its interval.
    games: number of games that both arms played.
  """

  mean: float
  ci95: Interval
  games: int


def bootstrap_ci(
    values: Values,
    confidence: float = 0.95,
    num_resamples: int = 4000,
    seed: int = 0,
) -> Interval:
  """Interval of the mean over new training seeds and new games.

  An array is crossed: every seed played the same games, so that a hard game is
  hard for all seeds. Rows and columns are resampled independently and meet in
  a product of weights, the pigeonhole bootstrap (Owen 2007, "The pigeonhole
  bootstrap", https://arxiv.org/abs/0712.1111). A list is nested: each seed
  played games of its own, which are resampled within the seed.

  From `S > 1` seeds, `S - 1` are drawn: the variance between three seeds would
  come out a third too small otherwise (Rao and Wu 1988, "Resampling inference
  with complex survey data"). Outcomes that are all 0 or 1 get at least Wilson's
  interval for as many games, since no resampling of 100 failures shows anything
  but failures. Simulated coverage of a nominal 0.95: 0.95 to 1 for one seed,
  and for three seeds unless they differ as much as games do (then 0.89).

  Args:
    values: outcomes `[seeds, games]` or `[games]`, or a list of `[games_i]`,
      one for each seed.
    confidence: nominal probability that the interval holds the true mean.
    num_resamples: bootstrap draws.
    seed: of the draws; the same values always get the same interval.

  Returns:
    The ends of the percentile interval, `(lo, hi)`.

  Raises:
    ValueError: if there are no values, or some are not finite.
  """
  rng = np.random.default_rng(seed)
  if isinstance(values, np.ndarray):
    crossed = _checked(np.atleast_2d(values))
    draws = _crossed_draws(crossed, num_resamples, rng)
    pooled, num_games = crossed.ravel(), crossed.shape[1]
  else:
    rows = [_checked(np.asarray(row)) for row in values]
    draws = _nested_draws(rows, num_resamples, rng)
    pooled, num_games = np.concatenate(rows), sum(map(len, rows))
  tail = (1.0 - confidence) / 2.0
  lo, hi = np.quantile(draws, [tail, 1.0 - tail])
  if np.isin(pooled, (0.0, 1.0)).all():
    wilson_lo, wilson_hi = _wilson(pooled.mean(), num_games, confidence)
    lo, hi = min(lo, wilson_lo), max(hi, wilson_hi)
  return float(lo), float(hi)


def summarise(results: Iterable[EpisodeResult]) -> dict[str, dict[str, Any]]:
  """Summarises every arm: success and return with their intervals.

  Args:
    results: all episodes of all arms, in any order, each once.

  Returns:
    For each arm, in order of appearance: `success`, `ci95`, `return`,
    `return_ci95`, `episodes`, `games` (distinct), `mean_steps` (of an episode)
    and `success_by_seed`.

  Raises:
    ValueError: if an arm holds an episode twice.
  """
  by_arm = collections.defaultdict(list)
  for result in results:
    by_arm[result.arm].append(result)
  return {arm: _summarise_arm(episodes) for arm, episodes in by_arm.items()}


def beats(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
  """Whether the success interval of `a` lies wholly above that of `b`.

  Overlapping intervals do not show that two arms are alike: see `compare`.

  Args:
    a: summary of an arm, with `ci95`.
    b: summary of another.
  """
  return a["ci95"][0] > b["ci95"][1]


def compare(
    a: Iterable[EpisodeResult],
    b: Iterable[EpisodeResult],
    field: str = "success",
    num_resamples: int = 4000,
    seed: int = 0,
) -> Difference:
  """Difference of two arms on the games both played, with its interval.

  Games are resampled in pairs, so that their difficulty cancels; the seeds of
  the two arms were trained apart and are resampled apart.

  Args:
    a: episodes of one arm.
    b: episodes of another.
    field: `success`, `score` or `num_steps`.
    num_resamples: bootstrap draws.
    seed: of the draws.

  Returns:
    Mean of `a - b` and its 95 % interval.

  Raises:
    ValueError: if no game was played by all seeds of both arms.
  """
  tables = [_by_seed_and_game(list(arm), field) for arm in (a, b)]
  rows = [row for table in tables for row in table.values()]
  games = sorted(set.intersection(*map(set, rows))) if all(tables) else []
  if not games:
    raise ValueError(
        "The two arms have no game in common that all their seeds played; "
        "evaluate both on the same test seeds."
    )
  first, second = (
      np.array([[row[game] for game in games] for row in table.values()])
      for table in tables
  )
  rng = np.random.default_rng(seed)
  game_weights = _weights(len(games), len(games), num_resamples, rng)
  draws = _crossed_draws(first, num_resamples, rng, game_weights)
  draws -= _crossed_draws(second, num_resamples, rng, game_weights)
  lo, hi = np.quantile(draws, [0.025, 0.975])
  return Difference(
      mean=float(first.mean() - second.mean()),
      ci95=(float(lo), float(hi)),
      games=len(games),
  )


def _summarise_arm(episodes: list[EpisodeResult]) -> dict[str, Any]:
  success = _by_seed_and_game(episodes, "success")
  returns = _by_seed_and_game(episodes, "score")
  return {
      "success": float(np.mean([e.success for e in episodes])),
      "ci95": list(bootstrap_ci(_values(success))),
      "return": float(np.mean([e.score for e in episodes])),
      "return_ci95": list(bootstrap_ci(_values(returns))),
      "episodes": len(episodes),
      "games": len({e.game for e in episodes}),
      "mean_steps": float(np.mean([e.num_steps for e in episodes])),
      "success_by_seed": {
          str(seed): float(np.mean(list(row.values())))
          for seed, row in success.items()
      },
  }


def _by_seed_and_game(
    episodes: list[EpisodeResult], field: str
) -> dict[int, dict[int, float]]:
  """Sorts a field of the episodes into `table[seed][game]`."""
  table: dict[int, dict[int, float]] = collections.defaultdict(dict)
  for episode in sorted(episodes, key=lambda e: (e.seed, e.game)):
    row = table[episode.seed]
    if episode.game in row:
      raise ValueError(
          f"Arm {episode.arm!r} has two results for game {episode.game} with "
          f"training seed {episode.seed}; expected one. Remove the repeated "
          "episodes before summarising."
      )
    row[episode.game] = float(getattr(episode, field))
  return dict(table)


def _values(table: dict[int, dict[int, float]]) -> Values:
  """Returns a crossed array if all seeds played the same games, else a list."""
  rows = [np.array(list(row.values())) for row in table.values()]
  games = [tuple(row) for row in table.values()]
  return np.stack(rows) if len(set(games)) == 1 else rows


def _checked(values: np.ndarray) -> np.ndarray:
  if not values.size or not np.isfinite(values).all():
    raise ValueError(
        f"Got values of shape {values.shape}, expected at least one value and "
        "all of them finite; check that every arm has played its games."
    )
  return values.astype(np.float64)


def _weights(
    num_items: int, num_draws: int, num_resamples: int, rng: np.random.Generator
) -> np.ndarray:
  """Draws weights that sum to 1, of resampled items, `[R, num_items]`."""
  counts = rng.multinomial(
      num_draws, np.full(num_items, 1.0 / num_items), size=num_resamples
  )
  return counts / num_draws


def _crossed_draws(
    values: np.ndarray,
    num_resamples: int,
    rng: np.random.Generator,
    game_weights: np.ndarray | None = None,
) -> np.ndarray:
  """Resamples the mean of `values` `[S, G]` by rows and columns, `[R]`."""
  num_seeds, num_games = values.shape
  if game_weights is None:
    game_weights = _weights(num_games, num_games, num_resamples, rng)
  seed_weights = _weights(num_seeds, max(num_seeds - 1, 1), num_resamples, rng)
  return np.sum((seed_weights @ values) * game_weights, axis=1)


def _nested_draws(
    rows: list[np.ndarray], num_resamples: int, rng: np.random.Generator
) -> np.ndarray:
  """Resamples the mean of each row, then the rows, `[R]`."""
  means = np.stack(
      [_weights(len(r), len(r), num_resamples, rng) @ r for r in rows], axis=1
  )
  lengths = np.array([len(row) for row in rows], np.float64)
  seed_weights = _weights(len(rows), max(len(rows) - 1, 1), num_resamples, rng)
  # A seed that played more games counts for more, as in the pooled mean.
  seed_weights = seed_weights * lengths
  seed_weights /= seed_weights.sum(axis=1, keepdims=True)
  return np.sum(means * seed_weights, axis=1)


def _wilson(mean: float, num_trials: int, confidence: float) -> Interval:
  """Wilson's score interval (1927, "Probable inference")."""
  z = stats.norm.ppf((1.0 + confidence) / 2.0)
  shrink = 1.0 + z**2 / num_trials
  centre = (mean + z**2 / (2 * num_trials)) / shrink
  spread = mean * (1.0 - mean) / num_trials + (z / (2 * num_trials)) ** 2
  half = z * np.sqrt(spread) / shrink
  return max(centre - half, 0.0), min(centre + half, 1.0)
