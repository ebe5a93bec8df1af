"""One run on a board: its parts, how it begins, and what a checkpoint holds.

A game on the device needs no host: acting, remembering and learning of a round
are one compiled program, and nothing leaves the device but metrics.
"""

import dataclasses
import functools

from absl import logging
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from mulearn.act import self_play
from mulearn.act.board_agent import BoardAgent, BoardSettings
from mulearn.act.self_play import Lanes
from mulearn.checkpoint import Checkpointer
from mulearn.config import Config, PriorConfig, whole_count
from mulearn.env import symmetry
from mulearn.env.games import action_size, make_environment
from mulearn.learn import board_round, learners, target_network
from mulearn.learn.board_step import BoardLearner
from mulearn.learn.optimizer import make_optimizer
from mulearn.model.board_kinds import check_game, make_networks
from mulearn.model.board_networks import Predictor
from mulearn.model.support import Support
from mulearn.parallel.mesh import make_arrays, make_mesh, placed
from mulearn.replay import buffer, demonstrations, recorded
from mulearn.replay.buffer import replay_of
from mulearn.types import Array, PyTree, TrainState, Trajectory

Point = dict[str, float]


@dataclasses.dataclass
class BoardRun:
  """The parts of a run, and the counters that place it in time.

  Attributes:
    config: of the run.
    agent: plans with the parameters that search: the newest, or their average
      (`learn.target_decay`).
    state: of the optimiser.
    memory: of the replay.
    lanes: the games being played.
    num_shards: parts of lanes and replay that draw apart.
    env_steps: moves played so far, over all lanes.
    seconds: that the run has taken so far.
    curve: what each examination found, so far.
  """

  config: Config
  agent: BoardAgent
  state: TrainState
  memory: PyTree
  lanes: Lanes
  num_shards: int = 1
  env_steps: int = 0
  seconds: float = 0.0
  curve: list[Point] = dataclasses.field(default_factory=list)

  def save(self, checkpointer: Checkpointer, *, wait: bool = True) -> None:
    """Writes everything that decides the next step; see `Checkpointer.save`."""
    host = {
        "num_shards": self.num_shards,
        "env_steps": self.env_steps,
        "seconds": self.seconds,
        "curve": self.curve,
    }
    arrays = (self.state, self.memory, self.lanes)
    checkpointer.save(self.env_steps, arrays, host, wait=wait)

  def save_agent(self, checkpointer: Checkpointer) -> None:
    """Writes the parameters that search alone, for `restore_networks`."""
    name = target_network.searcher_name(self.config.learn.target_decay)
    arrays = ({name: self.state.searcher},)
    # Waits: once a checkpoint knows of this point, it is not examined again.
    checkpointer.save(self.env_steps, arrays, {})

  def restore(self, checkpointer: Checkpointer) -> bool:
    """Puts back the newest good checkpoint.

    Args:
      checkpointer: of the run.

    Returns:
      False if nothing has been saved.

    Raises:
      CheckpointError: none can be read.
    """
    found = checkpointer.restore((self.state, self.memory, self.lanes))
    if found is None:
      return False
    _, (self.state, self.memory, self.lanes), host = found
    self.agent.networks = self.state.searcher
    # Runs of one device did not always say so.
    self._divide(host.get("num_shards", 1))
    self.env_steps = host["env_steps"]
    self.seconds = host["seconds"]
    self.curve = host["curve"]
    return True

  def _divide(self, num_shards: int) -> None:
    """Goes on with as many shards as there were, if the devices can."""
    num_devices = self.agent.mesh.shape["data"]
    if num_shards % num_devices == 0:
      self.num_shards = num_shards
    elif num_shards != self.num_shards:
      logging.warning(
          "The run was saved with %d shards, which %d devices cannot share"
          " evenly. It goes on with %d: nothing learned or remembered is lost,"
          " but its draws are others from here on. To move a run between"
          " numbers of devices and keep its draws, begin it with"
          " config.num_shards a multiple of them all.",
          num_shards,
          num_devices,
          self.num_shards,
      )


