"""One run on a board: its parts, how it begins, and what a checkpoint holds.

A game on the device needs no host: acting, remembering and learning of a round
are one compiled program, and nothing leaves the device but metrics.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from mulearn.act import self_play
from mulearn.act.board_agent import (
    BoardAgent,
    BoardSettings,
    make_environment,
    make_networks,
)
from mulearn.act.self_play import Lanes
from mulearn.checkpoint import Checkpointer
from mulearn.config import Config, PriorConfig, SelfPlayConfig
from mulearn.env import symmetry
from mulearn.learn.board_step import BoardLearner
from mulearn.learn.optimizer import make_optimizer
from mulearn.model.support import Support
from mulearn.replay.buffer import Replay, make_replay
from mulearn.types import Array, PyTree, TrainState, Trajectory

Point = dict[str, float]


@dataclasses.dataclass
class BoardRun:
  """The parts of a run, and the counters that place it in time.

  Attributes:
    config: of the run.
    agent: plans with the newest parameters.
    state: of the optimiser.
    memory: of the replay.
    lanes: the games being played.
    env_steps: moves played so far, over all lanes.
    seconds: that the run has taken so far.
    curve: what each examination found, so far.
  """

  config: Config
  agent: BoardAgent
  state: TrainState
  memory: PyTree
  lanes: Lanes
  env_steps: int = 0
  seconds: float = 0.0
  curve: list[Point] = dataclasses.field(default_factory=list)

  def save(self, checkpointer: Checkpointer) -> None:
    """Writes everything that decides the next step."""
    host = {
        "env_steps": self.env_steps,
        "seconds": self.seconds,
        "curve": self.curve,
    }
    arrays = (self.state, self.memory, self.lanes)
    checkpointer.save(self.env_steps, arrays, host)

  def restore(
      self, checkpointer: Checkpointer, step: int | None = None
  ) -> bool:
    """Puts back the newest good checkpoint, or that of a step.

    Args:
      checkpointer: of the run.
      step: environment steps at which the checkpoint was saved, or None.

    Returns:
      False if nothing has been saved.

    Raises:
      CheckpointError: there is none of that step, or none can be read.
    """
    like = (self.state, self.memory, self.lanes)
    found = checkpointer.restore(like, step=step)
    if found is None:
      return False
    _, (self.state, self.memory, self.lanes), host = found
    self.agent.networks = self.state.params
    self.env_steps = host["env_steps"]
    self.seconds = host["seconds"]
    self.curve = host["curve"]
    return True


def begin(config: Config, init_key: Array, start_key: Array) -> BoardRun:
  """A run before its first move: fresh parameters, lanes and memory.

  Args:
    config: of the run.
    init_key: of the parameters, consumed.
    start_key: of the first games, consumed.

  Returns:
    The `BoardRun`.
  """
  networks = make_networks(config, init_key)
  environment = make_environment(config.env.name)
  lanes = self_play.start(
      environment, start_key, config.env.num_lanes, config.self_play
  )
  return BoardRun(
      config=config,
      agent=BoardAgent(config, networks),
      state=TrainState(
          params=networks,
          opt_state=learner_of(config).optimizer.init(networks),
          step=jnp.zeros((), jnp.int32),
      ),
      memory=replay_of(config).init(_example_move(config)),
      lanes=lanes,
  )


def moves_per_round(config: Config) -> int:
  """Moves, over all lanes, between two rounds of learning."""
  return config.env.num_lanes * config.self_play.num_plies


def updates_per_round(config: Config) -> int:
  """Optimiser steps of a round: a fixed ratio to its moves.

  Raises:
    ValueError: if the ratio does not come out whole.
  """
  updates = config.learn.updates_per_env_step * moves_per_round(config)
  if updates < 1 or updates != int(updates):
    raise ValueError(
        "learn.updates_per_env_step x env.num_lanes x self_play.num_plies is"
        f" {updates:g}; a whole number of at least 1 is needed, so that data"
        " and updates keep their ratio whatever the speed."
    )
  return int(updates)


def replay_of(config: Config) -> Replay:
  """The replay of a run."""
  length = config.learn.unroll_steps + config.learn.td_steps + 1
  return make_replay(config.replay, config.env.num_lanes, length)


def learner_of(config: Config) -> BoardLearner:
  """How a run learns."""
  num_rounds = -(-config.num_steps // moves_per_round(config))
  num_updates = num_rounds * updates_per_round(config)
  return BoardLearner(
      optimizer=make_optimizer(config.learn, PriorConfig(), num_updates),
      config=config.learn,
      support=Support(config.model.num_bins, config.model.max_return),
      symmetries=symmetry.SYMMETRIES[config.env.name],
  )


def play_and_learn(
    run: BoardRun, act_key: Array, learn_key: Array, *, num_updates: int
) -> dict[str, Array]:
  """One round: every lane moves, the moves are stored, and learned from.

  Args:
    run: changed in place.
    act_key: consumed.
    learn_key: consumed.
    num_updates: optimiser steps; 0 only fills the replay.

  Returns:
    The round's metrics.
  """
  config = run.config
  run.state, run.memory, run.lanes, metrics = _round(
      run.state,
      run.memory,
      run.lanes,
      act_key,
      learn_key,
      program=_Program(
          BoardSettings.from_config(config),
          config.self_play,
          config.search.num_simulations,
          config.env.step_limit,
          replay_of(config),
          num_updates,
          run.agent.mesh,
      ),
      learner=_Static(learner_of(config)),
  )
  run.agent.networks = run.state.params
  run.env_steps += moves_per_round(config)
  return metrics


@dataclasses.dataclass(frozen=True)
class _Program:
  """What a round's compiled program depends on, compared by value."""

  settings: BoardSettings
  self_play: SelfPlayConfig
  num_simulations: int
  step_limit: int
  replay: Replay
  num_updates: int
  mesh: jax.sharding.Mesh


