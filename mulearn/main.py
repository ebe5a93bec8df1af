"""Runs an experiment: `python -m mulearn.main --config=FILE --workdir=DIR`.

Any field of the config can be set: `--config.search.num_simulations=32`. The
same command continues a run that was stopped.
"""

import os
import pathlib
import sys

from absl import app, flags, logging
import jax
from ml_collections import config_flags

from mulearn import board_train, study, train
from mulearn import run as run_lib
from mulearn.checkpoint import CheckpointError
from mulearn.config import Config
from mulearn.env import board
from mulearn.env.base import JavaNotFoundError
from mulearn.evaluate import report
from mulearn.evaluate.examiners import MEASURES, measure_of
from mulearn.lm import WeightsError
from mulearn.prior.cache import default_directory

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment, such as experiments/demo/config.py."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where checkpoints, metrics and results go."
)
flags.mark_flags_as_required(["config", "workdir"])

# What a user can mend: told in one line, without a traceback.
_PLAIN_ERRORS = (
    CheckpointError, JavaNotFoundError, WeightsError, FloatingPointError,
)  # fmt: skip


def main(argv: list[str]) -> None:
  """Hands the config over."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
  logging.set_verbosity(logging.WARNING)  # Orbax tells of every file.
  _use_compilation_cache()
  config, workdir = _CONFIG.value, pathlib.Path(_WORKDIR.value)
  try:
    run = _run_board if config.env.name in board.GAMES else _run_text
    run(config, workdir)
  except train.Interrupted:
    sys.exit(f"Stopped and saved. The same command continues in {workdir}.")
  except _PLAIN_ERRORS as error:
    sys.exit(f"{type(error).__name__}: {error}")


def _run_text(config: Config, workdir: pathlib.Path) -> None:
  """A study of text games: every arm and seed, and the baselines."""
  with run_lib.make_pool(config) as pool:
    results = study.Study(config, workdir, pool).run()
  report.print_table(results)
  print(f"Results, curves.png and tree.svg are in {workdir}.")


def _run_board(config: Config, workdir: pathlib.Path) -> None:
  """One run on a board, examined as its game can be."""
  results = board_train.run_experiment(config, workdir)
  final = results["final"]
  measure = measure_of(final)
  print(
      f"{MEASURES[measure]}: {final[measure]:.2%}, at worst"
      f" {results['worst_of_last_quarter']:.2%} in the last quarter."
      f" {results['seconds']:.0f} s."
  )
  print(f"Results and metrics are in {workdir}.")


def _parse_flags(argv: list[str]) -> list[str]:
  """Parses the flags; what is wrong with the config is told in one line."""
  try:
    rest = app.parse_flags_with_usage(argv)
    _ = _CONFIG.value.seed  # A file that cannot be loaded is told of here.
  except KeyError as error:
    sys.exit(f"--config: {error.args[0]}. mulearn/config.py lists all fields.")
  except OSError as error:
    sys.exit(f"--config: {' '.join(str(error).split())}")
  return rest


def _use_compilation_cache() -> None:
  """Keeps compiled programs on disk, unless the user chose a place."""
  if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    path = default_directory() / "jax"
    jax.config.update("jax_compilation_cache_dir", str(path))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


if __name__ == "__main__":
  app.run(main, flags_parser=_parse_flags)
