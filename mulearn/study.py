"""A study: every arm with every seed, then the baselines, then the evidence.

Each finished part leaves a file (`outcomes.json`), and each run its
checkpoints, so a study that was stopped anywhere goes on where it was.
"""

from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib
import time
from typing import Any

import jax

from mulearn import evidence
from mulearn import run as run_lib
from mulearn import train as train_lib
from mulearn.act.agent import Agent
from mulearn.checkpoint import SignalGuard
from mulearn.config import Config
from mulearn.env.base import FOLD_SEEDS
from mulearn.env.pool import TextPool
from mulearn.evaluate import (
    play,
    report,
    simulator,
    statistics,
)
from mulearn.metrics import JsonLinesWriter, MultiWriter, TensorBoardWriter
from mulearn.parallel import hosts
from mulearn.parallel.watch import Watch
from mulearn.prior import build, calibrate, language
from mulearn.prior.base import Prior
from mulearn.progress import Progress
from mulearn.replay import demonstrations


def configure_arm(config: Config, arm: str, seed: int) -> Config:
  """The config of one run: the study's, with the arm's changes.

  Args:
    config: of the study.
    arm: a name in `config.arms`.
    seed: of the run.

  Returns:
    A new config.

  Raises:
    ValueError: if an override names no field.
  """
  fresh = dataclasses.replace(
      config,
      seed=seed,
      **{
          field.name: dataclasses.replace(getattr(config, field.name))
          for field in dataclasses.fields(config)
          if dataclasses.is_dataclass(getattr(config, field.name))
      },
  )
  for path, value in config.arms[arm].items():
    *parents, name = path.split(".")
    target = fresh
    for parent in parents:
      target = getattr(target, parent, None)
    if target is None or not hasattr(target, name):
      raise ValueError(
          f"Arm {arm!r} sets {path!r}, which is no field of the config; see"
          " mulearn/config.py."
      )
    setattr(target, name, value)
  return fresh


