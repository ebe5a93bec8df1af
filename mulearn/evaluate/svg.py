"""Just enough SVG for one picture, with text that is measured before drawn."""

import functools
import html
import pathlib
import re
import warnings

import matplotlib
from matplotlib import ft2font

# DejaVu and Verdana are equally wide; what stands in for them is narrower, so
# text that fits by DejaVu's measures fits everywhere.
FONT_FAMILY = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"


class Canvas:
  """Collects shapes, in pixels from the upper left, and renders them."""

  def __init__(self):
    self._shapes = []

  def text(
      self,
      x: float,
      y: float,
      text: str,
      size: float,
      colour: str,
      bold: bool = False,
      anchor: str = "start",
  ) -> None:
    """Writes one line, `y` being its baseline."""
    weight = ' font-weight="bold"' if bold else ""
    self._shapes.append(
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}"{weight}>{_escaped(text)}</text>'
    )

  def rect(
      self,
      x: float,
      y: float,
      width: float,
      height: float,
      fill: str,
      stroke: str = "none",
      stroke_width: float = 0,
      radius: float = 0,
  ) -> None:
    """Draws a box."""
    self._shapes.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="{radius}" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{stroke_width}"/>'
    )

  def line(
      self,
      x_start: float,
      y_start: float,
      x_end: float,
      y_end: float,
      colour: str,
      width: float = 1,
  ) -> None:
    """Draws a straight line."""
    self.path(
        f"M{x_start:.1f},{y_start:.1f} L{x_end:.1f},{y_end:.1f}", colour, width
    )

  def path(self, commands: str, colour: str, width: float) -> None:
    """Strokes an SVG path."""
    self._shapes.append(
        f'<path d="{commands}" fill="none" stroke="{colour}" '
        f'stroke-width="{width:.1f}"/>'
    )

  def render(self, width: float, height: float) -> str:
    """Returns the document."""
    shapes = "\n".join(self._shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="{FONT_FAMILY}">\n'
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>\n'
        f"{shapes}\n</svg>\n"
    )


def width(text: str, size: float, bold: bool = False) -> float:
  """Measures a line in pixels at a font size in pixels."""
  font = _font(bold)
  with warnings.catch_warnings():
    # A sign that DejaVu lacks is as wide as the box that stands in for it.
    warnings.filterwarnings("ignore", message="Glyph .* missing")
    font.set_text(text, 0.0)
  # FreeType measures in 64ths of a pixel; the font is loaded at 100 pixels.
  return font.get_width_height()[0] / 64.0 * size / 100.0


def fit(text: str, size: float, limit: float, bold: bool = False) -> str:
  """Cuts a line to `limit` pixels, with an ellipsis where something is lost."""
  if width(text, size, bold) <= limit:
    return text
  while text and width(text + "…", size, bold) > limit:
    text = text[:-1]
  return text.rstrip() + "…"


def wrap(
    text: str,
    size: float,
    limit: float,
    max_lines: int | None = None,
    bold: bool = False,
) -> list[str]:
  """Breaks text into lines of at most `limit` pixels.

  Args:
    text: the words; runs of white space count as one.
    size: of the font, in pixels.
    limit: width of a line, in pixels.
    max_lines: lines that may be used; the last one is cut if they are too few.
    bold: whether the text will be bold.

  Returns:
    The lines, at least one.
  """
  lines = [""]
  for word in text.split():
    longer = f"{lines[-1]} {word}".strip()
    if not lines[-1] or width(longer, size, bold) <= limit:
      lines[-1] = longer
    else:
      lines.append(word)
  if max_lines is not None and len(lines) > max_lines:
    lines[max_lines - 1 :] = [" ".join(lines[max_lines - 1 :])]
  return [fit(line, size, limit, bold) for line in lines]


@functools.cache
def _font(bold: bool) -> ft2font.FT2Font:
  name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
  path = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name)
  font = ft2font.FT2Font(str(path))
  font.set_size(100.0, 72.0)
  return font


def _escaped(text: str) -> str:
  """Escapes a text for XML, which has no place for control characters."""
  return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", text))
