"""One HTML file that needs nothing else: no network, no build step."""

from importlib import resources
import json
import os
import pathlib

from mulearn.explore.record import Episode, to_json

_PARTS = ("style.css", "board.js", "tree.js", "page.js")


def render(episode: Episode) -> str:
  """The page of an episode, as HTML.

  Args:
    episode: with its searches.

  Returns:
    The document: style, program and data, with no reference to anything
    outside it.
  """
  folder = resources.files("mulearn.explore") / "page"
  text = (folder / "page.html").read_text(encoding="utf-8")
  for name in _PARTS:
    part = (folder / name).read_text(encoding="utf-8")
    text = text.replace(f"/* {name} */", part.strip())
  # Last, so that nothing an episode says is taken for a place to fill.
  return text.replace("{{episode}}", _embed(to_json(episode)))


def write(path: str | os.PathLike[str], episode: Episode) -> pathlib.Path:
  """Writes the page; its folder is created.

  Args:
    path: of the file.
    episode: with its searches.

  Returns:
    The path.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(render(episode), encoding="utf-8")
  return path


def _embed(value: object) -> str:
  """JSON that no HTML parser takes for markup, whatever its strings say."""
  text = json.dumps(value, separators=(",", ":"), allow_nan=False)
  for sign in "<>&":
    text = text.replace(sign, f"\\u{ord(sign):04x}")
  return text
