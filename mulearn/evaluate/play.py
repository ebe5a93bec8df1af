"""Playing held-out games: one loop for every kind of player.

A player maps situations to commands. What a player may see is in its
`Situation`: the text, and the history that rebuilds the game (which only the
players that are allowed the true game use). Gold paths are another type.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Protocol

import jax
import numpy as np

from mulearn.act.agent import Agent
from mulearn.env.base import GameSpec, History, TextObservation
from mulearn.env.gold import GoldSource
from mulearn.env.pool import TextPool
from mulearn.parallel import hosts
from mulearn.prior.base import Prior
from mulearn.types import Array


@dataclasses.dataclass(frozen=True)
class Situation:
  """One game that waits for a command."""

  history: History
  observation: TextObservation


class Player(Protocol):
  """Chooses a command in each situation; consumes the key."""

  def __call__(
      self, rng_key: Array, situations: Sequence[Situation]
  ) -> list[str]:
    """One admissible command a situation."""


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How one game went.

  Attributes:
    seed: the game's seed.
    score: final, in [0, 1].
    success: the task was done.
    commands: what was played.
  """

  seed: int
  score: float
  success: bool
  commands: tuple[str, ...]


def play(
    player: Player,
    pool: TextPool,
    lanes: Sequence[int],
    *,
    fold: str,
    seeds: Sequence[int],
    rng_key: Array,
    on_finish: Callable[[int], None] = lambda count: None,
) -> list[Outcome]:
  """Plays every seed once; a lane that is done takes the next seed.

  Several processes share the seeds, play on their own, and tell each other in
  the end; all must call at once.

  Args:
    player: chooses commands.
    pool: hosts the games.
    lanes: of the pool, for this call's use.
    fold: "dev" or "test" (or "train").
    seeds: of the games.
    rng_key: consumed.
    on_finish: told how many games are finished here, for a progress bar.

  Returns:
    Outcomes in the order of the seeds.
  """
  if jax.process_count() > 1:
    rng_key = jax.random.fold_in(rng_key, jax.process_index())
  mine = [seeds[i] for i in hosts.part_of(len(seeds))]
  waiting = list(reversed(mine))
  outcomes: dict[int, Outcome] = {}
  active = {}

  def refill(free):
    resets = {lane: (waiting.pop(), fold) for lane in free if waiting}
    active.update(pool.reset(resets) if resets else {})

  refill(lanes)
  while active:
    rng_key, move_key = jax.random.split(rng_key)
    situations = [
        Situation(pool.history(lane), step.observation)
        for lane, step in active.items()
    ]
    commands = player(move_key, situations)
    active = pool.step(dict(zip(active, commands)))
    over = [k for k, s in active.items() if s.terminated or s.truncated]
    for lane in over:
      step, (seed, _, played) = active.pop(lane), pool.history(lane)
      outcomes[seed] = Outcome(seed, step.score, step.success, played)
    on_finish(len(outcomes))
    refill(over)
  found = hosts.gather_json([dataclasses.astuple(outcomes[k]) for k in mine])
  parts = {seed: (seed, *rest) for part in found for seed, *rest in part}
  return [_outcome(*parts[seed]) for seed in seeds]


def _outcome(seed, score, success, commands) -> Outcome:
  return Outcome(seed, score, success, tuple(commands))


def random_player() -> Player:
  """Any admissible command, with equal probability."""

  def choose(rng_key, situations):
    draws = np.asarray(jax.random.uniform(rng_key, (len(situations),)))
    return [
        s.observation.commands[int(u * len(s.observation.commands))]
        for u, s in zip(draws, situations)
    ]

  return choose


def prior_player(prior: Prior, *, sample: bool) -> Player:
  """The language model alone: its likeliest command, or a sample."""

  def choose(rng_key, situations):
    rows = prior([s.observation for s in situations])
    keys = jax.random.split(rng_key, len(rows))
    picks = [
        int(jax.random.categorical(key, row)) if sample else int(row.argmax())
        for key, row in zip(keys, rows)
    ]
    return [s.observation.commands[i] for s, i in zip(situations, picks)]

  return choose


def search_player(agent: Agent, *, batch_size: int) -> Player:
  """Search in the learned world, as in training but without exploration."""

  def choose(rng_key, situations):
    plan = agent.plan(
        rng_key,
        [s.observation for s in situations],
        batch_size=batch_size,
    )
    slots = np.asarray(plan.slot)
    return [s.observation.commands[i] for s, i in zip(situations, slots)]

  return choose


def policy_player(agent: Agent, *, batch_size: int) -> Player:
  """The policy head's likeliest command: no search, no language model."""

  def choose(rng_key, situations):
    del rng_key  # Deterministic.
    observations = [s.observation for s in situations]
    numbers, prior = agent.observe(observations, batch_size=batch_size)
    _, head = agent.glance(numbers, prior)
    slots = np.asarray(head).argmax(axis=-1)
    return [o.commands[i] for o, i in zip(observations, slots)]

  return choose


def gold_player(spec: GameSpec) -> Player:
  """Follows the simulator's own solution: the ceiling."""
  source = GoldSource(spec)

  def choose(rng_key, situations):
    del rng_key  # Deterministic.
    return [
        source.path(s.history[0], s.history[1]).commands[len(s.history[2])]
        for s in situations
    ]

  return choose
