"""The loop of a board: play against oneself, learn, and be examined.

It stands beside `train.py` because a board needs none of what that loop is
about (games on the host, texts, demonstrations), while a round here is one
compiled program. What a run promises is the same: every random choice is a
function of the seed and of a counter, and the same command continues it.
"""

from collections.abc import Callable, Mapping
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import sys
import time
from typing import Any, get_type_hints

import jax

from mulearn import board_run
from mulearn import train as train_lib
from mulearn.act.board_agent import BoardAgent
from mulearn.board_run import BoardRun
from mulearn.checkpoint import Checkpointer, CheckpointError, SignalGuard
from mulearn.config import Config
from mulearn.evaluate.examiners import EXAMINERS, MEASURES, measure_of
from mulearn.keys import Keys, at
from mulearn.metrics import JsonLinesWriter, MultiWriter, TensorBoardWriter
from mulearn.parallel import hosts
from mulearn.parallel.compilations import Compilations
from mulearn.parallel.mesh import make_mesh
from mulearn.parallel.trace import Trace
from mulearn.parallel.watch import Watch
from mulearn.progress import Progress
from mulearn.replay.buffer import is_enough, num_moves
from mulearn.types import Array


def train(
    config: Config,
    workdir: pathlib.Path,
    *,
    begin: Callable[[BoardRun], train_lib.Hooks],
    watch: Watch | None = None,
    trace: Trace | None = None,
) -> BoardRun:
  """Trains one run, or continues where it was stopped.

  Args:
    config: of the run.
    workdir: its checkpoints are kept here.
    begin: told where the run begins or goes on, gives its hooks.
    watch: told of each round; nobody if None.
    trace: profiles some rounds; none if None.

  Returns:
    The finished run.

  Raises:
    train.Interrupted: asked to stop; the run is saved.
    FloatingPointError: a loss is not finite; earlier checkpoints are kept.
    ValueError: the replay will never hold what it shall learn from, or not a
      round of moves.
  """
  if config.replay.min_size > config.replay.capacity:
    raise ValueError(
        f"replay.min_size is {config.replay.min_size}, but replay.capacity"
        f" {config.replay.capacity}: so many moves are never held, and nothing"
        " would be learned. Set it to the capacity at most."
    )
  ring = config.replay.capacity // config.env.num_lanes
  if not config.replay.data and ring < config.self_play.num_plies:
    raise ValueError(
        f"replay.capacity is {config.replay.capacity}, which leaves {ring} moves"
        f" to each of {config.env.num_lanes} lanes, but a round plays"
        f" self_play.num_plies {config.self_play.num_plies} of them: make it"
        f" {config.env.num_lanes * config.self_play.num_plies} at least."
    )
  keys = Keys.from_seed(config.seed)
  watch, trace = watch or Watch(), trace or Trace(workdir)
  with (
      Checkpointer(
          workdir / "checkpoints", keep=config.num_checkpoints
      ) as checkpointer,
      Checkpointer(workdir / "best", keep=1) as best,
      _agents(config, workdir) as agents,
  ):
    run = board_run.begin(config, keys.init, keys.start)
    run.restore(checkpointer)
    hooks = begin(run)
    saver = train_lib.Saver(run, checkpointer, hooks)
    compilations = Compilations()
    clock = _Clock(run)

    while True:
      if _is_due(run):
        _examine(run, at(keys.evaluate, run.env_steps), hooks)
        clock.tick()
        _keep_best(run, best)
        if agents is not None:
          run.save_agent(agents)
      if run.env_steps >= config.num_steps:
        break
      held = int(num_moves(run.memory)) + board_run.moves_per_round(config)
      learns = is_enough(config, min(held, config.replay.capacity))
      watch.begin_round(run.env_steps)
      with compilations.during("A round", learns), trace.round(learns):
        found = board_run.play_and_learn(
            run,
            at(keys.act, run.env_steps),
            at(keys.learn, run.env_steps),
            num_updates=board_run.updates_per_round(config) if learns else 0,
        )
        metrics = train_lib.check_finite(found)
      watch.end_round()
      clock.tick()
      hooks.writer.write(
          int(run.state.step), {"env_steps": run.env_steps, **metrics}
      )
      hooks.on_progress("self-play", run.env_steps, config.num_steps, metrics)
      saver.maybe_save()
    saver.save()
    return run