class _Static:
  """A learner as a static argument: arrays of symmetries do not hash."""

  def __init__(self, learner: BoardLearner):
    self.learner = learner
    self._key = (learner.optimizer, learner.config, learner.support)
    self._symmetries = learner.symmetries

  def __hash__(self) -> int:
    return hash(self._key)

  def __eq__(self, other: Any) -> bool:
    same = self._key == other._key
    return same and self._symmetries is other._symmetries


@functools.partial(
    jax.jit,
    static_argnames=("program", "learner"),
    donate_argnames=("state", "memory", "lanes"),
)
def _round(state, memory, lanes, act_key, learn_key, *, program, learner):
  def plan(rng_key, env_state):
    return program.settings.plan(
        state.params,
        rng_key,
        env_state,
        num_simulations=program.num_simulations,
        deterministic=False,
        mesh=program.mesh,
    )

  lanes, moves, metrics = self_play.play(
      lanes,
      act_key,
      plan=plan,
      environment=program.settings.environment,
      step_limit=program.step_limit,
      config=program.self_play,
  )
  memory = program.replay.add(memory, moves)
  if program.num_updates:
    state, memory, learned = learner.learner.learn(
        state,
        memory,
        learn_key,
        replay=program.replay,
        num_updates=program.num_updates,
    )
    metrics |= learned
  return state, memory, lanes, metrics


def _example_move(config: Config) -> Trajectory:
  """One move of zeros: the shapes and types that the replay stores."""
  environment = make_environment(config.env.name)
  actions = jnp.zeros(environment.num_actions)
  scalar, no = jnp.zeros(()), jnp.zeros((), bool)
  return Trajectory(
      observation=jnp.zeros(environment.observation_shape),
      prior_logits=actions,
      invalid=actions.astype(bool),
      policy=actions,
      improvement=actions,
      value=scalar,
      action=jnp.zeros((), jnp.int32),
      reward=scalar,
      discount=scalar,
      truncated=no,
      held_out=no,
  )
