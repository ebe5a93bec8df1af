"""Holds the code to BUILD: imports go one way, and every file has its place."""

import ast
from collections.abc import Iterator
import pathlib
from typing import Any

import pytest

_ROOT = pathlib.Path(__file__).parent.parent
# From the bottom to the top. BUILD may declare more than this, not less.
_ORDER = "env prior model search act replay learn evaluate train main".split()

Targets = dict[str, dict[str, Any]]


def _glob(patterns: list[str], exclude: tuple[str, ...] = ()) -> list[str]:
  found = {p for pattern in patterns for p in _ROOT.glob(pattern)}
  found -= {p for pattern in exclude for p in _ROOT.glob(pattern)}
  return sorted(p.relative_to(_ROOT).as_posix() for p in found if p.is_file())


def _read_build() -> tuple[Targets, Targets]:
  """The libraries and the tests of BUILD, which is Python in its syntax."""
  libraries: Targets = {}
  tests: Targets = {}

  def add(targets: Targets, name: str, **attributes: Any) -> None:
    assert name not in targets, f"BUILD declares {name} twice."
    targets[name] = {"deps": [], **attributes}

  rules = {
      "package": lambda **unused: None,
      "glob": _glob,
      "py_library": lambda **kw: add(libraries, **kw),
      "py_test": lambda **kw: add(tests, **kw),
  }
  exec(compile((_ROOT / "BUILD").read_text(), "BUILD", "exec"), rules)
  return libraries, tests


_LIBRARIES, _TESTS = _read_build()


def _closure(library: str) -> set[str]:
  """The library itself and everything below it."""
  below = {library}
  for dep in _LIBRARIES[library]["deps"]:
    below |= _closure(dep.removeprefix(":"))
  return below


def _owners() -> dict[str, list[str]]:
  owners: dict[str, list[str]] = {}
  for name, library in _LIBRARIES.items():
    for source in library["srcs"]:
      owners.setdefault(source, []).append(name)
  return owners


def _file_of(module: str) -> str | None:
  path = module.replace(".", "/")
  for candidate in (f"{path}.py", f"{path}/__init__.py"):
    if (_ROOT / candidate).is_file():
      return candidate
  return None


def _imports(source: str) -> Iterator[tuple[int, str]]:
  """Yields the line and the name of each module of ours that is imported."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      for alias in node.names:
        if alias.name.split(".")[0] == "mulearn":
          yield node.lineno, alias.name
    elif isinstance(node, ast.ImportFrom):
      if node.level:
        yield node.lineno, "." * node.level + (node.module or "")
      elif (node.module or "").split(".")[0] == "mulearn":
        for alias in node.names:
          inner = f"{node.module}.{alias.name}"
          yield node.lineno, inner if _file_of(inner) else node.module


def _violations(library: str, path: str, source: str) -> list[str]:
  """Says what is wrong with the imports of one file of a library."""
  owners, allowed = _owners(), _closure(library)
  wrong = []
  for line, module in _imports(source):
    file = _file_of(module)
    owner = owners.get(file, [None])[0]
    if owner not in allowed:
      wrong.append(
          f"{path}:{line} imports {module} ({owner}), but {library} may import"
          f" only {', '.join(sorted(allowed))}; see the deps in BUILD."
      )
  return wrong


@pytest.mark.parametrize("library", _LIBRARIES)
def test_a_library_imports_only_what_its_deps_allow(library):
  wrong = []
  for path in _LIBRARIES[library]["srcs"]:
    wrong += _violations(library, path, (_ROOT / path).read_text())
  assert not wrong, "\n".join(wrong)


def test_deps_are_declared_before_they_are_used():
  seen = set()
  for name, library in _LIBRARIES.items():
    for dep in library["deps"]:
      assert dep in seen, f"{name} needs {dep}, which BUILD declares later."
    seen.add(f":{name}")


def test_the_folders_are_in_the_order_of_the_loop():
  for lower, upper in zip(_ORDER, _ORDER[1:], strict=False):
    assert lower in _closure(upper)
    assert upper not in _closure(lower)
  assert {"lm", "config", "types"} <= _closure("prior")
  assert "parallel" in _closure("search") & _closure("learn")


def test_every_module_is_in_exactly_one_library():
  owners = _owners()
  files = _glob(["mulearn/**/*.py"])
  assert files
  assert {
      f: owners.get(f, []) for f in files if len(owners.get(f, [])) != 1
  } == {}
  assert sorted(owners) == files, "BUILD names files that do not exist."


def test_every_test_is_in_exactly_one_target():
  sources = [s for t in _TESTS.values() for s in t["srcs"]]
  named = sorted(s for s in sources if s.endswith("_test.py"))
  assert named == _glob(["tests/**/*_test.py"])
  for name, target in _TESTS.items():
    assert target["args"] == [f"{name}.py"]
    assert (_ROOT / target["main"]).is_file()


@pytest.mark.parametrize(
    "line",
    [
        "import mulearn.learn",
        "from mulearn import learn",
        "from mulearn.learn import step",
        "from mulearn.learn.step import learn_from_batch",
        "def f():\n  from mulearn import train",
        "from mulearn.no_such_module import x",
        "from . import base",
    ],
)
def test_a_wrong_import_is_found(line):
  assert len(_violations("env", "mulearn/env/new.py", line)) == 1


@pytest.mark.parametrize(
    "line",
    ["import jax", "from mulearn import types", "from mulearn.env import base"],
)
def test_a_right_import_is_not(line):
  assert not _violations("env", "mulearn/env/new.py", line)
