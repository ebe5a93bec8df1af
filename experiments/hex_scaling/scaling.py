"""The two laws of Jones 2021, fitted to agents whose Elo and cost are known.

"Scaling scaling laws with board games", https://arxiv.org/abs/2104.03113. FLOPs
are logarithms to base 10 throughout.
"""

from collections.abc import Mapping, Sequence
import itertools
from typing import NamedTuple

import numpy as np
from scipy import optimize

PER_DECADE = 20  # Points of a frontier.


class Agents(NamedTuple):
  """Agents of one width as they learn, searching one number of simulations.

  Attributes:
    train: log FLOPs of training, ascending, `[T]`.
    test: log FLOPs of a move.
    elo: beside perfect play, one row a seed, `[S, T]`.
    untrained: the same before the first move, `[S]`.
  """

  train: np.ndarray
  test: float
  elo: np.ndarray
  untrained: np.ndarray


class Law(NamedTuple):
  """`elo = clip(slope (log10 FLOPs - saturation), plateau, 0)`.

  Attributes:
    slope: Elo a decade of FLOPs.
    saturation: of each board, log FLOPs from which play is perfect.
    plateau: of each board, Elo below which there is no agent.
  """

  slope: float
  saturation: tuple[float, ...]
  plateau: tuple[float, ...]


def frontier(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
  """The best Elo with no more than so much training.

  Between its points a curve goes straight over the logarithm of FLOPs, behind
  its last it stays.

  Args:
    curves: log FLOPs, ascending, and Elo, each `[T]`.

  Returns:
    Rows of log FLOPs, evenly spaced over all curves, and Elo, `[N, 2]`.
  """
  least = min(x[0] for x, _ in curves)
  most = max(x[-1] for x, _ in curves)
  grid = np.linspace(least, most, round(PER_DECADE * (most - least)) + 1)
  found = [np.interp(grid, x, y, left=-np.inf) for x, y in curves]
  best = np.maximum.accumulate(np.max(found, axis=0))
  return np.stack([grid, best], axis=1)


def fit_law(
    frontiers: Sequence[np.ndarray], plateaus: Sequence[float] | None = None
) -> Law:
  """Fits `Law` to the frontiers of several boards by least squares.

  Jones's change point: one slope for all boards, a saturation and a plateau for
  each (with him both are linear in the size of the board).

  Args:
    frontiers: of each board, see `frontier`.
    plateaus: of each board, less than 0; None fits them, too, as Jones does.

  Returns:
    The `Law`.
  """
  count = len(frontiers)

  def law(values: np.ndarray) -> Law:
    low = values[1 + count :] if plateaus is None else plateaus
    saturation = tuple(map(float, values[1 : 1 + count]))
    return Law(float(values[0]), saturation, tuple(map(float, low)))

  def residuals(values: np.ndarray) -> np.ndarray:
    parts = zip(frontiers, *law(values)[1:])
    return np.concatenate(
        [
            f[:, 1] - np.clip(values[0] * (f[:, 0] - end), plateau, 0.0)
            for f, end, plateau in parts
        ]
    )

  ends = [f[-1, 0] for f in frontiers]
  fits = []
  # From several beginnings: beyond a clip there is no slope.
  for slope, back, share in itertools.product(
      (50.0, 200.0, 800.0), (-0.5, 0.5, 1.5), (0.0, 0.5)
  ):
    low = [float(np.quantile(f[:, 1], share)) for f in frontiers]
    start = [slope, *(end - back for end in ends), *low]
    start = start if plateaus is None else start[: 1 + count]
    fits.append(optimize.least_squares(residuals, start, x_scale="jac"))
  return law(min(fits, key=lambda fit: fit.cost).x)


def fit_inside(
    found: np.ndarray, plateau: float, margin: float = 0.1
) -> float | None:
  """The slope of a plain line through the inner part of a frontier.

  Args:
    found: see `frontier`.
    plateau: Elo of what has not learned.
    margin: share of the way up from it that is left out at both ends.

  Returns:
    Elo a decade; None where fewer than two points are inside.
  """
  share = found[:, 1] / plateau
  inside = found[(share > margin) & (share < 1.0 - margin)]
  if len(inside) < 2:
    return None
  return float(np.polyfit(inside[:, 0], inside[:, 1], 1)[0])


def reach(train: np.ndarray, elo: np.ndarray, level: float) -> float | None:
  """Log FLOPs at which a curve `[T]` first is at a level, None if it never is.

  A curve that begins above it says nothing of where it would have crossed.
  """
  above = elo >= level
  i = int(above.argmax())
  if not above.any() or i == 0:
    return None
  share = (level - elo[i - 1]) / (elo[i] - elo[i - 1])
  return float(train[i - 1] + share * (train[i] - train[i - 1]))


def exchange(
    agents: Sequence[Agents], elo: Sequence[np.ndarray], levels: Sequence[float]
) -> np.ndarray:
  """The cheapest ways to each Elo: what no other way beats in both costs.

  Args:
    agents: of all widths and numbers of simulations.
    elo: of each, the curve `[T]` to be read.
    levels: Elo.

  Returns:
    Rows of log training FLOPs, log test FLOPs and level, `[N, 3]`.
  """
  rows = []
  for level in levels:
    ways = [
        (cost, one.test)
        for one, curve in zip(agents, elo)
        if (cost := reach(one.train, curve, level)) is not None
    ]
    least = np.inf
    for train, test in sorted(ways):
      if test < least:
        rows.append((train, test, level))
        least = test
  return np.array(rows).reshape(-1, 3)


def fit_exchange(rows: np.ndarray) -> np.ndarray | None:
  """`log test = a log train + b Elo + c`, Jones's plane, by least squares.

  Args:
    rows: see `exchange`.

  Returns:
    `a`, `b`, `c`; None where the rows do not decide them.
  """
  if not len(rows):
    return None
  design = np.column_stack([rows[:, 0], rows[:, 2], np.ones(len(rows))])
  found, _, rank, _ = np.linalg.lstsq(design, rows[:, 1], rcond=None)
  return found if rank == 3 else None


def fit_within(rows: np.ndarray) -> float | None:
  """The `a` of `fit_exchange` where each level has a `c` of its own.

  Args:
    rows: see `exchange`.

  Returns:
    Log test FLOPs for log training FLOPs; None where no level has two ways.
  """
  levels = [rows[rows[:, 2] == level, :2] for level in np.unique(rows[:, 2])]
  centred = [ways - ways.mean(axis=0) for ways in levels]
  train, test = np.concatenate([np.zeros((1, 2)), *centred]).T
  return float(train @ test / (train @ train)) if train.any() else None


def resample(
    agents: Mapping[int, Sequence[Agents]], rng: np.random.Generator | None
) -> dict[int, list[Agents]]:
  """Draws training seeds of each width anew, the same for all simulations.

  Of S seeds S - 1 are drawn, as in `statistics.bootstrap_ci` and for its reason.

  Args:
    agents: by width.
    rng: None keeps all seeds.

  Returns:
    Agents of the drawn seeds.
  """
  if rng is None:
    return {width: list(some) for width, some in agents.items()}
  drawn = {}
  for width, some in agents.items():
    num_seeds = len(some[0].elo)
    rows = rng.integers(num_seeds, size=max(num_seeds - 1, 1))
    drawn[width] = [
        one._replace(elo=one.elo[rows], untrained=one.untrained[rows])
        for one in some
    ]
  return drawn
