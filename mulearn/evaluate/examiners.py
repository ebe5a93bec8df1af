"""Who examines an agent: an examiner for each game that is solved or solo."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

from mulearn.env import solo
from mulearn.evaluate import position_sets, returns, solver
from mulearn.types import Array

# Agent and key -> what was found: `optimal_rate`, `policy_rate`, `value_error`,
# `sign_rate` as `solver.examine` has them, or what `returns.examine` has, and
# whatever else there is to say of the game.
Examiner = Callable[[Any, Array], dict[str, float]]


def _by_table(
    agent: solver.Planner,
    rng_key: Array,
    *,
    solve: Callable[[], solver.Table],
) -> dict[str, float]:
  """Examines at every position of a game that is solved on the spot."""
  return solver.examine(agent, solve(), rng_key)


EXAMINERS: dict[str, Examiner] = (
    {"connect_four": position_sets.examine}
    | {
        name: functools.partial(_by_table, solve=solve)
        for name, solve in solver.TABLES.items()
    }
    | {name: returns.examine for name in solo.GAMES}
)


def score_name(found: Mapping[str, float]) -> str:
  """Which of the findings is the score, the more the better."""
  return "mean_return" if "mean_return" in found else "optimal_rate"
