r"""Moves a second of self-play, beside bare mctx and pgx's AlphaZero loop.

All three search with the same network, the same numbers and as many
simulations, on one device. Repetitions alternate; a ratio is the median
over them, with the lowest and the highest. Run it on a quiet machine:

  python -m benchmarks.search

Rows, for each game, number of lanes and number of simulations:

  search     one search a lane from positions of random play: ours, with its
             slots, over bare mctx. Visits must be equal, simulation by
             simulation.
  self-play  a block of plies up to what is learned from: ours with its replay,
             openings and temperature, over pgx's with its targets.
  learning   the same and one optimiser step for every so many moves: our round
             as a run has it, over pgx's shuffle and steps.
"""

import argparse
from collections.abc import Callable, Sequence
import dataclasses
import functools
import json
import os
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import pgx

from benchmarks import peer_loops
from benchmarks.lm import machine
from benchmarks.side_by_side import Report
from mulearn import board_run
from mulearn.act.board_agent import BoardSettings
from mulearn.config import Config
from mulearn.env.board import BoardGame
from mulearn.types import Array, PyTree

ROWS = ("search", "self-play", "learning")


@dataclasses.dataclass(frozen=True)
class Case:
  """One block of rows.

  Attributes:
    game: its name.
    lanes: games that step together.
    num_simulations: a move.
    plies: moves of a lane in each repetition of self-play.
    batch_size: samples of an optimiser step, and moves between two of them.
    width: of the network.
  """

  game: str
  lanes: int
  num_simulations: int
  plies: int
  batch_size: int
  width: int

  @property
  def name(self) -> str:
    """What the rows are called."""
    return f"{self.game} {self.lanes} lanes x {self.num_simulations}"

  def config(self) -> Config:
    """The run; search as pgx publishes it."""
    config = Config(num_steps=10**9)
    config.env.name = self.game
    config.env.num_lanes = self.lanes
    config.env.step_limit = 64
    config.model.kind = "simulator"
    config.model.width = self.width
    config.model.num_bins = 21
    config.model.max_return = 1.0
    config.search.num_simulations = self.num_simulations
    config.search.max_depth = self.num_simulations
    config.search.max_considered = 16
    config.search.value_scale = 0.1
    config.search.rescale_values = True
    config.self_play.num_plies = self.plies
    config.replay.capacity = 2 * self.lanes * self.plies
    config.replay.batch_size = self.batch_size
    config.learn.unroll_steps = 0
    config.learn.td_steps = min(8, self.plies - 1)
    config.learn.discount = 1.0
    config.learn.updates_per_env_step = 1 / self.batch_size
    return config


class Bench:
  """Ours and the others, ready to be timed; each call gives seconds."""

  def __init__(self, case: Case):
    self.case, self._config = case, case.config()
    keys = jax.random.split(jax.random.key(0), 4)
    init_key, start_key, opinion_key, self._key = keys
    self._run = board_run.begin(self._config, init_key, start_key)
    networks = with_opinions(self._run.state.params, opinion_key)
    self._run.state = dataclasses.replace(self._run.state, params=networks)
    self._settings = BoardSettings.from_config(self._config)
    # A copy: ours donates its own to every round.
    self._networks = jax.tree.map(jnp.array, networks)
    self._opt_state = peer_loops.OPTIMIZER.init(self._networks)
    self._peer = peer_loops.Peer(
        game=pgx.make(case.game),
        support=self._settings.support,
        search=self._config.search,
        num_simulations=case.num_simulations,
    )
    # The same random moves, by our rules and by pgx's.
    self._states, self._peer_states = (
        random_positions(game, jax.random.key(1), case.lanes)
        for game in (self._settings.environment, BoardGame(self._peer.game))
    )

  def equal_visits(self) -> float:
    """The share of visit counts, of all nodes, on which both agree."""
    ours, bare = self._search(True), self._search(False)
    return float(jnp.mean(ours == bare))

  def search(self, ours: bool) -> float:
    """One search of every position."""
    return _seconds(lambda: self._search(ours))

  def _search(self, ours: bool) -> Array:
    if ours:
      return _our_visits(
          self._networks, self._key, self._states, settings=self._settings,
          num_simulations=self.case.num_simulations, mesh=self._run.agent.mesh,
      )  # fmt: skip
    # Ours splits the key for its root, and folds in the number of the shard.
    key = jax.random.fold_in(jax.random.split(self._key)[1], 0)
    return _bare_visits(self._networks, key, self._peer_states, peer=self._peer)

  def self_play(self, ours: bool) -> float:
    """A block of plies, and what is learned from it."""
    key = self._next_key()
    if ours:
      return _seconds(lambda: self._round(key, 0))
    return _seconds(lambda: self._peer_samples(key))

  def learning(self, ours: bool) -> float:
    """The same, and learning from it."""
    key = self._next_key()
    if ours:
      updates = board_run.updates_per_round(self._config)
      return _seconds(lambda: self._round(key, updates))
    return _seconds(lambda: self._peer_learns(key))

  def learnable(self) -> float:
    """The share of pgx's samples that have a value target."""
    return float(self._peer_samples(self._key).mask.mean())

  def _round(self, key: Array, num_updates: int) -> PyTree:
    play = board_run.play_and_learn
    play(self._run, key, jax.random.fold_in(key, 1), num_updates=num_updates)
    return self._run.memory, self._run.state

  def _peer_samples(self, key: Array) -> peer_loops.Samples:
    return peer_loops.self_play(
        self._networks, key, peer=self._peer, lanes=self.case.lanes,
        plies=self.case.plies,
    )  # fmt: skip

  def _peer_learns(self, key: Array) -> PyTree:
    self._networks, self._opt_state = peer_loops.learn(
        self._networks, self._opt_state, self._peer_samples(key), key,
        peer=self._peer, batch_size=self.case.batch_size,
    )  # fmt: skip
    return self._networks

  def _next_key(self) -> Array:
    self._key, key = jax.random.split(self._key)
    return key


