"""Who examines an agent: an examiner for each game that runs are made of.

Where a game is solved, moves are held against perfect play. Where it is not,
the agent plays against a fixed opponent that has learnt nothing; that tells
whether a run learns, not how far it is from perfect.
"""

from collections.abc import Callable, Mapping
import functools

import jax

from mulearn.env.hex import SIZES
from mulearn.evaluate import arena, players, position_sets, solver
from mulearn.types import Array

# Agent and key -> a point of a run's curve. It holds one of `MEASURES`, and
# whatever else there is to say of the game.
Examiner = Callable[[solver.Planner, Array], dict[str, float]]

# By what a run is judged while it learns, 0 to 1, in words.
MEASURES = {
    "optimal_rate": "Optimal moves",
    "points": "Points a game against plain search",
}


def measure_of(point: Mapping[str, float]) -> str | None:
  """Which of `MEASURES` a line of metrics holds; None if it is of no point."""
  return next((name for name in MEASURES if name in point), None)


def _by_table(
    agent: solver.Planner,
    rng_key: Array,
    *,
    solve: Callable[[], solver.Table],
) -> dict[str, float]:
  """Examines at every position of a game that is solved on the spot."""
  return solver.examine(agent, solve(), rng_key)


def by_opponent(
    agent: solver.Planner,
    rng_key: Array,
    *,
    num_playouts: int = 64,
    num_pairs: int = 32,
) -> dict[str, float]:
  """Lets the agent play against plain search with random playouts.

  Args:
    agent: plans and glances.
    rng_key: consumed.
    num_playouts: simulations of the opponent, one random game each.
    num_pairs: of games from one random opening of two moves.

  Returns:
    `points` a game with search, and `policy_points` of the bare policy: 1 is
    a game won, one half a draw.
  """
  environment = agent.environment
  opponent = players.playout_player(environment, num_playouts)
  search_key, policy_key = jax.random.split(rng_key)
  match = functools.partial(
      arena.match, environment, num_pairs=num_pairs, opening_plies=2
  )
  searched = match(players.agent_player(agent), opponent, search_key)
  bare = match(players.policy_player(agent), opponent, policy_key)
  return {"points": searched.points, "policy_points": bare.points}


EXAMINERS: dict[str, Examiner] = {
    **{f"hex_{size}": by_opponent for size in SIZES},
    "connect_four": position_sets.examine,
    **{
        name: functools.partial(_by_table, solve=solve)
        for name, solve in solver.TABLES.items()
    },
}
