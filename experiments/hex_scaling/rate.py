"""Lets every agent that the runs kept meet perfect play, and counts FLOPs.

Three things are written for each board, and what is there is not done again:
`flops_*.json`, multiplications and additions of matrix products in the compiled
programs; `perfect_*.json`, every agent with several numbers of simulations against
the player that never errs; `pool_*.json`, agents with as many simulations as they
learned from against each other, as Jones rates them. `fit.py` reads them.

Players play the move that search advises, from random openings; or, with `--drawn`
and `--opening_plies=0`, moves drawn from the search's policy, from the empty board.
"""

import argparse
from collections.abc import Iterator
import functools
import json
import pathlib
from typing import Any

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np

from experiments.hex_scaling.config import NUM_STEPS
from mulearn import board_train
from mulearn.act.board_agent import BoardAgent, BoardSettings
from mulearn.config import Config, ModelConfig
from mulearn.env.games import make_environment
from mulearn.evaluate import arena, players
from mulearn.evaluate import hex as hex_lib
from mulearn.evaluate.ratings import Score
from mulearn.model.board_networks import Predictor
from mulearn.parallel import hlo
from mulearn.parallel.mesh import make_mesh
from mulearn.parallel.programs import programs
from mulearn.types import Array, PyTree

POLICY = 0  # Simulations of an agent that does not search.
SIMULATIONS = (POLICY, 2, 4, 8, 16, 32)
PERFECT = "perfect"

Counts = list[int]  # Pairs in which 0, 1 and 2 games were won.


def runs_of(folder: pathlib.Path, game: str) -> dict[str, pathlib.Path]:
  """The finished runs `<game>_<width>_<seed>` of a board, by that name."""
  found = sorted(folder.glob(f"{game}_*_*/results.json"))
  return {path.parent.name: path.parent for path in found}


def count(score: Score) -> Counts:
  """How many pairs brought 0, 1 and 2 points: Hex knows no draws."""
  points = score.games.sum(axis=1).astype(int)
  return np.bincount(points, minlength=3).tolist()


def choose(
    networks: Predictor,
    rng_key: Array,
    states: PyTree,
    *,
    settings: BoardSettings,
    num_simulations: int,
    drawn: bool = False,
) -> Array:
  """The moves `[B]` of an agent at states `[B]`, if asked drawn from a policy."""
  plan_key, move_key = jax.random.split(rng_key)
  if num_simulations == POLICY:
    node = settings.root(networks, plan_key, states)
    logits = jnp.where(node.invalid, -jnp.inf, node.prior_logits)
    advised = logits.argmax(-1)
  else:
    plan = settings.plan(
        networks, plan_key, states, num_simulations=num_simulations,
        deterministic=True, mesh=_mesh(),
    )  # fmt: skip
    logits, advised = jnp.log(plan.policy), plan.action
  return jax.random.categorical(move_key, logits) if drawn else advised


class Mover:
  """Agents of one board as compiled programs, which play and are counted."""

  def __init__(
      self, game: str, batch: int, opening_plies: int = 2, drawn: bool = False
  ):
    """Compiles nothing yet.

    Args:
      game: the board.
      batch: B, games that are played together.
      opening_plies: random moves before each pair; with none and nothing drawn
        all games of two players would be one.
      drawn: moves are drawn from the policy of the search.
    """
    self._game, self._batch = game, batch
    self._opening_plies, self._drawn = opening_plies, drawn
    environment = make_environment(game)
    self._states = arena.openings(environment, jax.random.key(0), batch, 0)
    self._compiled: dict[tuple[ModelConfig, int], jax.stages.Compiled] = {}

  def compiled(
      self, agent: BoardAgent, num_simulations: int
  ) -> jax.stages.Compiled:
    """Moves of agents with networks like this one's, and so many simulations."""
    key = agent.config.model, num_simulations
    if key not in self._compiled:
      static = functools.partial(
          choose,
          settings=BoardSettings.from_config(agent.config, evaluates=True),
          num_simulations=num_simulations,
          drawn=self._drawn,
      )
      lowered = jax.jit(static).lower(
          agent.networks, jax.random.key(0), self._states
      )
      self._compiled[key] = lowered.compile()
    return self._compiled[key]

  def player(self, agent: BoardAgent, num_simulations: int) -> players.Player:
    """The agent as it plays with so many simulations."""
    compiled = self.compiled(agent, num_simulations)
    return lambda key, states: compiled(agent.networks, key, states)

  def match(
      self, a: players.Player, b: players.Player, rng_key: Array
  ) -> Counts:
    """As many pairs of games as are played together, see `count`."""
    score = arena.match(
        make_environment(self._game), a, b, rng_key,
        num_pairs=self._batch, opening_plies=self._opening_plies,
    )  # fmt: skip
    return count(score)

  def flops(self, agent: BoardAgent, num_simulations: int) -> float:
    """FLOPs of one move, as `train_flops` counts them."""
    compiled = self.compiled(agent, num_simulations)
    return _flops(compiled, agent.config) / self._batch


def train_flops(config: Config) -> float:
  """FLOPs of a move of self-play and of what is learned meanwhile.

  Of matrix products in the compiled round, `parallel.hlo`: self-play, search and
  optimiser steps, over the moves of the round. XLA's own analysis would count
  the body of each loop once.
  """
  parts = programs(config, _mesh())
  compiled = parts.lower["learn"]().compile()
  return _flops(compiled, config) / parts.num_moves


