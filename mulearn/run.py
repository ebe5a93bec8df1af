"""One learning run: its parts, how it begins, and what a checkpoint holds."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec
import numpy as np

from mulearn.act.agent import Agent, make_networks
from mulearn.act.host import Actor
from mulearn.checkpoint import Checkpointer
from mulearn.config import Config, PriorConfig, choose, whole_count
from mulearn.env.base import GameSpec
from mulearn.env.pool import TextPool
from mulearn.learn import target_network
from mulearn.learn.optimizer import make_optimizer
from mulearn.model.networks import Action, Networks, Observation
from mulearn.model.phrases import PhraseTable
from mulearn.model.support import Support
from mulearn.parallel import hosts
from mulearn.parallel.mesh import make_arrays, make_mesh, placed
from mulearn.prior.base import Prior
from mulearn.prior.fusion import RULES
from mulearn.replay import buffer
from mulearn.replay.buffer import Replay, replay_of
from mulearn.types import Array, PyTree, TrainState, Trajectory


@dataclasses.dataclass
class Run:
  """The parts of a run, and the counters that place it in time.

  Attributes:
    config: of this arm and seed.
    agent: plans with the parameters that search: the newest, or their average
      (`learn.target_decay`).
    state: of the optimiser.
    memory: of the replay.
    actor: the lanes that act.
    env_steps: commands played so far, over all lanes.
    curve: (env_steps, success on dev games) so far.
    trust: (env_steps, weight of the language prior) so far.
    earlier_tokens: language-model tokens before the last restore.
  """

  config: Config
  agent: Agent
  state: TrainState
  memory: PyTree
  actor: Actor
  env_steps: int = 0
  curve: list[tuple[int, float]] = dataclasses.field(default_factory=list)
  trust: list[tuple[int, float]] = dataclasses.field(default_factory=list)
  earlier_tokens: int = 0

  @property
  def lm_tokens(self) -> int:
    """Tokens that language models were asked about; all processes ask at once."""
    [new] = hosts.total([self.agent.prior.num_tokens])
    return self.earlier_tokens + new

  def remember(self, moves: Trajectory) -> None:
    """Stores the moves of one act, those of this process's lanes."""
    self.memory = _add(
        self.memory,
        hosts.whole(moves, self.agent.mesh),
        replay=replay_of(self.config),
    )
    self.env_steps += self.actor.num_lanes

  def save(self, checkpointer: Checkpointer, *, wait: bool = True) -> None:
    """Writes everything that decides the next step; see `Checkpointer.save`."""
    table, texts = self.agent.phrases.save()
    host = {
        "env_steps": self.env_steps,
        "curve": self.curve,
        "trust": self.trust,
        "lm_tokens": self.lm_tokens,
        "phrases": texts,
        "actor": self.actor.save(),
    }
    arrays = (self.state, self.memory, table)
    step = int(self.state.step) + self.env_steps
    checkpointer.save(step, arrays, host, wait=wait)

  def restore(self, checkpointer: Checkpointer) -> bool:
    """Puts back the newest good checkpoint; False if there is none."""
    table, _ = self.agent.phrases.save()
    found = checkpointer.restore((self.state, self.memory, table))
    if found is None:
      return False
    _, (self.state, self.memory, table), host = found
    self.agent.networks = self.state.searcher
    self.agent.phrases.restore(table, host["phrases"])
    self.env_steps = host["env_steps"]
    self.curve = [tuple(point) for point in host["curve"]]
    self.trust = [tuple(point) for point in host["trust"]]
    self.earlier_tokens = host["lm_tokens"]
    self.actor.restore(host["actor"])
    return True


@functools.partial(jax.jit, static_argnames="replay", donate_argnames="memory")
def _add(memory: PyTree, moves: Trajectory, *, replay: Replay) -> PyTree:
  return replay.add(memory, moves)


def restore_networks(
    config: Config,
    checkpointer: Checkpointer,
    phrases: PhraseTable,
    step: int | None = None,
) -> Networks | None:
  """The parameters that search, and the phrases, of a run's checkpoint.

  Args:
    config: of the run.
    checkpointer: of the run.
    phrases: an empty table, which is filled.
    step: that the checkpoint was saved as; None takes the newest good one.

  Returns:
    The parameters, or None if nothing has been saved.

  Raises:
    CheckpointError: there is none of that step, or none can be read.
  """
  networks = jax.eval_shape(lambda: make_networks(config, jax.random.key(0)))
  name = target_network.searcher_name(config.learn.target_decay)
  # Named as in what `Run.save` writes, `(TrainState, memory, table)`.
  like = ({name: networks}, None, phrases.shapes())
  found = checkpointer.restore(like, step=step, partial=True)
  if found is None:
    return None
  _, (state, _, table), host = found
  phrases.restore(table, host["phrases"])
  return state[name]


