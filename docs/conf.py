"""How the pages are made: `make docs`, or Sphinx with this file.

The sources are the repository's own Markdown files, read where they are, so a
link or a figure is right on a forge and here alike. The pages need no network:
formulas are MathML, fonts are the reader's, and nothing is loaded from afar.
"""

import pathlib
import sys

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx import addnodes
from sphinx.errors import ExtensionError

_ROOT = pathlib.Path(__file__).parent.parent
_FORGE = "https://github.com/mulearn/mulearn"
sys.path.insert(0, str(_ROOT))

project = "mulearn"
author = "the authors of mulearn"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "experiments/*/README.md",
    "experiments/*/results/**",
    "colab/*.ipynb",
    "benchmarks/README.md",
    "tests/conformance/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/_*/**", "docs/examples/**"]
templates_path = [str(_ROOT / "docs" / "_templates")]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
# Kept from one build to the next; what changed is executed again.
nb_execution_mode = "cache"
nb_execution_cache_path = str(_ROOT / ".cache" / "notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
# A cell may hold a line for the shell, which is no Python.
suppress_warnings = ["misc.highlighting_failure"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
# Docstrings are read as text too: a word in backticks is code.
default_role = "code"
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "mulearn"
html_static_path = ["_static"]
html_css_files = ["page.css"]
html_extra_path = ["_root"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_math_renderer = "mathml"


def _write_math(writer, node: nodes.Node) -> None:
  """A formula as MathML, which browsers draw by themselves."""
  block = isinstance(node, nodes.math_block)
  try:
    formula = latex2mathml.tex2mathml(node.astext(), as_block=block)
  except MathError as error:
    raise ExtensionError(f"Formula {node.astext()!r}: {error}") from error
  tag = "div" if block else "span"
  writer.body.append(f'<{tag} class="math">{formula}</{tag}>')
  raise nodes.SkipNode


def _resolve(app, doctree: nodes.document) -> None:
  """Leads to code by its page of source, and to other files on the forge.

  Pictures from elsewhere, such as badges, are replaced by their words.
  """
  page = pathlib.Path(app.env.doc2path(app.env.docname)).parent
  for node in [*doctree.findall(addnodes.download_reference)]:
    _point(app, page, node, node["reftarget"])
  for node in [*doctree.findall(addnodes.pending_xref)]:
    target = node["reftarget"].removeprefix("/")
    if node.get("reftype") == "myst" and (page / target).is_dir():
      _point(app, page, node, target)
  for node in [*doctree.findall(nodes.image)]:
    if "://" in node["uri"]:
      node.replace_self(nodes.Text(node["alt"]))


def _point(app, page: pathlib.Path, node: nodes.Element, target: str) -> None:
  path = (page / target).resolve().relative_to(_ROOT)
  if path.parts[0] == "mulearn" and path.suffix == ".py":
    module = f"_modules/{path.with_suffix('')}"
    uri = app.builder.get_relative_uri(app.env.docname, module)
  else:
    kind = "tree" if (_ROOT / path).is_dir() else "blob"
    uri = f"{_FORGE}/{kind}/main/{path}"
  link = nodes.reference("", "", *node.children, refuri=uri)
  node.replace_self(link)


def setup(app) -> dict[str, bool]:
  """Adds the above to Sphinx."""
  app.add_html_math_renderer("mathml", (_write_math, None), (_write_math, None))
  app.connect("doctree-read", _resolve)
  return {"parallel_read_safe": True, "parallel_write_safe": True}
