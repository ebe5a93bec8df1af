"""The pages: every command and snippet runs, every link leads somewhere.

Commands are given as they are written, in one directory, with tiny settings
appended. What cannot be run so is in `_ELSEWHERE`, with the test that runs it;
a new command that is in neither fails here.
"""

import ast
import dataclasses
import importlib
import io
import pathlib
import re
import runpy
import shlex

from absl import flags
import jax
import jax.numpy as jnp
from ml_collections import config_flags
import numpy as np
import pytest

from mulearn import main as main_lib
from mulearn.prior import fusion

_ROOT = pathlib.Path(__file__).parent.parent
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_MARKDOWN = [
    *_ROOT.glob("*.md"),
    *(
        path
        for folder in ("benchmarks", "docs", "experiments", "tests", ".github")
        for path in (_ROOT / folder).rglob("*.md")
    ),
]
_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", re.M | re.S)
_SMALL_MODEL = "tests/testdata/hugging_face/llama3"

# Command -> the test that runs it, tiny.
_DEMO = "main_test.py::test_results_have_what_was_promised"
_ELSEWHERE = {
    "make test": "setup_test.py::test_targets_run_the_commands_of_the_readme",
    "make demo": _DEMO,
    "python -m mulearn.main --config=experiments/demo/config.py"
    " --workdir=runs/demo": _DEMO,
    "python -m mulearn.main --config=experiments/demo/config.py"
    " --workdir=runs/small --config.num_seeds=1"
    " --config.search.num_simulations=8": _DEMO,
    "python -m mulearn.evaluate arena --game=tic_tac_toe --players random"
    " minimax:3 rollouts:64 perfect run:runs/tic_tac_toe/alphazero_0": (
        "evaluate/main_test.py::test_an_arena_is_printed_written_and_drawn"
    ),
    "python -m mulearn.prior calibrate --game=twc --games=40": (
        "prior/main_test.py::test_calibrate_prints_the_table_of_a_real_game"
    ),
    "python -m mulearn.parallel.compile"
    " --config=experiments/connect_four/config.py --topology=v5e:16x16": (
        "parallel/ahead_test.py::test_it_says_what_a_pod_would_need"
    ),
    "python -m mulearn.play --workdir=runs/demo/muzero_lm/seed_0": (
        "play/text_test.py::test_a_run_of_a_study_is_played"
    ),
    # Its config is the demo's, which that test says.
    "python -m mulearn.main --config=experiments/text_worlds/config.py:twc"
    " --workdir=runs/text_worlds/twc": (
        "experiments_test.py::test_the_study_is_what_it_says"
    ),
}
# What is appended to a command, so that it takes no time. Searches are as long
# as those of the snippets, so that one program serves them all.
_TINY = {
    "mulearn.lm fetch": [],
    "mulearn.lm info": [],
    "mulearn.lm score": [],
    "mulearn.evaluate model_error": ["--moves=1", "--lines=20"],
    "mulearn.explore": ["--num_simulations=4", "--max_steps=2"],
    "mulearn.play": ["--num_simulations=4"],
    "experiments.launch.slice": [],  # On the page with --dry-run.
    "experiments.launch.slices": [],
    "experiments.launch.spot": [],
    "experiments.launch.profile": [],
}
# Other programs, which cannot be run here: what they start of ours is.
_OUTSIDE = ("gcloud", "xpk")


def _blocks(path: pathlib.Path, language: str) -> list[str]:
  found = _FENCE.findall(path.read_text())
  return [body for name, body in found if name == language]


def _expand(line: str) -> list[list[str]]:
  """The commands of a line, those that another program starts included."""
  words = shlex.split(line, comments=True)
  if not words or words[0] not in _OUTSIDE:
    return [words] if words else []
  started = [w.removeprefix("--command=") for w in words if "--command=" in w]
  parts = [shlex.split(part) for x in started for part in x.split("&&")]
  ours = (".venv/bin/python", "make")
  return [[p[0].split("/")[-1], *p[1:]] for p in parts if p[0] in ours]


def _commands(path: pathlib.Path) -> list[list[str]]:
  text = "".join(_blocks(path, "bash")).replace("\\\n", " ")
  # A quoted argument may go on over the end of a line.
  lines = re.findall(r"(?:'[^']*'|[^'\n])+", text)
  return [words for line in lines for words in _expand(line)]


_COMMANDS = {shlex.join(w): w for path in _PAGES for w in _commands(path)}
_LISTED = {shlex.join(shlex.split(command)) for command in _ELSEWHERE}
_TRAINED = [
    words
    for name, words in _COMMANDS.items()
    if words[:3] == ["python", "-m", "mulearn.main"] and name not in _LISTED
]
_OTHERS = [
    pytest.param(words, id=name[:70])
    for name, words in _COMMANDS.items()
    if words not in _TRAINED and name not in _LISTED
]


