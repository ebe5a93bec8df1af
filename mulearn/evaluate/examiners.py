"""Who examines an agent: an examiner for each game that runs are made of.

Where a game is solved, moves are held against perfect play. Where it is not,
the agent plays against a fixed opponent that has learnt nothing; that tells
whether a run learns, not how far it is from perfect. A game of one player is
judged by what is earned.
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple

import jax

from mulearn.env import atari, solo
from mulearn.env.hex import SIZES
from mulearn.evaluate import (
    arena,
    catch,
    dice,
    players,
    position_sets,
    returns,
    solver,
)
from mulearn.types import Array

# Agent and key -> a point of a run's curve. It holds one of `MEASURES`, and
# whatever else there is to say of the game.
Examiner = Callable[[Any, Array], dict[str, float]]


class Measure(NamedTuple):
  """By what a run is judged while it learns, the more the better.

  Attributes:
    words: for people.
    is_share: of the best that can be, 0 to 1.
  """

  words: str
  is_share: bool

  def show(self, value: float) -> str:
    """The value for people."""
    return f"{value:.2%}" if self.is_share else f"{value:.1f}"


MEASURES = {
    "optimal_rate": Measure("Optimal moves", is_share=True),
    "points": Measure("Points a game against the opponent", is_share=True),
    "mean_return": Measure("Mean return", is_share=False),
}


def measure_of(point: Mapping[str, float]) -> str:
  """Which of `MEASURES` a point of a curve holds.

  Raises:
    ValueError: it holds none.
  """
  for name in MEASURES:
    if name in point:
      return name
  raise ValueError(
      f"An examiner found {', '.join(point)}, of which a run cannot be judged;"
      f" it has to find one of {', '.join(MEASURES)}."
  )


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
    num_playouts: simulations of the opponent, one random game each; with 0 it
      plays at random.
    num_pairs: of games from one random opening of two moves.

  Returns:
    `points` a game with search, and `policy_points` of the bare policy: 1 is
    a game won, one half a draw.
  """
  environment = agent.environment
  opponent = (
      players.playout_player(environment, num_playouts)
      if num_playouts
      else players.random_player(environment)
  )
  search_key, policy_key = jax.random.split(rng_key)
  match = functools.partial(
      arena.match, environment, num_pairs=num_pairs, opening_plies=2
  )
  searched = match(players.agent_player(agent), opponent, search_key)
  bare = match(players.policy_player(agent), opponent, policy_key)
  return {"points": searched.points, "policy_points": bare.points}


# Where games are long, so are playouts. Random play is soon beaten: that tells
# whether a run learns at all.
_by_random = functools.partial(by_opponent, num_playouts=0, num_pairs=16)


def _by_few_episodes(agent: Any, rng_key: Array) -> dict[str, float]:
  """As many episodes as `config.env.num_eval_lanes` says: each is long."""
  return returns.examine(agent, rng_key, agent.config.env.num_eval_lanes)


EXAMINERS: dict[str, Examiner] = {
    **{f"hex_{size}": by_opponent for size in SIZES},
    **{name: _by_random for name in ("othello", "go_9x9", "gardner_chess")},
    "connect_four": position_sets.examine,
    **{
        name: functools.partial(_by_table, solve=solve)
        for name, solve in solver.TABLES.items()
    },
    **{name: returns.examine for name in solo.GAMES},
    **{name: _by_few_episodes for name in atari.GAMES},
    "catch": catch.examine,
    "dice": dice.examine,
}