def begin(
    config: Config,
    rng_key: Array,
    *,
    prior: Prior,
    embed: Callable,
    pool: TextPool,
) -> Run:
  """A run before its first step: fresh parameters, empty memory.

  Args:
    config: of this arm and seed.
    rng_key: of the parameters, consumed.
    prior: the language prior of the arm.
    embed: texts -> embeddings, of the learned world's encoder.
    pool: hosts the games.

  Returns:
    The `Run`; its phrase table has surveyed the train games.
  """
  mesh = make_mesh()
  reanalysed_per_act(config, mesh.shape["data"])  # Or refuses at once.
  actor = Actor(
      pool,
      num_lanes=config.env.num_lanes,
      num_games=config.env.num_train_games,
      lanes=hosts.rows_here(config.env.num_lanes, mesh).tolist(),
  )
  phrases = PhraseTable(embed, config.model, lead=hosts.lead)
  phrases.fit(actor.survey())
  make = functools.partial(fresh, config)
  state, memory = make_arrays(make, layout, mesh, rng_key)
  agent = Agent(config, state.searcher, phrases, prior, mesh)
  return Run(config, agent, state, memory, actor)


def fresh(config: Config, rng_key: Array) -> tuple[TrainState, PyTree]:
  """The arrays of a run before its first step; consumes the key."""
  state = target_network.first_state(
      make_networks(config, rng_key),
      learn_settings(config)["optimizer"],
      config.learn.target_decay,
  )
  return state, replay_of(config).init(_example_move(config))


def layout(
    arrays: tuple[TrainState, PyTree], mesh: Mesh
) -> tuple[TrainState, PyTree]:
  """Where the arrays of `fresh` live: rings are split by lanes, no others."""
  state, memory = arrays
  whole = jax.tree.map(lambda x: PartitionSpec(), state)
  return placed(mesh, (whole, buffer.layout(memory)))


def game_spec(config: Config) -> GameSpec:
  """The family of games that the config names."""
  return GameSpec(
      config.env.name, tuple(config.env.params.items()), config.env.step_limit
  )


def make_pool(config: Config) -> TextPool:
  """Games for acting in the first lanes and for evaluation in the others.

  Of several processes each hosts its part of the former.

  Raises:
    ValueError: the processes cannot share the lanes evenly.
  """
  return TextPool(
      game_spec(config),
      num_games=_num_lanes_here(config) + config.env.num_eval_lanes,
      num_processes=config.env.num_processes,
      timeout_seconds=config.env.timeout_seconds,
  )


def eval_lanes(config: Config) -> range:
  """The lanes of the pool that evaluation may use."""
  start = _num_lanes_here(config)
  return range(start, start + config.env.num_eval_lanes)


def _num_lanes_here(config: Config) -> int:
  lanes, parts = config.env.num_lanes, jax.process_count()
  if lanes % parts:
    raise ValueError(
        f"config.env.num_lanes is {lanes}, which {parts} processes cannot share"
        f" evenly: make it a multiple of {parts}, such as"
        f" {-(-lanes // parts) * parts}."
    )
  return lanes // parts


def updates_per_act(config: Config) -> int:
  """Optimiser steps after every act of all lanes; see `whole_count`."""
  return whole_count(
      "learn.updates_per_env_step",
      config.learn.updates_per_env_step,
      "env.num_lanes",
      config.env.num_lanes,
      at_least=1,
  )


def reanalysed_per_act(config: Config, num_shards: int = 1) -> int:
  """Stored moves that are searched again after every act.

  Raises:
    ValueError: if the shards cannot share them evenly.
  """
  count = whole_count(
      "replay.reanalysed_per_env_step",
      config.replay.reanalysed_per_env_step,
      "env.num_lanes",
      config.env.num_lanes,
  )
  if count % num_shards:
    raise ValueError(
        f"{count} stored moves are searched again after an act, which"
        f" {num_shards} devices cannot share evenly: make"
        " replay.reanalysed_per_env_step x env.num_lanes a multiple of"
        f" {num_shards}."
    )
  return count


def learn_settings(config: Config) -> dict[str, Any]:
  """The static arguments of `learn.step.train_step`."""
  num_updates = config.imitation_steps + (
      config.num_steps // config.env.num_lanes
  ) * updates_per_act(config)
  rule = PriorConfig(  # What of the prior the optimiser depends on.
      fusion=config.prior.fusion,
      trust=config.prior.trust,
      learn_trust=config.prior.learn_trust,
  )
  return {
      "optimizer": make_optimizer(config.learn, rule, num_updates),
      "config": config.learn,
      "support": Support.from_config(config.model),
      "fusion": choose(RULES, "prior.fusion", config.prior.fusion),
  }


def _example_move(config: Config) -> Trajectory:
  """One move of zeros: the shapes and types that the replay stores."""
  facts = np.zeros(config.model.max_facts, np.int32)
  slots = config.model.num_slots
  scalar = np.zeros((), np.float32)
  return Trajectory(
      observation=Observation(
          facts,
          facts,
          np.zeros(slots, np.int32),
          np.zeros(slots, np.float32),
          np.zeros(config.model.max_history, np.int32),
      ),
      prior_logits=np.zeros(slots, np.float32),
      invalid=np.zeros(slots, bool),
      policy=np.zeros(slots, np.float32),
      improvement=np.zeros(slots, np.float32),
      value=scalar,
      action=Action(np.zeros((), np.int32), scalar, scalar),
      reward=scalar,
      discount=scalar,
      truncated=np.zeros((), bool),
      held_out=np.zeros((), bool),
  )