def run_experiment(
    config: Config, workdir: pathlib.Path, *, profile_rounds: int = 0
) -> dict[str, Any]:
  """Trains a run with everything around it, and writes `results.json`.

  Args:
    config: of the run.
    workdir: everything is written below.
    profile_rounds: rounds of which a profile is written to `profile/`.

  Returns:
    What `results.json` holds.

  Raises:
    ValueError: more than one seed or an arm was asked for, or nobody can
      examine this game.
  """
  if config.num_seeds != 1 or config.arms:
    raise ValueError(
        f"num_seeds is {config.num_seeds} and {len(config.arms)} arms are"
        " given, but a board is one run a command: set config.seed, and give"
        " each run a --workdir of its own."
    )
  if config.env.name not in EXAMINERS:
    raise ValueError(
        f"config.env.name is {config.env.name!r}, which has no examiner, so"
        " nobody could tell what a run has learned; there are"
        f" {', '.join(EXAMINERS)}."
    )
  name = f"{config.env.name}, {config.model.kind}, seed {config.seed}"
  with (
      Progress(name, config.num_steps, is_shown=hosts.is_leader()) as progress,
      SignalGuard() as guard,
      Watch(agreed=(train_lib.Interrupted,)) as watch,
      contextlib.ExitStack() as stack,
  ):

    def begin(run: BoardRun) -> train_lib.Hooks:
      # Not before: the run that is here may be of another config.
      hosts.write_json(workdir / "config.json", dataclasses.asdict(config))
      writer = _writer(workdir, run)
      stack.callback(writer.close)

      def show(stage, done, unused_total, unused_metrics):
        progress.update(done, success=_success(run), stage=stage)

      return train_lib.Hooks(writer, lambda: guard.stop, show)

    trace = Trace(workdir / "profile", profile_rounds)
    run = train(config, workdir, begin=begin, watch=watch, trace=trace)
  results = summarise(run)
  hosts.write_json(workdir / "results.json", results)
  return results


def summarise(run: BoardRun) -> dict[str, Any]:
  """What `results.json` holds.

  Args:
    run: finished.

  Returns:
    The config, the cost, the curve, its last point and the worst measure
    (see `examiners.MEASURES`) of the last quarter of training.
  """
  start = 0.75 * run.config.num_steps
  late = [_judge(p) for p in run.curve if p["env_steps"] >= start]
  return {
      "config": dataclasses.asdict(run.config),
      "seed": run.config.seed,
      "seconds": run.seconds,
      "env_steps": run.env_steps,
      "updates": int(run.state.step),
      "final": run.curve[-1],
      "worst_of_last_quarter": min(late),
      "curve": run.curve,
  }


def restore_agent(
    workdir: str | os.PathLike[str],
    step: int | None = None,
    *,
    best: bool = False,
) -> BoardAgent:
  """The agent of a run as it searches, with the newest or those of a step.

  Args:
    workdir: of the run, finished or not.
    step: environment steps of one of its checkpoints; a run keeps the newest
      `config.num_checkpoints`. None takes the newest.
    best: takes the one that did best in an examination, kept in `best/`.

  Returns:
    The agent: `agent.plan(rng_key, state, num_simulations=None) -> Plan` for a
    batch of states of `agent.environment`.

  Raises:
    CheckpointError: there is no run on a board, no checkpoint of that step,
      or none of its checkpoints can be read.
  """
  folder = "best" if best else "checkpoints"
  return _restore(pathlib.Path(workdir), folder, step)


def restore_agents(workdir: str | os.PathLike[str]) -> dict[int, BoardAgent]:
  """The agents of a run at each point of its curve.

  Args:
    workdir: of a run with `config.keep_agents`, finished or not.

  Returns:
    The agents by environment steps, in their order.

  Raises:
    CheckpointError: as `restore_agent`, or the run kept none.
  """
  workdir = pathlib.Path(workdir)
  steps = Checkpointer(workdir / "agents").steps()
  if not steps:
    raise CheckpointError(
        f"{workdir} kept no agents at the points of its curve; train one with"
        " --config.keep_agents=true."
    )
  return {step: _restore(workdir, "agents", step) for step in steps}


