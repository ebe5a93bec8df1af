"""Runs an experiment: `python -m mulearn.main --config=FILE --workdir=DIR`.

Any field of the config can be set: `--config.search.num_simulations=32`. The
same command continues a run that was stopped. Several processes, one a host,
run one experiment together: on a Cloud TPU they find each other, elsewhere each
is told by `--coordinator`, `--num_processes` and `--process_id`.
"""

import os
import pathlib
import sys

from absl import app, flags, logging
import jax
from ml_collections import config_flags

from mulearn.parallel import hosts

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment, such as experiments/demo/config.py."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where checkpoints, metrics and results go."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Host and port of process 0, of several processes."
)
_NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "How many processes run this command, one a host."
)
_PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "Which of them this one is, from 0."
)
_PROFILE_ROUNDS = flags.DEFINE_integer(
    "profile_rounds", 0, "Rounds of a board that DIR/profile shows TensorBoard."
)
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
  """Hands the config over."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
  logging.set_verbosity(logging.WARNING)  # Orbax tells of every file.
  _prepare_jax()
  # Not before: pgx makes arrays where it is imported, and JAX must know of the
  # other processes by then.
  from mulearn import experiment

  experiment.run(
      _CONFIG.value,
      pathlib.Path(_WORKDIR.value),
      profile_rounds=_PROFILE_ROUNDS.value,
  )


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


def _prepare_jax() -> None:
  """Joins the other processes; compiled programs are kept on disk."""
  if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    from mulearn.prior.cache import default_directory

    path = default_directory() / "jax"
    jax.config.update("jax_compilation_cache_dir", str(path))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  try:
    hosts.join(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  except ValueError as error:
    sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
  app.run(main, flags_parser=_parse_flags)
