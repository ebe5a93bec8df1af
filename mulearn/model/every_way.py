"""A position judged through all symmetries of its board, and the mean of that.

A network that learned from turned boards still judges each a little otherwise;
the mean errs less, for as many times the work. Silver et al. 2016, "Mastering
the game of Go with deep neural networks and tree search",
https://doi.org/10.1038/nature16961, calls it an implicit symmetry ensemble.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.env.symmetry import Symmetries
from mulearn.model.board_networks import Predictor
from mulearn.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EveryWay:
  """A `Predictor` that reads and judges every turn of a board.

  Attributes:
    networks: that judge one.
    symmetries: of the board, G of them.
  """

  networks: Predictor
  symmetries: Symmetries

  def represent(self, planes: Array) -> Array:
    """Latents `[B, G, D]` of boards `[B, H, W, C]`."""
    batch, *shape = planes.shape
    flat = planes.reshape(batch, -1, shape[-1])
    turned = flat[:, self.symmetries.cells].reshape(-1, *shape)
    return self.networks.represent(turned).reshape(
        batch, len(self.symmetries.cells), -1
    )

  def predict(self, latent: Array) -> tuple[Array, Array]:
    """Policy logits `[B, A]` and value logits `[B, S]` of `[B, G, D]`.

    Of policies it is the mean of the logits, of values that of the
    distributions.
    """
    policy, value = self.networks.predict(latent)
    # Where the turned board shows each action.
    places = jnp.argsort(self.symmetries.actions, axis=-1)
    policy = jnp.take_along_axis(policy, places[None], axis=-1)
    count = len(self.symmetries.cells)
    value = jax.nn.logsumexp(jax.nn.log_softmax(value), axis=1) - jnp.log(count)
    return jnp.mean(policy, axis=1), value
