"""The notebooks: clean in git, and every cell runs."""

import ast
import pathlib

import nbclient
import nbformat
import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_NOTEBOOKS = sorted((_ROOT / "colab").glob("*.ipynb"))
# Written behind the cell of settings. The quickstart trains for a moment; the
# others look into an agent that knows nothing, which is compiled sooner.
_SMALL = {
    "1_quickstart": """
config.num_steps, config.eval_every = 1024, 1024
config.replay.min_size, config.replay.batch_size = 512, 16
config.search.num_simulations = config.search.num_eval_simulations = 2
config.model.width = 16
""",
    # The sizes of `board_config`, whose programs other tests have compiled.
    "2_world_model": """
config.num_steps, num_lines = 0, 64
config.model.width, config.model.num_bins = 16, 11
config.search = type(config.search)(
    num_simulations=4, num_eval_simulations=4, max_considered=4, max_depth=4
)
""",
    "3_language_prior": """
config.num_steps, config.model.width, config.env.num_processes = 0, 16, 1
config.env.num_train_games = config.env.num_dev_games = 2
config.env.num_test_games = config.prior.calibration_games = 2
config.search.num_simulations = config.search.num_eval_simulations = 2
games, train_games = games[:2], train_games[:2]
""",
    "4_pod": """
config.env.num_lanes = config.replay.batch_size = 8
config.self_play.num_plies, config.replay.capacity = 2, 256
config.learn.updates_per_env_step = 1 / 16
config.search.num_simulations, config.model.width = 2, 16
""",
    "5_results": """
del text_games["cookingworld"], text_games["mapreader"]
""",
}

_SHOWN = {  # Beside pictures that are no drawings.
    "1_quickstart": {"image/svg+xml", "text/html"},
    "3_language_prior": {"image/svg+xml"},
    "4_pod": {"text/markdown"},
    "5_results": {"image/svg+xml", "text/markdown"},
}


def _read(path):
  return nbformat.read(path, as_version=4)


def _code(notebook):
  return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _python(source):
  """Without what only a notebook understands."""
  return "\n".join(
      line.replace(line.lstrip(), "pass", 1)
      if line.lstrip().startswith(("!", "%"))
      else line
      for line in source.splitlines()
  )


@pytest.fixture(params=_NOTEBOOKS, ids=lambda path: path.name)
def path(request) -> pathlib.Path:
  return request.param


def test_there_are_notebooks():
  assert _NOTEBOOKS


def test_the_page_of_notebooks_lists_it(path):
  assert f"]({path.name})" in (path.parent / "README.md").read_text()


def test_git_holds_no_outputs(path):
  for cell in _code(_read(path)):
    assert not cell.outputs and cell.execution_count is None, cell.source


def test_notebooks_are_read_from_top_to_bottom(path):
  """Prose between few short cells, no definitions, a last thing to try."""
  notebook = _read(path)
  assert "Open in Colab" in notebook.cells[0].source
  assert path.name in notebook.cells[0].source
  assert 'if "google.colab" in sys.modules:' in _code(notebook)[0].source
  assert len(_code(notebook)) <= 12
  for cell in _code(notebook):
    tree = ast.parse(_python(cell.source))
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    assert not any(isinstance(node, kinds) for node in ast.walk(tree))
    assert len(cell.source.splitlines()) <= 15
    assert max(map(len, cell.source.splitlines())) <= 88
  assert "## Change this and see" in notebook.cells[-1].source


def test_every_cell_runs(path, monkeypatch):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  monkeypatch.delenv("MPLBACKEND")  # The kernel has a backend of its own.
  notebook = _read(path)
  settings = [c for c in _code(notebook) if "settings" in c.metadata.tags]
  assert len(settings) == 1
  settings[0].source += _SMALL.get(path.stem, "")
  client = nbclient.NotebookClient(
      notebook,
      timeout=900,
      kernel_name="python3",
      resources={"metadata": {"path": str(path.parent)}},
  )
  client.execute()
  shown = {
      kind
      for cell in _code(notebook)
      for output in cell.outputs
      for kind in output.get("data", ())
  }
  assert {"image/png", *_SHOWN.get(path.stem, ())} <= shown
