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


def _read_build() -> tuple[Targets, Targets, Targets]:
  """Libraries, tests and others of BUILD, which is Python in its syntax."""
  libraries: Targets = {}
  tests: Targets = {}
  others: Targets = {}

  def add(targets: Targets, name: str, **attributes: Any) -> None:
    assert name not in targets, f"BUILD declares {name} twice."
    targets[name] = {"deps": [], **attributes}

  rules = {
      "load": lambda *unused: None,
      "package": lambda **unused: None,
      "glob": _glob,
      "filegroup": lambda **kw: add(others, **kw),
      "test_suite": lambda **kw: add(others, **kw),
      "py_library": lambda **kw: add(libraries, **kw),
      "py_test": lambda **kw: add(tests, **kw),
  }
  exec(compile((_ROOT / "BUILD").read_text(), "BUILD", "exec"), rules)
  return libraries, tests, others


_LIBRARIES, _TESTS, _OTHERS = _read_build()


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


def _sources(root: pathlib.Path) -> list[str]:
  """Python and notebooks below `root`, but for what git ignores there."""
  ignored = {"build", "runs"}
  return sorted(
      path.relative_to(root).as_posix()
      for top in root.iterdir()
      if top.name not in ignored and not top.name.startswith((".", "bazel-"))
      for path in ([top] if top.is_file() else top.rglob("*"))
      if path.suffix in (".py", ".ipynb")
      and ".ipynb_checkpoints" not in path.parts
  )


def test_every_source_is_in_exactly_one_target():
  targets = {**_LIBRARIES, **_TESTS, **_OTHERS}
  owners: dict[str, list[str]] = {}
  for name, target in targets.items():
    # Each test names the program that starts it, which its support owns.
    sources = set(target.get("srcs", ())) - {target.get("main")}
    for source in sources:
      owners.setdefault(source, []).append(name)
  files = _sources(_ROOT)
  assert {"setup.py", "tests/imports_test.py", "mulearn/main.py"} < set(files)
  wrong = {f: owners.get(f, []) for f in files if len(owners.get(f, [])) != 1}
  assert not wrong, f"BUILD has these in no target, or in several: {wrong}"
  assert not set(owners) - set(files) - set(_glob(["colab/*"]))


def test_a_source_without_a_target_would_be_found(tmp_path):
  for name in ("new.py", "a/b/new.ipynb", ".venv/x.py", "runs/x.py", "a/x.md"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
  assert _sources(tmp_path) == ["a/b/new.ipynb", "new.py"]


def test_tests_are_named_after_their_files():
  for name, target in _TESTS.items():
    assert target["args"] == [f"{name}.py"]
    assert target["srcs"] == [f"{name}.py", target["main"]]
    assert (_ROOT / target["main"]).is_file()
  assert sorted(f"{name}.py" for name in _TESTS) == _glob(
      ["tests/**/*_test.py"]
  )
  assert set(_OTHERS["quick"]["tests"]) < set(_TESTS)


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
