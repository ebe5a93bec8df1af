"""Runs what a config asks for, and says plainly how it ended."""

import pathlib
import sys
import traceback
from typing import NoReturn

import jax

from mulearn import board_train, study, train
from mulearn import run as run_lib
from mulearn.checkpoint import CheckpointError
from mulearn.config import Config
from mulearn.env.base import JavaNotFoundError, PackageNotFoundError
from mulearn.env.games import games_on_device
from mulearn.evaluate import report
from mulearn.evaluate.examiners import MEASURES, measure_of
from mulearn.lm import WeightsError
from mulearn.parallel import hosts, watch

# What a user can mend: told in one line, without a traceback.
_PLAIN_ERRORS = (
    CheckpointError, JavaNotFoundError, PackageNotFoundError, WeightsError,
    FloatingPointError,
)  # fmt: skip


def run(
    config: Config, workdir: pathlib.Path, *, profile_rounds: int = 0
) -> None:
  """Runs a board or a study of text games, to its end or to a plain error.

  Args:
    config: of the experiment.
    workdir: everything is written below.
    profile_rounds: of a board, of which a profile is written.

  Raises:
    SystemExit: it was stopped, or cannot go on; the message says which.
  """
  try:
    if config.env.name in games_on_device():
      _run_board(config, workdir, profile_rounds)
    else:
      _run_text(config, workdir)
  except train.Interrupted:
    sys.exit(f"Stopped and saved. The same command continues in {workdir}.")
  except _PLAIN_ERRORS as error:
    _leave(f"{type(error).__name__}: {error}")
  except Exception:
    if jax.process_count() == 1:
      raise
    _leave(traceback.format_exc())


def _leave(message: str) -> NoReturn:
  """Ends; one of several processes does not wait for the others."""
  if jax.process_count() > 1:
    watch.leave_at_once(message)
  sys.exit(message)


def _run_text(config: Config, workdir: pathlib.Path) -> None:
  """A study of text games: every arm and seed, and the baselines."""
  with (
      run_lib.make_pool(config) as pool,
      watch.Watch(agreed=(train.Interrupted,)) as looking,
  ):
    results = study.Study(config, workdir, pool, watch=looking).run()
  if not hosts.is_leader():
    return
  report.print_table(results)
  print(f"Results, curves.png and tree.svg are in {workdir}.")


def _run_board(
    config: Config, workdir: pathlib.Path, profile_rounds: int
) -> None:
  """One run of a game on the device, examined as the game can be."""
  results = board_train.run_experiment(
      config, workdir, profile_rounds=profile_rounds
  )
  if not hosts.is_leader():
    return
  final = results["final"]
  name = measure_of(final)
  measure = MEASURES[name]
  worst = measure.show(results["worst_of_last_quarter"])
  print(
      f"{measure.words}: {measure.show(final[name])}, at worst {worst} in the"
      f" last quarter. {results['seconds']:.0f} s."
  )
  print(f"Results and metrics are in {workdir}.")
