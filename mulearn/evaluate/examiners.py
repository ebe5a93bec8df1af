"""Who examines an agent: an examiner for each game that is solved."""

from collections.abc import Callable
import functools

from mulearn.evaluate import position_sets, solver
from mulearn.types import Array

# Agent and key -> `optimal_rate`, `policy_rate`, `value_error`, `sign_rate` as
# `solver.examine` has them, and whatever else there is to say of the game.
Examiner = Callable[[solver.Planner, Array], dict[str, float]]


def _by_table(
    agent: solver.Planner,
    rng_key: Array,
    *,
    solve: Callable[[], solver.Table],
) -> dict[str, float]:
  """Examines at every position of a game that is solved on the spot."""
  return solver.examine(agent, solve(), rng_key)


EXAMINERS: dict[str, Examiner] = {
    "connect_four": position_sets.examine,
} | {
    name: functools.partial(_by_table, solve=solve)
    for name, solve in solver.TABLES.items()
}
