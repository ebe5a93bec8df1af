"""The smallest run of a text game, `twc` in Java processes.

No language model takes part: the prior is uniform, and what stands for the
meaning of a phrase is drawn with its hash, since neither matters to whether a
run continues as it would have.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib

import numpy as np

from mulearn import config as c
from mulearn import run as run_lib
from mulearn import study, train
from mulearn.checkpoint import SignalGuard
from mulearn.env.base import FOLD_SEEDS
from mulearn.parallel import hosts
from mulearn.parallel.watch import Watch
from mulearn.prior.base import UniformPrior
from mulearn.replay import demonstrations
from mulearn.replay.demonstrations import EpisodeSource


def get_config(
    num_steps: int = 48, checkpoint_every_seconds: float = 0.0
) -> c.Config:
  """Half of the commands in each of two games."""
  return c.Config(
      num_steps=num_steps,
      eval_every=num_steps // 2,
      checkpoint_every_seconds=checkpoint_every_seconds,
      env=c.EnvConfig(
          num_lanes=2, num_eval_lanes=2, num_processes=1, num_train_games=4,
          num_dev_games=2,
      ),
      prior=c.PriorConfig(kind="uniform"),
      model=c.ModelConfig(
          width=16, num_imagined=4, max_phrases=1024, num_bins=11
      ),
      search=c.SearchConfig(
          num_simulations=2, num_eval_simulations=2, max_considered=4,
          max_depth=2,
      ),
      replay=c.ReplayConfig(
          capacity=128, batch_size=4, min_size=8, reanalysed_per_env_step=1.0
      ),
      learn=c.LearnConfig(
          unroll_steps=1, td_steps=1, warmup_steps=2, updates_per_env_step=0.5
      ),
  )  # fmt: skip


def embed(texts: list[str]) -> np.ndarray:
  """Stands for the language model's states: `[N, 32]` by the texts' hashes."""

  def vector(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=32).astype(np.float32)

  return np.stack([vector(text) for text in texts])


def _gold(config: c.Config, directory: pathlib.Path) -> EpisodeSource | None:
  """Gold paths of the train games, for every process; kept in a directory."""
  if not config.imitation_steps:
    return None
  # The simulator's gold player wanders: within the limit of an episode it
  # seldom succeeds in any of these games, and at times in none.
  spec = dataclasses.replace(run_lib.game_spec(config), step_limit=200)
  seeds = FOLD_SEEDS["train"][: config.env.num_train_games]
  if hosts.is_leader():
    demonstrations.write(
        directory,
        demonstrations.collect_gold(spec, "train", seeds),
        provenance=demonstrations.gold_provenance(spec, "train", seeds),
    )
  hosts.share(None)  # The others wait for it.
  return demonstrations.read(directory)


def main() -> None:
  """Trains, or continues."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--workdir", type=pathlib.Path, required=True)
  parser.add_argument(
      "--num_steps", type=int, default=48, help="commands, in all games"
  )
  parser.add_argument(
      "--checkpoint_every_seconds", type=float, default=0.0,
      help="0 saves after every round",
  )  # fmt: skip
  parser.add_argument(
      "--imitation_steps", type=int, default=0, help="on gold paths, before"
  )
  parser.add_argument(
      "--demonstrations", type=pathlib.Path,
      help="where gold paths are kept, which no two walks make alike; in the"
      " workdir if not given",
  )  # fmt: skip
  parser.add_argument("--coordinator", help="host and port of process 0")
  parser.add_argument("--num_processes", type=int, help="of the run")
  parser.add_argument("--process_id", type=int, help="of this process, from 0")
  options = parser.parse_args()
  workdir = options.workdir
  config = get_config(options.num_steps, options.checkpoint_every_seconds)
  config.imitation_steps = options.imitation_steps
  directory = options.demonstrations or workdir / "demonstrations"
  hosts.join(options.coordinator, options.num_processes, options.process_id)
  with (
      run_lib.make_pool(config) as pool,
      Watch(agreed=(train.Interrupted,)) as watch,
      SignalGuard() as guard,
  ):

    def begin(run: run_lib.Run) -> train.Hooks:
      writer = study.writer_of(workdir, run)
      return train.Hooks(writer, lambda: guard.stop)

    run = train.train(
        config, workdir, prior=UniformPrior(), embed=embed, pool=pool,
        demonstrations=_gold(config, directory), begin=begin, watch=watch,
    )  # fmt: skip
  if not hosts.is_leader():
    return
  results = {"config": dataclasses.asdict(config), "env_steps": run.env_steps}
  (workdir / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
  main()