def _mesh() -> jax.sharding.Mesh:
  return make_mesh(jax.local_devices()[:1])


def _flops(compiled: jax.stages.Compiled, config: Config) -> float:
  # Loops whose turns are not known descend in trees: nothing is multiplied.
  depth = config.search.max_depth
  return hlo.cost(compiled.as_text(), unknown_trips=depth).flops


def count_flops(runs: dict[str, pathlib.Path], mover: Mover) -> dict[str, Any]:
  """FLOPs a move of each width.

  Args:
    runs: of a board, by name.
    mover: plays them.

  Returns:
    For each width `train` and `test`, the latter by number of simulations.
  """
  found: dict[str, Any] = {}
  for path in runs.values():
    agent = board_train.restore_agent(path)
    width = str(agent.config.model.width)
    if width not in found:
      found[width] = {
          "train": train_flops(agent.config),
          "test": {str(n): mover.flops(agent, n) for n in SIMULATIONS},
      }
  return found


def meet_perfect(
    path: pathlib.Path, mover: Mover, stride: int
) -> Iterator[dict[str, Any]]:
  """Every agent of a run against perfect play, all with the same draws.

  Args:
    path: of the run.
    mover: plays.
    stride: of the points of the curve, from the last one back, at which all
      of `SIMULATIONS` are tried, not only as many as the run learned from.

  Yields:
    `env_steps`, `simulations` and `pairs`, see `count`.
  """
  agents = board_train.restore_agents(path)
  for i, (step, agent) in enumerate(reversed(agents.items())):
    perfect = hex_lib.perfect_player(agent.environment)
    learned = agent.config.search.num_simulations
    for n in SIMULATIONS if i % stride == 0 else (learned,):
      player = mover.player(agent, n)
      pairs = mover.match(player, perfect, jax.random.key(0))
      yield {"env_steps": step, "simulations": n, "pairs": pairs}


def meet_each_other(
    runs: dict[str, pathlib.Path], mover: Mover, num_opponents: int
) -> list[list[Any]]:
  """Every agent of all runs against some others and against perfect play.

  Jones lets all meet all, which for so many agents is out of reach; who meets
  whom is drawn.

  Args:
    runs: by name.
    mover: plays.
    num_opponents: others that each one challenges.

  Returns:
    Rows of two players, `run:env_steps` or `PERFECT`, and `count` of the first.
  """
  agents = {
      f"{name}:{step}": agent
      for name, path in runs.items()
      for step, agent in board_train.restore_agents(path).items()
  }
  environment = next(iter(agents.values())).environment
  everybody = {
      name: mover.player(agent, agent.config.search.num_simulations)
      for name, agent in agents.items()
  } | {PERFECT: hex_lib.perfect_player(environment)}
  rows = []
  for i, (a, b) in enumerate(draw_matches(list(agents), num_opponents)):
    key = jax.random.fold_in(jax.random.key(0), i)
    rows.append([a, b, mover.match(everybody[a], everybody[b], key)])
  return rows


def draw_matches(names: list[str], num_opponents: int) -> list[tuple[str, str]]:
  """Who meets whom, each two once: others at random, and all meet `PERFECT`."""
  rng = np.random.default_rng(0)
  pairs = set()
  for i in range(len(names)):
    others = np.delete(np.arange(len(names)), i)
    chosen = rng.permutation(others)[:num_opponents]
    pairs |= {(min(i, j), max(i, j)) for j in chosen.tolist()}
  met = [(names[i], names[j]) for i, j in sorted(pairs)]
  return met + [(name, PERFECT) for name in names]


def rate_game(game: str, options: argparse.Namespace) -> None:
  """Writes the files of a board; see the head of this file."""
  runs = runs_of(options.runs, game)
  mover = Mover(game, options.pairs, options.opening_plies, options.drawn)
  flops = options.out / f"flops_{game}.json"
  if not flops.exists():
    _write(flops, count_flops(runs, mover))
  path = options.out / f"perfect_{game}.json"
  met = json.loads(path.read_text()) if path.exists() else {}
  for name, run in runs.items():
    if name not in met:
      met[name] = list(meet_perfect(run, mover, options.stride))
      _write(path, met)
      print(name, met[name][0], flush=True)
  pool = options.out / f"pool_{game}.json"
  if not pool.exists():
    _write(pool, meet_each_other(runs, mover, options.opponents))


def _write(path: pathlib.Path, found: Any) -> None:
  path.write_text(json.dumps(found, separators=(",", ":")) + "\n")


def run(options: argparse.Namespace) -> None:
  """Rates all runs that there are."""
  logging.set_verbosity(logging.WARNING)
  options.out.mkdir(parents=True, exist_ok=True)
  for game in options.games:
    rate_game(game, options)


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  found.add_argument("--runs", type=pathlib.Path, required=True)
  found.add_argument("--out", type=pathlib.Path, required=True)
  found.add_argument("--games", nargs="+", default=list(NUM_STEPS))
  found.add_argument("--pairs", type=int, default=128, help="of a match")
  found.add_argument(
      "--stride", type=int, default=2,
      help="of the points of a curve at which all simulations are tried",
  )  # fmt: skip
  found.add_argument("--opponents", type=int, default=2)
  found.add_argument("--opening_plies", type=int, default=2)
  found.add_argument("--drawn", action="store_true")
  found.set_defaults(run=run)
  return found


if __name__ == "__main__":
  arguments = parser().parse_args()
  arguments.run(arguments)
