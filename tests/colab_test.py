"""The notebooks: clean in git, and every cell runs."""

import ast
import pathlib

import nbclient
import nbformat
import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_NOTEBOOKS = sorted((_ROOT / "colab").glob("*.ipynb"))
# Written behind the cell of settings: the smallest that leave nothing out.
_SMALL = {
    "1_quickstart.ipynb": """
config.num_steps, config.eval_every = 1024, 1024
config.replay.min_size, config.replay.batch_size = 512, 16
config.search.num_simulations = config.search.num_eval_simulations = 2
config.model.width = 16
""",
    "4_pod.ipynb": """
config.env.num_lanes = config.replay.batch_size = 8
config.self_play.num_plies, config.replay.capacity = 2, 256
config.learn.updates_per_env_step = 1 / 16
config.search.num_simulations, config.model.width = 2, 16
""",
}
_SHOWN = {  # Kinds of output that its cells give at least.
    "1_quickstart.ipynb": {"image/png", "image/svg+xml", "text/html"},
    "4_pod.ipynb": {"image/png", "text/markdown"},
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


def test_git_holds_no_outputs(path):
  for cell in _code(_read(path)):
    assert not cell.outputs and cell.execution_count is None, cell.source


def test_notebooks_are_read_from_top_to_bottom(path):
  """Prose between few short cells, no definitions, a last thing to try."""
  notebook = _read(path)
  assert "Open in Colab" in notebook.cells[0].source
  assert path.name in notebook.cells[0].source
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
  settings[0].source += _SMALL[path.name]
  client = nbclient.NotebookClient(
      notebook,
      timeout=300,
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
  assert _SHOWN[path.name] <= shown
