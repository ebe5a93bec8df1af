"""Doing: lanes of host-side text games, one planned command each at a time."""

from typing import Any

import jax
import numpy as np

from mulearn.act.agent import Agent
from mulearn.env.base import TextObservation, TextStep, is_held_out
from mulearn.env.pool import TextPool
from mulearn.types import Array, Trajectory


class Actor:
  """Plays train games in the first lanes of a pool, for ever.

  Attributes:
    num_lanes: B, games that step together.
    episodes: finished so far, as (score, success) in order.
  """

  def __init__(self, pool: TextPool, *, num_lanes: int, num_games: int):
    """Does not start a game yet: call `start` or `restore`.

    Args:
      pool: hosts the games.
      num_lanes: lanes `0..num_lanes-1` are the actor's.
      num_games: train seeds that games are drawn from.
    """
    self._pool = pool
    self.num_lanes = num_lanes
    self._num_games = num_games
    self._steps: list[TextStep] = []
    self.episodes: list[tuple[float, bool]] = []

  @property
  def started(self) -> bool:
    """Whether the lanes hold games."""
    return bool(self._steps)

  def survey(self) -> list[TextObservation]:
    """The first observation of every train game, in the order of seeds."""
    observations = []
    for start in range(0, self._num_games, self.num_lanes):
      seeds = range(start, min(start + self.num_lanes, self._num_games))
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
    steps = self._reset(rng_key, range(self.num_lanes))
    self._steps = [steps[lane] for lane in range(self.num_lanes)]

  def act(self, agent: Agent, rng_key: Array) -> Trajectory:
    """Plans and plays one command in every lane.

    Args:
      agent: plans; its phrase table learns what is read.
      rng_key: split into one key for search and one for the games that begin.

    Returns:
      The moves `[B, 1, ...]`, as numpy arrays.
    """
    search_key, reset_key = jax.random.split(rng_key)
    observations = [step.observation for step in self._steps]
    numbers, prior = agent.observe(
        observations, batch_size=self.num_lanes, learn=True
    )
    plan = agent.search(
        search_key,
        numbers,
        prior,
        num_simulations=agent.config.search.num_simulations,
        deterministic=False,
    )
    slots = np.asarray(plan.slot)
    answers = self._pool.step(
        {
            lane: observations[lane].commands[slots[lane]]
            for lane in range(self.num_lanes)
        }
    )
    steps = [answers[lane] for lane in range(self.num_lanes)]
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
            [
                is_held_out(self._pool.history(lane)[0])
                for lane in range(self.num_lanes)
            ]
        ),
    )
    self._advance(steps, reset_key)
    return jax.tree.map(lambda x: x[:, None], moves)

  def _advance(self, steps: list[TextStep], rng_key: Array) -> None:
    """Begins new games where the old ones are over."""
    over = [i for i, s in enumerate(steps) if s.terminated or s.truncated]
    self.episodes += [(steps[i].score, steps[i].success) for i in over]
    fresh = self._reset(rng_key, over) if over else {}
    self._steps = [fresh.get(i, step) for i, step in enumerate(steps)]

  def _reset(self, rng_key: Array, lanes) -> dict[int, TextStep]:
    seeds = jax.random.randint(
        rng_key, (self.num_lanes,), 0, self._num_games
    ).tolist()
    return self._pool.reset({lane: (seeds[lane], "train") for lane in lanes})

  def save(self) -> dict[str, Any]:
    """The games as JSON: what rebuilds each lane, and the episodes so far."""
    lanes = range(self.num_lanes if self.started else 0)
    return {
        "lanes": [self._pool.history(lane) for lane in lanes],
        "episodes": self.episodes,
    }

  def restore(self, saved: dict[str, Any]) -> None:
    """Replays every lane's commands; the inverse of `save`."""
    histories = {
        lane: (seed, fold, tuple(commands))
        for lane, (seed, fold, commands) in enumerate(saved["lanes"])
    }
    steps = self._pool.restore_all(histories) if histories else {}
    self._steps = [steps[lane] for lane in range(len(steps))]
    self.episodes = [(score, success) for score, success in saved["episodes"]]
