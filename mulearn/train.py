"""The loop: imitate, then act, remember and learn, looking up now and then.

Every random choice is a function of the seed and of a counter (environment
steps or optimiser steps), so a run that was killed continues as if it had not
been: see `checkpoint.py` for the order in which things come back.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math
import pathlib
import time
from typing import Protocol

import numpy as np

from mulearn import run as run_lib
from mulearn.checkpoint import Checkpointer
from mulearn.config import Config
from mulearn.env.base import FOLD_SEEDS, TextObservation
from mulearn.env.pool import TextPool
from mulearn.evaluate import play as play_lib
from mulearn.keys import Keys, at
from mulearn.learn.imitate import encode_episode
from mulearn.learn.reanalyse import reanalyse
from mulearn.learn.step import learn_from_batch, learn_from_replay
from mulearn.metrics import Writer
from mulearn.parallel import hosts
from mulearn.parallel.compilations import Compilations
from mulearn.parallel.watch import Watch
from mulearn.prior.base import Prior
from mulearn.replay import sequences
from mulearn.replay.buffer import (
    is_enough,
    num_moves,
    replay_of,
    sequence_length,
)
from mulearn.replay.demonstrations import EpisodeSource
from mulearn.run import Run
from mulearn.types import Array


class Interrupted(Exception):
  """The run was asked to stop, and has saved itself."""


@dataclasses.dataclass
class Hooks:
  """What a run tells the world, and what it asks.

  Attributes:
    writer: gets the metrics.
    should_stop: True when the run should save itself and leave.
    on_progress: (stage, done, total, newest metrics), for a display.
  """

  writer: Writer
  should_stop: Callable[[], bool] = lambda: False
  on_progress: Callable[[str, int, int, dict], None] = lambda *_: None


def train(
    config: Config,
    workdir: pathlib.Path,
    *,
    prior: Prior,
    embed: Callable,
    pool: TextPool,
    demonstrations: EpisodeSource | None,
    begin: Callable[[Run], Hooks],
    watch: Watch | None = None,
) -> Run:
  """Trains one arm with one seed, or continues where it was stopped.

  Args:
    config: of this arm and seed.
    workdir: of this run; its checkpoints are kept here.
    prior: the language prior of the arm.
    embed: texts -> embeddings, of the learned world's encoder.
    pool: hosts the games; see `run.make_pool`.
    demonstrations: gold paths of train games, for an imitation stage.
    begin: told where the run begins or goes on, gives its hooks.
    watch: looks after the processes; nobody does if None.

  Returns:
    The finished run.

  Raises:
    Interrupted: `should_stop` of the hooks said so; the run is saved.
    FloatingPointError: a loss is not finite; earlier checkpoints are kept.
  """
  keys, watch = Keys.from_seed(config.seed), watch or Watch()
  with Checkpointer(
      workdir / "checkpoints", keep=config.num_checkpoints
  ) as checkpointer:
    run = run_lib.begin(config, keys.init, prior=prior, embed=embed, pool=pool)
    run.restore(checkpointer)
    hooks = begin(run)
    saver = Saver(run, checkpointer, hooks)
    compilations = Compilations()
    _imitate(run, demonstrations, saver, hooks)
    if not run.actor.started:
      run.actor.start(keys.start)

    while True:
      if run.env_steps % config.eval_every < config.env.num_lanes:
        _evaluate(run, at(keys.evaluate, run.env_steps), pool, hooks)
      if run.env_steps >= config.num_steps:
        break
      watch.begin_round(run.env_steps)
      run.remember(run.actor.act(run.agent, at(keys.act, run.env_steps)))
      metrics = run.actor.recent()
      if is_enough(config, int(num_moves(run.memory))):
        _reanalyse(run, at(keys.reanalyse, run.env_steps))
        with compilations.during("Learning"):
          metrics |= _learn(run, at(keys.learn, run.env_steps))
      watch.end_round()
      _report(run, "search", run.env_steps, config.num_steps, metrics, hooks)
      saver.maybe_save()
    saver.save()
    return run


def _reanalyse(run: Run, rng_key: Array) -> None:
  """Searches as many stored moves again as the ratio to acting asks for."""
  num_shards = run.agent.mesh.shape["data"]
  if num_moves := run_lib.reanalysed_per_act(run.config, num_shards):
    run.memory = reanalyse(run.agent, run.memory, rng_key, num_moves=num_moves)


def _learn(run: Run, rng_key: Array) -> dict[str, float]:
  """The optimiser steps that are due after one act."""
  run.state, run.memory, metrics = learn_from_replay(
      run.state,
      run.memory,
      rng_key,
      run.agent.phrases.arrays(),
      num_updates=run_lib.updates_per_act(run.config),
      replay=replay_of(run.config, run.agent.mesh.shape["data"]),
      mesh=run.agent.mesh,
      **run_lib.learn_settings(run.config),
  )
  run.agent.networks = run.state.searcher
  metrics = check_finite(metrics)
  run.trust.append((run.env_steps, metrics["trust"]))
  return metrics


def _imitate(
    run: Run,
    demonstrations: EpisodeSource | None,
    saver: "Saver",
    hooks: Hooks,
) -> None:
  """Clones the demonstrations, from the optimiser step the run is at."""
  config, done = run.config, int(run.state.step)
  if done >= config.imitation_steps:
    return
  if demonstrations is None:
    raise ValueError(
        f"imitation_steps is {config.imitation_steps} but no demonstrations"
        " were given; pass the gold paths of train games."
    )
  prior = functools.partial(_led, run.agent.prior)
  windows = iter(
      sequences.windows(
          demonstrations,
          window=sequence_length(config.learn),
          batch_size=config.replay.batch_size,
          seed=config.seed,
          encode=lambda episode: encode_episode(
              episode, run.agent.phrases, prior, config
          ),
          # Every process reads all: they make the very same steps.
          shard_index=0,
          shard_count=1,
      )
  )
  windows.set_state(windows.get_state() | {"next_index": done})
  for step in range(done, config.imitation_steps):
    run.state, metrics = learn_from_batch(
        run.state,
        next(windows).sequence,
        run.agent.phrases.arrays(),
        **run_lib.learn_settings(config),
    )
    run.agent.networks = run.state.searcher
    if step % 10 == 9 or step + 1 == config.imitation_steps:
      metrics = check_finite(metrics)
      _report(
          run, "imitation", step + 1, config.imitation_steps, metrics, hooks
      )
      saver.maybe_save()  # Never parameters that were not looked at.


def _led(
    prior: Prior, observations: Sequence[TextObservation]
) -> list[np.ndarray]:
  """The prior of the first process, for all of them."""
  return hosts.lead(lambda: prior(observations))


def _evaluate(run: Run, rng_key: Array, pool: TextPool, hooks: Hooks) -> None:
  """Adds a point to the curve: success on dev games, with search."""
  config = run.config
  if run.curve and run.curve[-1][0] >= run.env_steps:
    return  # Restored just after this point.
  outcomes = play_lib.play(
      play_lib.search_player(
          run.agent.apart(), batch_size=config.env.num_eval_lanes
      ),
      pool,
      run_lib.eval_lanes(config),
      fold="dev",
      seeds=FOLD_SEEDS["dev"][: config.env.num_dev_games],
      rng_key=rng_key,
  )
  success = float(np.mean([o.success for o in outcomes]))
  run.curve.append((run.env_steps, success))
  hooks.writer.write(
      int(run.state.step),
      {
          "env_steps": run.env_steps,
          "dev/success": success,
          "dev/return": float(np.mean([o.score for o in outcomes])),
      },
  )


def _report(run, stage, done, total, metrics, hooks: Hooks) -> None:
  metrics = {"env_steps": run.env_steps, **metrics}
  hooks.writer.write(int(run.state.step), metrics)
  if run.curve:
    metrics = metrics | {"dev/success": run.curve[-1][1]}
  hooks.on_progress(stage, done, total, metrics)


def check_finite(metrics: dict[str, Array]) -> dict[str, float]:
  """Metrics as floats; a loss that is not finite stops the run."""
  values = {name: float(value) for name, value in metrics.items()}
  bad = [name for name, value in values.items() if not math.isfinite(value)]
  if bad:
    raise FloatingPointError(
        f"{', '.join(bad)} is not finite, so training stopped; no step was made"
        " with it, and the last checkpoint is kept. Lower"
        " config.learn.learning_rate, or look at metrics.jsonl for the term that"
        " grew."
    )
  return values


class Savable(Protocol):
  """A run, as a `Saver` knows it."""

  @property
  def config(self) -> Config:
    """Of the run."""

  def save(self, checkpointer: Checkpointer, *, wait: bool) -> None:
    """Writes a checkpoint, or begins to."""


class Saver:
  """Saves a run every so often, and when it is asked to stop."""

  def __init__(self, run: Savable, checkpointer: Checkpointer, hooks: Hooks):
    self._run = run
    self._checkpointer = checkpointer
    self._hooks = hooks
    self._last = time.monotonic()

  def maybe_save(self) -> None:
    """Saves if it is time or the run shall stop, which it then does."""
    waited = time.monotonic() - self._last
    # A signal may have reached one of several processes, and clocks differ.
    stops, is_time = hosts.any_of(
        [
            self._hooks.should_stop(),
            waited >= self._run.config.checkpoint_every_seconds,
        ]
    )
    if stops or is_time:
      self.save(wait=stops)
    if stops:
      raise Interrupted

  def save(self, *, wait: bool = True) -> None:
    """Saves now."""
    self._run.save(self._checkpointer, wait=wait)
    self._last = time.monotonic()
