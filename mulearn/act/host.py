"""Doing: lanes of host-side text games, one planned command each at a time."""

from collections.abc import Sequence
import itertools
from typing import Any

import jax
import numpy as np

from mulearn.act.agent import Agent
from mulearn.env.base import TextObservation, TextStep, is_held_out
from mulearn.env.pool import TextPool
from mulearn.parallel import hosts
from mulearn.types import Array, Trajectory


class Actor:
  """Plays train games in the first lanes of a pool, for ever.

  Several processes play some of the lanes each. They agree on the episodes that
  have ended and on the numbers of the phrases, and on nothing else.

  Attributes:
    num_lanes: B, games that step together.
    episodes: finished so far, as (score, success) in order.
  """

  def __init__(
      self,
      pool: TextPool,
      *,
      num_lanes: int,
      num_games: int,
      lanes: Sequence[int] | None = None,
  ):
    """Does not start a game yet: call `start` or `restore`.

    Args:
      pool: hosts the games; its first lanes are the actor's.
      num_lanes: B, of all processes.
      num_games: train seeds that games are drawn from.
      lanes: which of the B are played here; None for all of them.
    """
    self._pool = pool
    self.num_lanes = num_lanes
    self._num_games = num_games
    self._lanes = list(range(num_lanes) if lanes is None else lanes)
    self._steps: list[TextStep] = []
    self.episodes: list[tuple[float, bool]] = []

  @property
  def started(self) -> bool:
    """Whether the lanes hold games."""
    return bool(self._steps)

  def survey(self) -> list[TextObservation]:
    """The first observation of every train game, in the order of seeds."""
    observations = []
    for start in range(0, self._num_games, len(self._lanes)):
      seeds = range(start, min(start + len(self._lanes), self._num_games))
      steps = self._pool.reset(
          {lane: (seed, "train") for lane, seed in enumerate(seeds)}
      )
      observations += [steps[lane].observation for lane in range(len(seeds))]
    return observations

  def recent(self, num_episodes: int = 100) -> dict[str, float]:
    """Mean score and success of the last episodes; empty before the first."""
    last = self.episodes[-num_episodes:]
    if not last:
      return {}
    score, success = np.mean(last, axis=0)
    return {
        "train/return": float(score),
        "train/success": float(success),
        "episodes": len(self.episodes),
    }

  def start(self, rng_key: Array) -> None:
    """Resets every lane to a game drawn with the key."""
    here = range(len(self._lanes))
    steps = self._reset(rng_key, here)
    self._steps = [steps[i] for i in here]

  def act(self, agent: Agent, rng_key: Array) -> Trajectory:
    """Plans and plays one command in every lane; all processes at once.

    Args:
      agent: plans; its phrase table learns what is read.
      rng_key: split into one key for search and one for the games that begin.

    Returns:
      The moves of this process's lanes, `[lanes, 1, ...]`, as numpy arrays.
    """
    search_key, reset_key = jax.random.split(rng_key)
    here = range(len(self._lanes))
    observations = [step.observation for step in self._steps]
    for new in hosts.gather_json(agent.phrases.unknown(observations)):
      agent.phrases.learn(new)
    numbers, prior = agent.observe(observations, batch_size=len(here))
    plan = agent.search(
        search_key,
        numbers,
        prior,
        num_simulations=agent.config.search.num_simulations,
        deterministic=False,
    )
    slots = np.asarray(plan.slot)
    answers = self._pool.step(
        {i: observations[i].commands[slots[i]] for i in here}
    )
    steps = [answers[i] for i in here]
    moves = Trajectory(
        observation=numbers,
        prior_logits=prior,
        invalid=numbers.invalid,
        policy=np.asarray(plan.policy),
        improvement=np.asarray(plan.improvement),
        value=np.asarray(plan.value),
        action=jax.tree.map(np.asarray, plan.action),
        reward=np.array([s.reward for s in steps], np.float32),
        discount=np.array([not s.terminated for s in steps], np.float32),
        truncated=np.array([s.truncated for s in steps], bool),
        held_out=np.array(
            [is_held_out(self._pool.history(i)[0]) for i in here]
        ),
    )
    self._advance(steps, reset_key)
    return jax.tree.map(lambda x: x[:, None], moves)

  def _advance(self, steps: list[TextStep], rng_key: Array) -> None:
    """Begins new games where the old ones are over."""
    over = [i for i, s in enumerate(steps) if s.terminated or s.truncated]
    ended = [(self._lanes[i], steps[i].score, steps[i].success) for i in over]
    everywhere = itertools.chain(*hosts.gather_json(ended))
    self.episodes += [tuple(episode) for _, *episode in sorted(everywhere)]
    fresh = self._reset(rng_key, over) if over else {}
    self._steps = [fresh.get(i, step) for i, step in enumerate(steps)]

  def _reset(self, rng_key: Array, places) -> dict[int, TextStep]:
    seeds = jax.random.randint(
        rng_key, (self.num_lanes,), 0, self._num_games
    ).tolist()
    return self._pool.reset(
        {i: (seeds[self._lanes[i]], "train") for i in places}
    )

  def save(self) -> dict[str, Any]:
    """The games of all processes as JSON: what rebuilds each, and the episodes.

    All processes must ask at once.
    """
    places = range(len(self._lanes) if self.started else 0)
    found = [(self._lanes[i], self._pool.history(i)) for i in places]
    everywhere = itertools.chain(*hosts.gather_json(found))
    return {
        "lanes": [history for _, history in sorted(everywhere)],
        "episodes": self.episodes,
    }

  def restore(self, saved: dict[str, Any]) -> None:
    """Replays the commands of the lanes that are played here."""
    lanes = self._lanes if saved["lanes"] else []
    histories = {}
    for i, lane in enumerate(lanes):
      seed, fold, commands = saved["lanes"][lane]
      histories[i] = (seed, fold, tuple(commands))
    steps = self._pool.restore_all(histories) if histories else {}
    self._steps = [steps[i] for i in range(len(steps))]
    self.episodes = [(score, success) for score, success in saved["episodes"]]