def begin(
    config: Config,
    init_key: Array,
    start_key: Array,
    mesh: Mesh | None = None,
) -> BoardRun:
  """A run before its first move: fresh parameters, lanes and memory.

  Args:
    config: of the run.
    init_key: of the parameters, consumed.
    start_key: of the first games, consumed.
    mesh: the devices; all there are if None.

  Returns:
    The `BoardRun`.

  Raises:
    ValueError: if the config asks a model for what only the other kind has, or
      the devices cannot share its lanes and its replay evenly.
  """
  learners.check(config)
  check_game(config)
  mesh = make_mesh() if mesh is None else mesh
  make = functools.partial(fresh, config)
  state, memory, lanes = make_arrays(make, layout, mesh, init_key, start_key)
  if config.replay.data:
    memory = _read_games(config, memory)
  agent = BoardAgent(config, state.searcher, mesh)
  num_shards = config.num_shards or mesh.shape["data"]
  return BoardRun(config, agent, state, memory, lanes, num_shards)


def fresh(
    config: Config, init_key: Array, start_key: Array
) -> tuple[TrainState, PyTree, Lanes]:
  """The arrays of a run before its first move; consumes the keys."""
  state = target_network.first_state(
      make_networks(config, init_key),
      learner_of(config).optimizer,
      config.learn.target_decay,
  )
  memory = replay_of(config).init(_example_move(config))
  environment = make_environment(config.env.name)
  lanes = self_play.start(
      environment, start_key, config.env.num_lanes, config.self_play
  )
  return state, memory, lanes


def _read_games(config: Config, memory: PyTree) -> PyTree:
  """The memory with the games of the config's data set, which is donated."""
  source = demonstrations.read(config.replay.data, layout=recorded.layout())
  environment = make_environment(config.env.name)
  return recorded.fill(
      memory, replay_of(config), source, environment, config.learn.discount
  )


def layout(
    arrays: tuple[TrainState, PyTree, Lanes], mesh: Mesh
) -> tuple[TrainState, PyTree, Lanes]:
  """Where the arrays of `fresh` live: lanes and rings are split, no others."""
  state, memory, lanes = arrays
  whole = jax.tree.map(lambda x: PartitionSpec(), state)
  by_lane = jax.tree.map(lambda x: PartitionSpec("data"), lanes)
  return placed(mesh, (whole, buffer.layout(memory), by_lane))


def restore_networks(
    config: Config, checkpointer: Checkpointer, step: int | None = None
) -> Predictor | None:
  """The parameters that search, and nothing else of a run's checkpoint.

  Args:
    config: of the run.
    checkpointer: of the run.
    step: environment steps at which the checkpoint was saved; None takes the
      newest good one.

  Returns:
    The parameters, or None if nothing has been saved.

  Raises:
    CheckpointError: there is none of that step, or none can be read.
  """
  networks = jax.eval_shape(lambda: make_networks(config, jax.random.key(0)))
  name = target_network.searcher_name(config.learn.target_decay)
  # Named as in what `BoardRun.save` writes, `(TrainState, memory, lanes)`.
  found = checkpointer.restore(({name: networks},), step=step, partial=True)
  return found and found[1][0][name]


def moves_per_round(config: Config) -> int:
  """Moves, over all lanes, between two rounds of learning."""
  return config.env.num_lanes * config.self_play.num_plies


def updates_per_round(config: Config) -> int:
  """Optimiser steps of a round; see `whole_count`."""
  ratio = config.learn.updates_per_env_step
  return _per_round(config, "learn.updates_per_env_step", ratio, at_least=1)


def reanalysed_per_round(config: Config) -> int:
  """Stored moves that are searched again in a round; see `whole_count`."""
  ratio = config.replay.reanalysed_per_env_step
  return _per_round(config, "replay.reanalysed_per_env_step", ratio, at_least=0)