class Study:
  """The parts that all runs share: games, language model, demonstrations."""

  def __init__(
      self,
      config: Config,
      workdir: pathlib.Path,
      pool: TextPool,
      *,
      watch: Watch | None = None,
  ):
    """Calibrates the language model, or reads how it was calibrated.

    Args:
      config: of the study.
      workdir: everything is written below.
      pool: hosts the games.
      watch: looks after the processes; nobody does if None.
    """
    self._watch = watch
    self.config = config
    self.workdir = workdir
    self.pool = pool
    self._spec = run_lib.game_spec(config)
    self._started = time.monotonic()
    self._earlier = hosts.read_json(workdir / "seconds.json") or 0.0
    self._language = build.Language(config.prior)
    self._scoring = self._calibrate() if self._needs_language() else None

  def run(self) -> dict[str, Any]:
    """Runs what is not finished yet, and writes the evidence.

    Returns:
      What `results.json` holds; nothing in a process that does not lead.

    Raises:
      train.Interrupted: asked to stop; everything is saved.
    """
    episodes, summaries, runs = [], {}, {}
    seeds = range(self.config.seed, self.config.seed + self.config.num_seeds)
    for arm in self.config.arms:
      parts = {seed: self._learn(arm, seed) for seed in seeds}
      runs[arm] = parts
      episodes += [e for part in parts.values() for e in part["episodes"]]
      summaries[arm] = _total(parts.values())
    for name in self.config.baselines:
      part = self._baseline(name, seeds)
      episodes += part["episodes"]
      summaries[name] = _total([part])
    arms = statistics.summarise(
        [statistics.EpisodeResult(**episode) for episode in episodes]
    )
    for name, totals in summaries.items():
      arms[name] |= totals
    if not hosts.is_leader():
      return {}
    results = report.write_results(
        self.workdir / "results.json",
        self.config,
        seeds,
        self._clock(),
        arms,
        evidence.mean_trust(runs.get(self._pictured_arm(), {}).values()),
    )
    evidence.draw_learning(
        self.workdir / "curves.png",
        {
            arm: {seed: part["curve"] for seed, part in parts.items()}
            for arm, parts in runs.items()
        },
        {name: arms[name] for name in self.config.baselines},
    )
    return results

  def _learn(self, arm: str, seed: int) -> dict[str, Any]:
    """Trains and evaluates one run, unless that was done before."""
    directory = self.workdir / arm / f"seed_{seed}"
    if (found := hosts.read_json(directory / "outcomes.json")) is not None:
      return found
    config = configure_arm(self.config, arm, seed)
    prior = self._prior(config.prior.kind)
    run = self._train(arm, config, directory, prior)
    agent = run.agent.apart()
    outcomes = play.play(
        self._player(agent, config),
        self.pool,
        run_lib.eval_lanes(config),
        fold="test",
        seeds=FOLD_SEEDS["test"][: config.env.num_test_games],
        rng_key=jax.random.key(seed),
    )
    part = {
        "episodes": _episodes(arm, seed, outcomes),
        "env_steps": run.env_steps,
        "lm_tokens": run.lm_tokens,
        "curve": run.curve,
        "trust": run.trust,
    }
    is_pictured = arm == self._pictured_arm() and seed == self.config.seed
    if is_pictured and hosts.is_leader():
      evidence.draw_search(
          self.workdir / "tree.svg", agent, self.pool, outcomes[0]
      )
    if arm == self.config.simulator_arm:
      self._search_true_game(agent, seed)
    hosts.write_json(directory / "outcomes.json", part)
    self._clock()
    return hosts.read_json(directory / "outcomes.json")

  def _train(
      self, arm: str, config: Config, directory: pathlib.Path, prior: Prior
  ) -> run_lib.Run:
    total = config.imitation_steps + config.num_steps
    with (
        _progress(f"{arm}, seed {config.seed}", total) as progress,
        SignalGuard() as guard,
        contextlib.ExitStack() as stack,
    ):

      def show(stage, done, stage_total, metrics):
        before = 0 if stage == "imitation" else config.imitation_steps
        success = metrics.get("dev/success", metrics.get("train/success"))
        progress.update(before + done, success=success, stage=stage)

      def begin(run):
        writer = writer_of(directory, run)
        stack.callback(writer.close)
        return train_lib.Hooks(writer, lambda: guard.stop, show)

      return train_lib.train(
          config,
          directory,
          prior=prior,
          embed=self._language.embedding(config.model),
          pool=self.pool,
          demonstrations=self._demonstrations(config),
          begin=begin,
          watch=self._watch,
      )

  def _baseline(self, name: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Plays the test games without learning, unless that was done before."""
    path = self.workdir / name / "outcomes.json"
    if name == "simulator_lm":
      parts = [hosts.read_json(self._simulator_path(seed)) for seed in seeds]
      return {
          "episodes": [e for part in parts for e in part["episodes"]],
          **_total(parts),
      }
    if (found := hosts.read_json(path)) is not None:
      return found
    prior = self._prior("language") if name.startswith("lm") else None
    players = {
        "random": play.random_player,
        "lm": lambda: play.prior_player(prior, sample=False),
        "lm_sampled": lambda: play.prior_player(prior, sample=True),
        "gold": lambda: play.gold_player(self._spec),
    }
    if name not in players:
      raise ValueError(
          f"No baseline {name!r}; there are {[*players, 'simulator_lm']}."
      )
    num_games = self.config.env.num_test_games
    with _progress(name, num_games) as progress:
      outcomes = play.play(
          players[name](),
          self.pool,
          run_lib.eval_lanes(self.config),
          fold="test",
          seeds=FOLD_SEEDS["test"][:num_games],
          rng_key=jax.random.key(self.config.seed),
          on_finish=progress.update,
      )
    part = {
        "episodes": _episodes(name, self.config.seed, outcomes),
        "env_steps": 0,
        "lm_tokens": hosts.total([prior.num_tokens if prior else 0])[0],
    }
    hosts.write_json(path, part)
    return hosts.read_json(path)

  def _search_true_game(self, agent: Agent, seed: int) -> None:
    """Plays with the true game in place of the agent's learned model."""
    path = self._simulator_path(seed)
    if (
        "simulator_lm" not in self.config.baselines
        or hosts.read_json(path) is not None
    ):
      return
    num_games = self.config.env.num_simulator_games
    tokens = agent.prior.num_tokens
    with _progress(f"simulator_lm, seed {seed}", num_games) as progress:
      outcomes = play.play(
          simulator.simulator_player(
              agent, self.pool, batch_size=self.config.env.num_eval_lanes
          ),
          self.pool,
          run_lib.eval_lanes(self.config),
          fold="test",
          seeds=FOLD_SEEDS["test"][:num_games],
          rng_key=jax.random.key(seed),
          on_finish=progress.update,
      )
    part = {
        "episodes": _episodes("simulator_lm", seed, outcomes),
        "env_steps": 0,
        "lm_tokens": hosts.total([agent.prior.num_tokens - tokens])[0],
    }
    hosts.write_json(path, part)

  def _simulator_path(self, seed: int) -> pathlib.Path:
    return self.workdir / "simulator_lm" / f"seed_{seed}" / "outcomes.json"

  def _needs_language(self) -> bool:
    kinds = {
        configure_arm(self.config, arm, 0).prior.kind
        for arm in self.config.arms
    }
    asks = any(name.startswith("lm") for name in self.config.baselines)
    return asks or kinds != {"uniform"}

  def _prior(self, kind: str) -> Prior:
    raw = self._language.raw_scores()
    return build.make_prior(kind, raw, self._scoring)

  def _player(self, agent: Agent, config: Config) -> play.Player:
    players = {"search": play.search_player, "policy": play.policy_player}
    if config.player not in players:
      raise ValueError(
          f"player is {config.player!r}; it must be one of {list(players)}."
      )
    return players[config.player](agent, batch_size=config.env.num_eval_lanes)

  def _calibrate(self) -> language.Scoring:
    path = self.workdir / "calibration.json"
    if (found := hosts.read_json(path)) is not None:
      return language.Scoring(**found["scoring"])
    seeds = FOLD_SEEDS["train"][: self.config.prior.calibration_games]
    if hosts.is_leader():
      print(f"Calibrating the language prior on {len(seeds)} train games.")
    walked = calibrate.demonstrate(self._spec, seeds)
    scoring, rows = build.choose_scoring(
        self.config.prior, self._language.raw_scores(), walked
    )
    if hosts.is_leader():
      calibrate.print_table(rows, walked)
    hosts.write_json(
        path,
        {
            "scoring": dataclasses.asdict(scoring),
            "uniform_nats": calibrate.uniform_nats(walked),
            "rows": [dataclasses.asdict(row) for row in rows],
        },
    )
    return language.Scoring(**hosts.read_json(path)["scoring"])  # The leader's.

  def _demonstrations(self, config: Config):
    """Gold paths of train games as a TFDS data set, shared by all runs."""
    if not config.imitation_steps:
      return None
    seeds = FOLD_SEEDS["train"][: config.imitation_games]
    directory = self.workdir / "demonstrations"
    if hosts.is_leader():
      demonstrations.write(
          directory,
          demonstrations.collect_gold(self._spec, "train", seeds),
          provenance=demonstrations.gold_provenance(self._spec, "train", seeds),
      )
    hosts.share(None)  # The others wait for it.
    return demonstrations.read(directory)

  def _pictured_arm(self) -> str:
    return self.config.simulator_arm or list(self.config.arms)[-1]

  def _clock(self) -> float:
    """Seconds of this call and of those that were stopped, kept on disk."""
    seconds = self._earlier + time.monotonic() - self._started
    hosts.write_json(self.workdir / "seconds.json", seconds)
    return seconds


def writer_of(directory: pathlib.Path, run: run_lib.Run) -> MultiWriter:
  """Metrics up to where the run stands; later lines will be written again."""
  if not hosts.is_leader():
    return MultiWriter([])
  now = (int(run.state.step), run.env_steps)
  looked = {env_steps for env_steps, _ in run.curve}

  def keep(line):
    unfinished = "dev/success" in line and line["env_steps"] not in looked
    return (line["step"], line["env_steps"]) <= now and not unfinished

  return MultiWriter(
      [
          JsonLinesWriter(directory / "metrics.jsonl", keep=keep),
          TensorBoardWriter(directory / "tensorboard", start_step=now[0] + 1),
      ]
  )


def _progress(description: str, total: int) -> Progress:
  return Progress(description, total, is_shown=hosts.is_leader())


def _episodes(arm: str, seed: int, outcomes) -> list[dict[str, Any]]:
  return [
      dataclasses.asdict(
          statistics.EpisodeResult(
              arm, seed, o.seed, o.success, o.score, len(o.commands)
          )
      )
      for o in outcomes
  ]


def _total(parts) -> dict[str, int]:
  parts = list(parts)
  return {
      key: int(sum(part[key] for part in parts))
      for key in ("env_steps", "lm_tokens")
  }