def _restore(
    workdir: pathlib.Path, folder: str, step: int | None
) -> BoardAgent:
  """An agent from the checkpoints in one folder of its run."""
  path = workdir / "config.json"
  if not path.exists():
    raise CheckpointError(
        f"{path} does not exist, so {workdir} holds no run on a board; pass the"
        " --workdir of one."
    )
  config = config_from_dict(Config, json.loads(path.read_text()))
  checkpointer = Checkpointer(workdir / folder)
  networks = board_run.restore_networks(config, checkpointer, step)
  if networks is None:
    raise CheckpointError(
        f"{workdir} has no checkpoint yet; wait for its run to save one."
    )
  return BoardAgent(config, networks)


def config_from_dict(kind: type, values: Mapping[str, Any]) -> Any:
  """A dataclass of configs from what `dataclasses.asdict` made of it."""
  kinds = get_type_hints(kind)
  return kind(
      **{
          name: config_from_dict(kinds[name], value)
          if dataclasses.is_dataclass(kinds[name])
          else tuple(value)
          if isinstance(value, list)
          else value
          for name, value in values.items()
      }
  )


def _success(run: BoardRun) -> float | None:
  """How good the run was at last, where that is a share of the best."""
  if not run.curve or not MEASURES[measure_of(run.curve[-1])].is_share:
    return None
  return _judge(run.curve[-1])


def _is_due(run: BoardRun) -> bool:
  """Whether the run is examined now: at its ends and every so many moves."""
  config, now = run.config, run.env_steps
  if run.curve and run.curve[-1]["env_steps"] >= now:
    return False  # Restored just after this point.
  moves = board_run.moves_per_round(config)
  if config.eval_growth > 1.0 and now:
    is_time = _num_points(config, now) > _num_points(config, now - moves)
  else:
    is_time = now % config.eval_every < moves
  return is_time or now >= config.num_steps


def _num_points(config: Config, env_steps: int) -> int:
  """Points of a curve with `eval_growth`, but for the first, up to a step."""
  if env_steps < config.eval_every:
    return 0
  ratio = env_steps / config.eval_every
  # Where a power is hit, rounding must not lose it.
  return 1 + math.floor(math.log(ratio, config.eval_growth) + 1e-9)


def _agents(
    config: Config, workdir: pathlib.Path
) -> contextlib.AbstractContextManager[Checkpointer | None]:
  """Where the agents of all points are kept, if they are."""
  if not config.keep_agents:
    return contextlib.nullcontext()
  return Checkpointer(workdir / "agents", keep=sys.maxsize)


def _judge(point: Mapping[str, float]) -> float:
  """The measure by which a point of a curve is judged."""
  return point[measure_of(point)]


def _examine(run: BoardRun, rng_key: Array, hooks: train_lib.Hooks) -> None:
  """Adds a point to the curve: what the game's examiner found."""
  agent = run.agent
  if jax.process_count() > 1:  # Each examines at its part of the positions.
    networks = hosts.local(agent.networks)
    agent = BoardAgent(run.config, networks, make_mesh(jax.local_devices()))
  # The first's: else last bits might make processes keep different best agents.
  found = hosts.share(EXAMINERS[run.config.env.name](agent, rng_key))
  point = {"env_steps": run.env_steps, **found}
  run.curve.append(point | {"seconds": run.seconds})
  hooks.writer.write(int(run.state.step), point)


def _keep_best(run: BoardRun, best: Checkpointer) -> None:
  """Saves the agent apart where it has just done better than ever before."""
  *earlier, newest = map(_judge, run.curve)
  if newest > max(earlier, default=-math.inf):
    run.save_agent(best)


class _Clock:
  """Adds the time that goes by to a run's."""

  def __init__(self, run: BoardRun):
    self._run = run
    self._last = time.monotonic()

  def tick(self) -> None:
    """Adds the time since the last tick."""
    now = time.monotonic()
    self._run.seconds += now - self._last
    self._last = now


def _writer(workdir: pathlib.Path, run: BoardRun) -> MultiWriter:
  """Metrics up to where the run stands; later lines will be written again."""
  if not hosts.is_leader():
    return MultiWriter([])
  now = run.env_steps
  looked = {point["env_steps"] for point in run.curve}

  def keep(line: Mapping[str, float]) -> bool:
    is_point = any(name in line for name in MEASURES)
    lost = is_point and line["env_steps"] not in looked
    return line["env_steps"] <= now and not lost

  step = int(run.state.step)
  return MultiWriter(
      [
          JsonLinesWriter(workdir / "metrics.jsonl", keep=keep),
          TensorBoardWriter(workdir / "tensorboard", start_step=step + 1),
      ]
  )