def _per_round(
    config: Config, name: str, ratio: float, *, at_least: int
) -> int:
  unit, moves = "env.num_lanes x self_play.num_plies", moves_per_round(config)
  return whole_count(name, ratio, unit, moves, at_least=at_least)


def learner_of(config: Config) -> BoardLearner:
  """How a run learns."""
  num_rounds = -(-config.num_steps // moves_per_round(config))
  num_updates = num_rounds * updates_per_round(config)
  return learners.learner_class(config.model.kind)(
      optimizer=make_optimizer(config.learn, PriorConfig(), num_updates),
      config=config.learn,
      support=Support.from_config(config.model),
      symmetries=symmetry.SYMMETRIES.get(config.env.name),
      dtype=config.model.dtype,
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
  run.state, run.memory, run.lanes, metrics = board_round.play_round(
      run.state,
      run.memory,
      run.lanes,
      act_key,
      learn_key,
      program=program_of(config, num_updates, run.agent.mesh, run.num_shards),
      learner=board_round.Static(learner_of(config)),
  )
  run.agent.networks = run.state.searcher
  run.env_steps += moves_per_round(config)
  return metrics


def program_of(
    config: Config, num_updates: int, mesh: Mesh, num_shards: int = 0
) -> board_round.Program:
  """What a round of the run does with so many optimiser steps on a mesh.

  Args:
    config: of the run.
    num_updates: optimiser steps of the round.
    mesh: the devices.
    num_shards: parts of lanes and replay; 0 for one a device.

  Returns:
    The `Program`.

  Raises:
    ValueError: if the devices cannot share the work evenly.
  """
  num_shards = num_shards or mesh.shape["data"]
  if num_shards % mesh.shape["data"]:
    raise ValueError(
        f"config.num_shards is {num_shards}, which {mesh.shape['data']} devices"
        " cannot share evenly: make it a multiple of their number, or 0 for one"
        " a device."
    )
  num_reanalysed = reanalysed_per_round(config) if num_updates else 0
  if num_reanalysed % num_shards:
    raise ValueError(
        f"{num_reanalysed} stored moves are searched again in a round, which"
        f" {num_shards} shards cannot share evenly: make"
        " replay.reanalysed_per_env_step x env.num_lanes x self_play.num_plies"
        f" a multiple of {num_shards}."
    )
  return board_round.Program(
      settings=BoardSettings.from_config(config),
      self_play=config.self_play,
      num_simulations=config.search.num_simulations,
      step_limit=config.env.step_limit,
      replay=replay_of(config, num_shards),
      num_updates=num_updates,
      num_reanalysed=num_reanalysed // num_shards,
      mesh=mesh,
      shards_a_device=num_shards // mesh.shape["data"],
      plays=not config.replay.data,
      teacher=config.learn.teacher,
      advantage_scale=config.learn.advantage_scale,
  )


def _example_move(config: Config) -> Trajectory:
  """One move of zeros: the shapes and types that the replay stores."""
  environment = make_environment(config.env.name)
  view = jax.eval_shape(
      lambda key: environment.observation(environment.init(key)),
      jax.random.key(0),
  )
  size, num_slots = action_size(environment), environment.num_actions
  slots = jnp.zeros(config.model.num_samples if size else num_slots)
  scalar, no = jnp.zeros(()), jnp.zeros((), bool)
  return Trajectory(
      observation=jnp.zeros(view.shape, view.dtype),
      prior_logits=slots,
      invalid=slots.astype(bool),
      policy=slots,
      improvement=slots,
      value=scalar,
      action=jnp.zeros(size) if size else jnp.zeros((), jnp.int32),
      reward=scalar,
      discount=scalar,
      truncated=no,
      held_out=no,
      born=jnp.int32(0) if config.learn.correction_steps else None,
      actions=jnp.zeros((*slots.shape, size)) if size else None,
  )
