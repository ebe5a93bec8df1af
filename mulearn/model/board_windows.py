"""Windows of a board: what it holds is read square by square, alike everywhere.

Four in a row is the same wherever it stands, but a perceptron that reads cells
learns it once for every place. Here one layer of weights reads all windows of
`S x S` cells, a convolution without padding (LeCun et al. 1989, "Backpropagation
applied to handwritten zip code recognition",
https://doi.org/10.1162/neco.1989.1.4.541), and the perceptron reads what they
say. On boards this small one product with the weights written out for every
window is faster than a convolution on CPUs.
"""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from mulearn.config import ModelConfig
from mulearn.model.board_networks import Linear, Predictor, product
from mulearn.types import Array


class WindowReader(nnx.Module):
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
      config: `window`, the side of the windows, `window_features`, what each
        is read as, and `width`.
      board_shape: `(H, W, C)` of observations.
      rngs: consumed.

    Raises:
      ValueError: this is no board, or one smaller than a window.
    """
    side, features = config.window, config.window_features
    if len(board_shape) != 3 or min(board_shape[:2]) < side:
      raise ValueError(
          f"config.model.window is {side}, but observations are of shape"
          f" {board_shape}: windows need (H, W, C), neither H nor W below it."
          " Make it smaller, or 0 to read number by number."
      )
    self.side, self.board_shape = side, board_shape
    count = (board_shape[0] - side + 1) * (board_shape[1] - side + 1)
    self.look = Linear(side * side * board_shape[2], features, rngs=rngs)
    self.read = Linear(count * features, config.width, rngs=rngs)

  def __call__(self, flat: Array) -> Array:
    """`[B, H W C]` to `[B, D]`."""
    places = where_windows_look(self.board_shape, self.side)
    kernel = self.look.kernel[...]
    spread = jnp.einsum(
        "nwp,pf->nwf",
        jnp.asarray(places, kernel.dtype),
        kernel,
        preferred_element_type=jnp.float32,
    )
    seen = product(flat, spread.reshape(len(places), -1).astype(kernel.dtype))
    bias = jnp.tile(self.look.bias[...], places.shape[1])
    return self.read(jax.nn.relu(seen + bias))


def where_windows_look(board_shape: tuple[int, ...], side: int) -> np.ndarray:
  """1 where a cell `n` of the board is the cell `p` of window `w`: `[N, W, P]`.

  Args:
    board_shape: `(H, W, C)`; each of its N entries counts as a cell.
    side: of the windows.
  """
  numbers = np.arange(np.prod(board_shape)).reshape(board_shape)
  windows = np.lib.stride_tricks.sliding_window_view(
      numbers, (side, side), axis=(0, 1)
  )  # [H - S + 1, W - S + 1, C, S, S]
  windows = windows.reshape(-1, side * side * board_shape[2])
  return (np.arange(numbers.size)[:, None, None] == windows).astype(np.float32)


def look(
    networks: Predictor,
    config: ModelConfig,
    board_shape: tuple[int, ...],
    rngs: nnx.Rngs,
) -> Predictor:
  """Gives networks a reader of windows; see `WindowReader`."""
  networks.read = WindowReader(config, board_shape, rngs=rngs)
  return networks
