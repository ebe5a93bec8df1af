"""One round of a board, as one compiled program: play, store, search, learn.

Every lane moves, the moves are stored, as many stored ones as the config asks
for are searched again, and the optimiser takes its steps. Nothing leaves the
device but metrics.

Lanes and replay are split in shards. Each plays its own lanes with keys of its
own, remembers what they did and samples its part of the batch from it; they meet
for the gradients and the metrics alone. A run begins with a shard a device, and
keeps their number: on fewer devices each does the work of several, with the same
draws.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from mulearn.act import self_play
from mulearn.act.board_agent import BoardSettings
from mulearn.act.self_play import Lanes
from mulearn.config import SelfPlayConfig
from mulearn.learn import crr
from mulearn.learn.board_step import BoardLearner
from mulearn.learn.reanalyse import refresh
from mulearn.model.board_world import BoardObservation
from mulearn.parallel.mesh import SHARDS, AxisName, shard_key
from mulearn.replay import buffer
from mulearn.replay.buffer import Replay
from mulearn.search.plan import improved_value
from mulearn.types import Array, PyTree, TrainState, Trajectory


@dataclasses.dataclass(frozen=True)
class Program:
  """What a round's compiled program depends on, compared by value.

  Attributes:
    settings: of the agent that searches.
    self_play: openings, temperature, number of plies.
    num_simulations: of each search.
    step_limit: moves until a game is cut.
    replay: how moves are stored and sampled, in each shard.
    num_updates: optimiser steps.
    num_reanalysed: stored moves of each shard that are searched again, before
      the steps.
    mesh: the devices; the data axis splits lanes and replay.
    shards_a_device: parts of a device's lanes and replay that draw apart.
    plays: False where the replay holds all that there is to learn from.
    teacher: of stored moves, see `LearnConfig`.
    advantage_scale: see `crr.weight`.
  """

  settings: BoardSettings
  self_play: SelfPlayConfig
  num_simulations: int
  step_limit: int
  replay: Replay
  num_updates: int
  num_reanalysed: int
  mesh: jax.sharding.Mesh
  shards_a_device: int = 1
  plays: bool = True
  teacher: str = "search"
  advantage_scale: float = 0.0

  @property
  def axis(self) -> AxisName:
    """By which shards are counted, and over which they meet."""
    return "data" if self.shards_a_device == 1 else SHARDS

  @property
  def num_shards(self) -> int:
    """On all devices."""
    return self.mesh.shape["data"] * self.shards_a_device

  def search_again(
      self, networks: PyTree, rng_key: Array, moves: Trajectory
  ) -> dict[str, Array]:
    """What these networks find at stored moves `[M]` of a shard."""
    observation = BoardObservation(moves.observation, moves.invalid)
    model = self.settings.model(networks)
    root_key, rng_key = jax.random.split(rng_key)
    root = model.root(root_key, observation, moves.prior_logits)
    if self.teacher == "critic":
      scale, root = self.advantage_scale, self.settings.without_chance(root)
      return crr.teach(model, rng_key, root, moves.action, scale=scale)
    plan = self.settings.plan_from(
        networks,
        rng_key,
        root,
        num_simulations=self.num_simulations,
        deterministic=False,
        mesh=None,
        axis=self.axis,
    )
    return {
        "policy": plan.policy,
        "improvement": plan.improvement,
        "value": improved_value(plan),
        "actions": plan.actions,
    }


class Static:
  """A learner as a static argument: arrays of symmetries do not hash."""

  def __init__(self, learner: BoardLearner):
    self.learner = learner
    self._key = (
        type(learner),
        learner.optimizer,
        learner.config,
        learner.support,
        learner.dtype,
    )
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
def play_round(
    state: TrainState,
    memory: PyTree,
    lanes: Lanes,
    act_key: Array,
    learn_key: Array,
    *,
    program: Program,
    learner: Static,
) -> tuple[TrainState, PyTree, Lanes, dict[str, Array]]:
  """One round.

  Args:
    state: of the optimiser, donated.
    memory: of the replay, donated.
    lanes: the games being played, donated.
    act_key: consumed by self-play.
    learn_key: consumed by Reanalyse and by learning.
    program: what is done.
    learner: how one learns.

  Returns:
    State, memory, lanes, and the round's metrics.
  """
  data, everywhere = PartitionSpec("data"), PartitionSpec()
  rings = buffer.layout(memory)
  axis = program.axis if program.num_shards > 1 else None
  round_of_a_shard = functools.partial(
      _round,
      program=program,
      learner=dataclasses.replace(learner.learner, axis=axis),
  )
  round_of_a_device = (
      round_of_a_shard
      if program.shards_a_device == 1
      else functools.partial(_rounds, program.shards_a_device, round_of_a_shard)
  )
  return jax.shard_map(
      round_of_a_device,
      mesh=program.mesh,
      in_specs=(everywhere, rings, data, everywhere, everywhere),
      out_specs=(everywhere, rings, data, everywhere),
      check_vma=False,
  )(state, memory, lanes, act_key, learn_key)


def _rounds(
    count: int,
    round_of_a_shard: Callable[..., Any],
    state: TrainState,
    memory: PyTree,
    lanes: Lanes,
    *keys: Array,
) -> tuple[TrainState, PyTree, Lanes, dict[str, Array]]:
  """`play_round` with the lanes and the memory of a device's several shards."""

  def split(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), tree)

  def join(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)

  by_shard = jax.tree.map(lambda x: None, memory).replace(experience=0)
  state, memory, lanes, metrics = jax.vmap(
      round_of_a_shard,
      in_axes=(None, by_shard, 0, *(None for _ in keys)),
      out_axes=(None, by_shard, 0, None),
      axis_name=SHARDS[-1],
  )(
      state,
      memory.replace(experience=split(memory.experience)),
      split(lanes),
      *keys,
  )
  memory = memory.replace(experience=join(memory.experience))
  return state, memory, join(lanes), metrics


def _round(
    state: TrainState,
    memory: PyTree,
    lanes: Lanes,
    act_key: Array,
    learn_key: Array,
    *,
    program: Program,
    learner: BoardLearner,
) -> tuple[TrainState, PyTree, Lanes, dict[str, Array]]:
  """`play_round` with the lanes and the memory of one shard."""
  axis = program.axis
  act_key = shard_key(act_key, program.mesh, axis)
  learn_key = shard_key(learn_key, program.mesh, axis)

  def plan(rng_key, env_state):
    return program.settings.plan(
        state.searcher,
        rng_key,
        env_state,
        num_simulations=program.num_simulations,
        deterministic=False,
        mesh=None,
        axis=axis,
    )

  metrics = {}
  if program.plays:
    lanes, moves, counts = self_play.play(
        lanes,
        act_key,
        plan=plan,
        environment=program.settings.environment,
        step_limit=program.step_limit,
        config=program.self_play,
    )
    metrics = jax.lax.psum(counts, axis)
    if learner.config.correction_steps:
      moves = moves._replace(born=jnp.full(moves.reward.shape, state.step))
    memory = program.replay.add(memory, moves)
  if program.num_reanalysed:
    reanalyse_key, learn_key = jax.random.split(learn_key)
    memory = refresh(
        memory,
        reanalyse_key,
        search=functools.partial(program.search_again, state.searcher),
        num_moves=program.num_reanalysed,
    )
  if program.num_updates:
    state, memory, learned = learner.learn(
        state,
        memory,
        learn_key,
        replay=program.replay,
        num_updates=program.num_updates,
    )
    metrics |= jax.lax.pmean(learned, axis)
  return state, memory, lanes, metrics
