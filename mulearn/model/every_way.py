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
from mulearn.model.board_networks import Imaginer, Predictor, Reward
from mulearn.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EveryWay:
  """Networks that read every turn of a board, and imagine every turn of a move.

  Of logits of policies, of legal moves and of going on it takes the mean, of
  values and rewards that of their distributions. Latents are `[B, G, D]`.

  Attributes:
    networks: that judge one turn; an `Imaginer` where moves are imagined.
    symmetries: of the board, G of them.
  """

  networks: Predictor
  symmetries: Symmetries

  @property
  def reward(self) -> Reward:
    """How rewards are said; no memory is carried from move to move."""
    return self._imaginer.reward

  def represent(self, planes: Array) -> Array:
    """Latents `[B, G, D]` of boards `[B, H, W, C]`."""
    batch, *shape = planes.shape
    flat = planes.reshape(batch, -1, shape[-1])
    turned = flat[:, self.symmetries.cells].reshape(-1, *shape)
    return self._unfold(self.networks.represent(turned))

  def predict(self, latent: Array) -> tuple[Array, Array]:
    """Policy logits `[B, A]` and value logits `[B, S]` of `[B, G, D]`."""
    policy, value = self.networks.predict(latent)
    return self._turn_back(policy), _mixture(value)

  def legal_logits(self, latent: Array) -> Array:
    """Logits `[B, A]` that each action is legal at latents `[B, G, D]`."""
    return self._turn_back(self._imaginer.legal_logits(latent))

  def dynamics(
      self, latent: Array, action: Array
  ) -> tuple[Array, Array, Array]:
    """Imagines actions `[B]` at latents `[B, G, D]`; see `Imaginer.dynamics`."""
    turned = self._places[:, action].T
    latent, reward, goes_on = self._imaginer.dynamics(
        latent.reshape(-1, latent.shape[-1]), turned.reshape(-1)
    )
    latent, reward, goes_on = map(self._unfold, (latent, reward, goes_on))
    return latent, _mixture(reward), jnp.mean(goes_on, axis=1)

  @property
  def _imaginer(self) -> Imaginer:
    assert isinstance(self.networks, Imaginer)
    return self.networks

  @property
  def _places(self) -> Array:
    """Where each turned board shows each action, `[G, A]`."""
    return jnp.argsort(self.symmetries.actions, axis=-1)

  def _unfold(self, x: Array) -> Array:
    return x.reshape(-1, len(self.symmetries.cells), *x.shape[1:])

  def _turn_back(self, logits: Array) -> Array:
    """The mean `[B, A]` of what is said of turned actions `[B, G, A]`."""
    logits = jnp.take_along_axis(logits, self._places[None], axis=-1)
    return jnp.mean(logits, axis=1)


def _mixture(logits: Array) -> Array:
  """Logits `[B, S]` of the mean of distributions `[B, G, S]`."""
  share = 1.0 / logits.shape[1]
  return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=1, b=share)
