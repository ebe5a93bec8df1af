"""Windows of a board: what it holds is read square by square, alike everywhere.

Four in a row is the same wherever it stands, but a perceptron that reads cells
learns it once for every place. Here one layer of weights reads all windows of
`S x S` cells, a convolution without padding (LeCun et al. 1989, "Backpropagation
applied to handwritten zip code recognition",
https://doi.org/10.1162/neco.1989.1.4.541), and the perceptron reads what they
say. Worlds of maps (`board_maps`) write through windows, too. On boards this
small one product with the weights written out for every window is faster than a
convolution on CPUs.

Here Q counts windows, N the H x W x C numbers of a board, P those in a window.
"""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from mulearn.config import ModelConfig
from mulearn.model.board_networks import Linear, Predictor, product
from mulearn.types import Array

_MOST_WRITTEN_OUT = 10_000_000  # Numbers of a board times windows.


class Windows(nnx.Module):
  """One layer that reads all windows of a board: a convolution, unpadded."""

  def __init__(
      self,
      board_shape: tuple[int, ...],
      side: int,
      features: int,
      *,
      rngs: nnx.Rngs,
  ):
    """Draws the parameters.

    Args:
      board_shape: `(H, W, C)`.
      side: of the windows.
      features: that each is read as, F.
      rngs: consumed.
    """
    self.board_shape, self.side = board_shape, side
    height, width = (n - side + 1 for n in board_shape[:2])
    self.num_windows = height * width
    self.look = Linear(side * side * board_shape[2], features, rngs=rngs)
    # None but in a search (`spread_out`): it is no parameter.
    self.spread: Array | None = nnx.data(None)

  def __call__(self, flat: Array) -> Array:
    """Boards `[B, N]` to features of one window after the other, `[B, Q F]`."""
    bias = jnp.tile(self.look.bias[...], self.num_windows)
    return product(flat, self.spread_out()) + bias

  def spread_out(self) -> Array:
    """Weights `[P, F]` of one window as those of all of them, `[N, Q F]`."""
    if self.spread is not None:
      return self.spread
    places = where_windows_look(self.board_shape, self.side)
    kernel = self.look.kernel[...]
    rows = jnp.asarray(places.reshape(-1, places.shape[-1]), kernel.dtype)
    spread = product(rows, kernel).astype(kernel.dtype)
    return spread.reshape(len(places), -1)


class WindowReader(Windows):
  """Reads all windows of a board, then what they say; in place of a `Linear`."""

  def __init__(
      self,
      config: ModelConfig,
      board_shape: tuple[int, ...],
      *,
      rngs: nnx.Rngs,
  ):
    """Draws the parameters.

    Args:
      config: `window`, the side, `window_features`, and `width`, that of what
        is said.
      board_shape: `(H, W, C)`.
      rngs: consumed.
    """
    features = config.window_features
    super().__init__(board_shape, config.window, features, rngs=rngs)
    self.read = Linear(self.num_windows * features, config.width, rngs=rngs)

  def __call__(self, flat: Array) -> Array:
    """Boards `[B, N]` to what is said of them, `[B, D]`."""
    return self.read(jax.nn.relu(super().__call__(flat)))


class WindowWriter(Windows):
  """From features of windows back to a board: a transposed convolution."""

  def __init__(
      self,
      board_shape: tuple[int, ...],
      side: int,
      features: int,
      *,
      rngs: nnx.Rngs,
  ):
    """Draws the parameters; see `Windows`. There is no bias."""
    super().__init__(board_shape, side, features, rngs=rngs)
    del self.look.bias

  def __call__(self, seen: Array) -> Array:
    """Features `[B, Q F]` to what each cell sums up of them, `[B, N]`."""
    return product(seen, self.spread_out())

  def spread_out(self) -> Array:
    """Weights as those of all windows, `[Q F, N]`."""
    return self.spread if self.spread is not None else super().spread_out().T


def spread_out(networks: Predictor) -> Predictor:
  """The networks with the weights of windows written out, once for a search.

  A loss, which asks for each layer a few times, gains nothing by it.
  """
  networks = nnx.clone(networks)
  for _, module in nnx.iter_modules(networks):
    if isinstance(module, Windows):
      module.spread = module.spread_out()
  return networks


def where_windows_look(board_shape: tuple[int, ...], side: int) -> np.ndarray:
  """1 where number `n` of the board is number `p` of window `q`: `[N, Q, P]`.

  Args:
    board_shape: `(H, W, C)`; N numbers in all.
    side: of the windows.
  """
  numbers = np.arange(np.prod(board_shape)).reshape(board_shape)
  windows = np.lib.stride_tricks.sliding_window_view(
      numbers, (side, side), axis=(0, 1)
  )  # [H - S + 1, W - S + 1, C, S, S]
  windows = windows.reshape(-1, side * side * board_shape[2])
  return (np.arange(numbers.size)[:, None, None] == windows).astype(np.float32)


def check(window: int, board_shape: tuple[int, ...]) -> None:
  """Raises a ValueError where windows cannot be written out.

  Args:
    window: their side.
    board_shape: of observations: `(H, W, C)`, if this is a board.
  """
  if len(board_shape) != 3 or min(board_shape[:2]) < window:
    raise ValueError(
        f"config.model.window is {window}, but observations are of shape"
        f" {board_shape}: windows need (H, W, C), neither H nor W below it."
        " Make it smaller, or 0 to read number by number."
    )
  height, width, planes = board_shape
  num_windows = (height - window + 1) * (width - window + 1)
  if height * width * planes * num_windows > _MOST_WRITTEN_OUT:
    raise ValueError(
        f"config.model.window is {window}, but observations are of shape"
        f" {board_shape}: weights are written out for each of {num_windows}"
        " windows, which is for boards. Set it to 0."
    )