@pytest.fixture(scope="module")
def place(board_config, board_workdir, tmp_path_factory):
  """Where the pages' commands are given; their runs on boards are there."""
  place = tmp_path_factory.mktemp("place")
  for name in ("docs", "experiments", "tests"):
    (place / name).symlink_to(_ROOT / name)
  # Of the experiment's page, where it takes minutes.
  learned = place / "runs" / "tic_tac_toe" / "muzero_0"
  learned.parent.mkdir(parents=True)
  learned.symlink_to(board_workdir("world"))
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(place)
    for words in _TRAINED:
      kind = "world" if ":muzero" in words[3] else "simulator"
      _train([*words[3:], *_settings(board_config(kind))], patch)
  return place


def _settings(config, prefix: str = "--config.") -> list[str]:
  """All numbers and words of a config as flags, but for its seed."""
  settings = []
  for name, value in vars(config).items():
    if dataclasses.is_dataclass(value):
      settings += _settings(value, f"{prefix}{name}.")
    elif name != "seed" and not isinstance(value, (dict, tuple)):
      settings.append(f"{prefix}{name}={value}")
  return settings


def _train(words: list[str], patch: pytest.MonkeyPatch) -> None:
  """What `python -m mulearn.main` does with these words."""
  values = flags.FlagValues()
  config = config_flags.DEFINE_config_file("config", None, flag_values=values)
  workdir = flags.DEFINE_string("workdir", None, "", flag_values=values)
  patch.setattr("sys.argv", ["main", *words])  # Where overrides are found.
  rounds = flags.DEFINE_integer("profile_rounds", 0, "", flag_values=values)
  assert values(["main", *words]) == ["main"]
  patch.setattr(main_lib, "_CONFIG", config)
  patch.setattr(main_lib, "_WORKDIR", workdir)
  patch.setattr(main_lib, "_PROFILE_ROUNDS", rounds)
  patch.setattr(main_lib, "_prepare_jax", lambda: None)
  main_lib.main(["main"])


def test_the_runs_of_the_pages_are_there(place):
  assert _TRAINED
  for words in _TRAINED:
    [workdir] = [w.split("=")[1] for w in words if w.startswith("--workdir=")]
    assert (place / workdir / "results.json").exists()


@pytest.mark.parametrize("words", _OTHERS)
def test_a_command_of_a_page_runs(words, place, monkeypatch, capsys):
  monkeypatch.chdir(place)
  monkeypatch.setattr("sys.stdin", io.StringIO("?\nb2\nquit\n"))
  if words[0] == "make":
    targets = re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(), re.M)
    assert set(words[1:]) <= set(targets)
  elif words[1] == "-m":
    _run_module(words[2], words[3:])
    assert capsys.readouterr().out
  else:
    runpy.run_path(words[1], run_name="__main__")
    shown = capsys.readouterr().out
    pages = [p for p in _PAGES if words[1] in p.read_text()]
    said = [text for page in pages for text in _blocks(page, "text")]
    assert any(shown.endswith(text) for text in said), shown


def _run_module(module: str, words: list[str]) -> None:
  name = " ".join([module, *words[:1]])
  tiny = _TINY[name if name in _TINY else module]
  if module == "mulearn.lm" and words[0] != "fetch":
    words = [w.replace("smollm2-135m", _SMALL_MODEL) for w in words]
  is_package = (_ROOT / module.replace(".", "/")).is_dir()
  library = importlib.import_module(module + ".__main__" * is_package)
  assert library.main([*words, *tiny]) == 0


@pytest.mark.parametrize("command", _ELSEWHERE)
def test_what_runs_elsewhere_is_on_a_page_and_has_a_test(command):
  assert shlex.join(shlex.split(command)) in _COMMANDS
  file, name = _ELSEWHERE[command].split("::")
  assert f"def {name}(" in (_ROOT / "tests" / file).read_text()


@pytest.mark.parametrize(
    "path", [p for p in _PAGES if _blocks(p, "python")], ids=lambda p: p.name
)
def test_the_snippets_of_a_page_run(path, place, monkeypatch):
  monkeypatch.chdir(place)
  names = {}
  for snippet in _blocks(path, "python"):
    exec(compile(snippet, path.name, "exec"), names)  # Our own words.
  if path.name == "README.md":
    assert names["model"].config.num_layers == 30