def with_opinions(networks: PyTree, rng_key: Array) -> PyTree:
  """The networks, no parameter of which is zero any more; consumes the key.

  Untrained heads are zero. Every move would tie with every other, and searches
  that agree on those need not agree.
  """
  leaves, structure = jax.tree.flatten(networks)
  keys = jax.random.split(rng_key, len(leaves))
  leaves = [
      leaf + 0.1 * jax.random.normal(key, leaf.shape)
      for leaf, key in zip(leaves, keys)
  ]
  return jax.tree.unflatten(structure, leaves)


def random_positions(environment: Any, rng_key: Array, count: int) -> PyTree:
  """Positions after 0 to 5 random moves, none of them over, `[count]`."""

  def move(state, ply_and_key):
    ply, key = ply_and_key
    invalid = jax.vmap(environment.invalid)(state)
    action = jax.random.categorical(key, jnp.where(invalid, -jnp.inf, 0.0))
    after = jax.vmap(environment.step)(state, action)
    moves = (ply < jnp.arange(count) % 6) & ~jax.vmap(environment.terminated)(
        after
    )

    def choose(a, b):
      return jnp.where(moves.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, after, state), None

  init_key, move_key = jax.random.split(rng_key)
  states = jax.vmap(environment.init)(jax.random.split(init_key, count))
  plies = jnp.arange(6), jax.random.split(move_key, 6)
  return jax.lax.scan(move, states, plies)[0]


@functools.partial(
    jax.jit, static_argnames=("settings", "num_simulations", "mesh")
)
def _our_visits(networks, rng_key, states, *, settings, **how) -> Array:
  plan = settings.plan(networks, rng_key, states, deterministic=False, **how)
  return plan.tree.children_visits


@functools.partial(jax.jit, static_argnames="peer")
def _bare_visits(networks, rng_key, states, *, peer) -> Array:
  found = peer.plan(networks, rng_key, states)
  return found.search_tree.children_visits


def _seconds(run: Callable[[], Any]) -> float:
  start = time.perf_counter()
  jax.block_until_ready(run())
  return time.perf_counter() - start


def measure(report: Report, case: Case, rows: Sequence[str]) -> None:
  """Adds these rows of a case."""
  bench, name = Bench(case), case.name
  report.value(f"{name}: equal visit counts", bench.equal_visits(), 1.0)
  moves = case.lanes * case.plies
  for row, run, other, goal, count in (
      ("search", bench.search, "bare mctx", 1.0, case.lanes),
      ("self-play", bench.self_play, "pgx", 1.3, moves),
      ("learning", bench.learning, "pgx", 1.3, moves),
  ):
    if row not in rows:
      continue
    report.compare(
        f"{name}: {row} / {other}",
        functools.partial(run, True),
        functools.partial(run, False),
        goal,
    )
    added = report.rows[-1]
    added["moves_per_second"] = count / added["seconds"]
    added["other_moves_per_second"] = count / added["other_seconds"]
    print(
        f"  moves a second: {added['moves_per_second']:,.0f} ours,"
        f" {added['other_moves_per_second']:,.0f} {other}",
        flush=True,
    )
  report.value(
      f"{name}: share of pgx's samples with a value", bench.learnable(), 0.0
  )


def cases(options: argparse.Namespace) -> list[Case]:
  """What is measured."""
  if options.small:
    return [Case("tic_tac_toe", 4, 4, plies=8, batch_size=16, width=16)]
  return [
      Case(game, lanes, simulations, options.plies, 1024, options.width)
      for game in options.games
      for lanes in options.lanes
      for simulations in options.simulations
  ]


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs all measurements and writes them as JSON."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      "--games", nargs="+", default=["connect_four", "tic_tac_toe"]
  )
  parser.add_argument("--lanes", nargs="+", type=int, default=[256, 1024])
  parser.add_argument("--simulations", nargs="+", type=int, default=[16, 32])
  parser.add_argument("--plies", type=int, default=32)
  parser.add_argument("--width", type=int, default=128)
  parser.add_argument("--repeats", type=int, default=5)
  parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
  parser.add_argument("--small", action="store_true", help="only to try it")
  parser.add_argument("--out", default="benchmarks/results/search.json")
  options = parser.parse_args(arguments)
  report, start = Report(options.repeats), machine()
  for case in cases(options):
    measure(report, case, options.rows)
  out = pathlib.Path(options.out)
  out.parent.mkdir(parents=True, exist_ok=True)
  record = {
      "before": start, "after": machine(), "devices": jax.device_count(),
      "options": vars(options), "rows": report.rows,
  }  # fmt: skip
  out.write_text(json.dumps(record, indent=2) + "\n")
  print(
      f"Load at the start and at the end: {start['load'][0]:.2f},"
      f" {os.getloadavg()[0]:.2f}. Written to {out}."
  )


if __name__ == "__main__":
  main()
