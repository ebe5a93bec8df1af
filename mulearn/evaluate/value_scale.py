"""Colours for the values of a search tree, and ink to read on them."""

from matplotlib import colormaps
import numpy as np

from mulearn.search import tree as tree_lib


class ValueScale:
  """Colours of the values in a tree, lowest to highest.

  Attributes:
    lo: the lowest value.
    hi: the highest value.
  """

  def __init__(self, view: tree_lib.TreeView):
    values = [n.value for n in view.walk() if n.value is not None]
    self.lo, self.hi = min(values), max(values)

  def fill(self, value: float) -> str:
    """Returns the colour of a value, as `#rrggbb`."""
    spread = self.hi - self.lo
    return self.at((value - self.lo) / spread if spread > 1e-9 else 0.5)

  def at(self, fraction: float) -> str:
    """Returns the colour at a fraction of the way from `lo` to `hi`."""
    # Without its darkest quarter, and paler, so that text can be read on it.
    rgb = np.array(colormaps["viridis"](0.25 + 0.75 * fraction)[:3])
    return "#" + bytes(np.uint8(255 * (0.65 * rgb + 0.35))).hex()

  def ink(self, value: float) -> str:
    """Returns black or white, whichever stands out more (WCAG 2 contrast)."""
    hex_digits = bytes.fromhex(self.fill(value)[1:])
    channels = np.frombuffer(hex_digits, np.uint8) / 255.0
    linear = np.where(
        channels <= 0.04045,
        channels / 12.92,
        ((channels + 0.055) / 1.055) ** 2.4,
    )
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    # Contrast with white equals that with black at this luminance.
    return "#000000" if luminance > 0.179 else "#ffffff"