@pytest.mark.parametrize("path", _PAGES, ids=lambda p: p.name)
def test_fenced_code_is_of_a_kind_that_is_checked(path):
  known = {"bash", "python", "text", "{toctree}", "{literalinclude}"}
  known |= {"{include}", "{raw}", "{eval-rst}"}
  kinds = {kind for kind, _ in _FENCE.findall(path.read_text())}
  assert kinds <= known
  for name in re.findall(r"literalinclude\} (\S+)", path.read_text()):
    assert f"python docs/{name}" in _COMMANDS


def test_nim_holds_to_the_contract_of_environments():
  from env import contract_test

  names = runpy.run_path(str(_ROOT / "docs" / "examples" / "environment.py"))
  game = names["Nim"]()
  keys = jax.random.split(jax.random.key(0), 32)
  play = jax.jit(jax.vmap(lambda key: contract_test._playout(game, key, 130)))
  playouts = play(keys)
  contract_test.test_games_end_by_valid_moves(game, playouts)
  contract_test.test_finished_states_absorb(game, playouts)
  contract_test.test_rewards_come_once(game, playouts)
  contract_test.test_players_alternate(game, playouts)
  contract_test.test_batched_equals_single(game, playouts)
  contract_test.test_shapes_and_types(game)


def test_the_page_of_fusion_is_right():
  """Its bounds, and its derivative of the gate's loss, at random points."""
  head, prior, improvement = 3.0 * jax.random.normal(jax.random.key(0), (3, 9))
  prior = jax.nn.log_softmax(prior)
  gate = jnp.float32(0.7)
  weight = jax.nn.sigmoid(gate)
  alone, both = jax.nn.softmax(head), jax.nn.softmax(head + prior)
  policy = jnp.exp(fusion.gated(head, prior, gate))
  assert (policy >= (1 - weight) * alone * 0.9999).all()
  assert (policy >= weight * both * 0.9999).all()

  def loss(gate):
    return -jnp.sum(jnp.exp(fusion.gated(head, prior, gate)) * improvement)

  expected = -weight * (1 - weight) * jnp.sum((both - alone) * improvement)
  np.testing.assert_allclose(jax.grad(loss)(gate), expected, rtol=1e-4)


def _template(node: ast.AST) -> str:
  """What a text of the code says, `…` for what is filled in."""
  if isinstance(node, ast.Constant) and isinstance(node.value, str):
    return node.value
  if isinstance(node, ast.JoinedStr):
    return "".join(map(_template, node.values))
  if isinstance(node, ast.BinOp):
    return _template(node.left) + _template(node.right)
  return "…"


def test_the_messages_of_the_page_of_errors_are_those_of_the_code():
  said = {
      re.sub("…+", "…", _template(node))
      for path in (_ROOT / "mulearn").rglob("*.py")
      for node in ast.walk(ast.parse(path.read_text()))
      if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp))
  }
  quoted = [b.strip() for b in _blocks(_ROOT / "docs" / "errors.md", "text")]
  assert len(quoted) >= 20
  assert [message for message in quoted if message not in said] == []


def _anchors(path: pathlib.Path) -> set[str]:
  text = _FENCE.sub("", path.read_text())
  headings = re.findall(r"^#+ (.*)$", text, re.M)
  slugs = (re.sub(r"[^\w\- ]", "", h.lower()) for h in headings)
  return {slug.replace(" ", "-") for slug in slugs}


@pytest.mark.parametrize(
    "path", _MARKDOWN, ids=lambda p: str(p.relative_to(_ROOT))
)
def test_links_lead_somewhere(path):
  text = _FENCE.sub("", path.read_text())
  for link in re.findall(r"\]\(\s*([^)\s]+)\s*\)", text):
    if "://" in link:
      assert re.fullmatch(r"https?://[\w.-]+\.\w+(/[^\s<>\"]*)?", link), link
      continue
    target, _, anchor = link.partition("#")
    file = (path.parent / target).resolve() if target else path
    assert file.exists(), f"{path.name} links to {link}, which does not exist."
    assert file.is_relative_to(_ROOT), link
    if anchor:
      assert anchor in _anchors(file), f"{link} names no heading."


def test_all_that_is_public_has_a_docstring():
  bare = []
  for path in sorted((_ROOT / "mulearn").rglob("*.py")):
    module = ast.parse(path.read_text())
    if module.body and not ast.get_docstring(module):
      bare.append(str(path))
    owners = [("", module)]
    owners += [
        (f"{n.name}.", n) for n in module.body if isinstance(n, ast.ClassDef)
    ]
    for owner, node in owners:
      if owner.startswith("_"):
        continue
      for inner in node.body:
        if (
            isinstance(inner, (ast.FunctionDef, ast.ClassDef))
            and not inner.name.startswith("_")
            and not ast.get_docstring(inner)
        ):
          bare.append(f"{path.name}: {owner}{inner.name}")
  assert bare == []
