"""The value prefix: rewards are predicted as their running sum.

In which of the next moves a reward will come is hard to say, and search hardly
needs it. So a memory that is carried from one imagined move to the next says how
much has come since the root, and search takes differences. It begins anew every
few moves. Ye et al. 2021, "Mastering Atari games with limited data",
https://arxiv.org/abs/2111.00210.

With `R_i` the rewards of imagined moves and a fresh start every `h` of them,

  P_{k+1} = R_k + P_k [k mod h > 0],   R_k = P_{k+1} - P_k [k mod h > 0]

Rewards are summed without discount, as in the authors' programs.
"""

from typing import NamedTuple

from flax import nnx
import jax
import jax.numpy as jnp

from mulearn.model.board_networks import Imaginer, Linear, Reward
from mulearn.types import Array

_ZEROS = nnx.initializers.zeros_init()


class Carried(NamedTuple):
  """What an imagined position hands on to the next.

  Attributes:
    latent: the position, `[B, D]`.
    hidden: what the memory says, `[B, E]`.
    cell: what it keeps, `[B, E]`.
    total: the sum predicted so far, `[B]`.
    moves: imagined since the root, as a number with a gradient of 0, `[B]`.
  """

  latent: Array
  hidden: Array
  cell: Array
  total: Array
  moves: Array


class PrefixReward(Reward):
  """Says the sum of rewards by what an LSTM remembers of imagined moves.

  Hochreiter & Schmidhuber 1997, "Long short-term memory",
  https://doi.org/10.1162/neco.1997.9.8.1735, with a forget gate.
  """

  def __init__(
      self, size: int, num_bins: int, prefix_moves: int, *, rngs: nnx.Rngs
  ):
    super().__init__(size, num_bins, kernel_init=_ZEROS, rngs=rngs)
    self.gates = Linear(2 * size, 4 * size, rngs=rngs)
    self.prefix_moves = prefix_moves

  def begin(self, latent: Array) -> Carried:
    """What imagining starts from, of latents `[B, D]`."""
    batch = latent.shape[0]
    nothing = jnp.zeros((batch, self.kernel.shape[0]))
    return Carried(latent, nothing, nothing, jnp.zeros(batch), jnp.zeros(batch))

  def latent(self, state: Carried) -> Array:
    """Latents `[B, D]`."""
    return state.latent

  def say(
      self, state: Carried, latent: Array, outcome: Array
  ) -> tuple[Carried, Array]:
    """Logits `[B, S]` of the sum after one more move.

    Args:
      state: before the move.
      latent: after it, `[B, D]`.
      outcome: what came of it, `[B, E]`.

    Returns:
      The state, whose `total` is that before the move; and the logits.
    """
    goes_on = state.moves % self.prefix_moves != 0
    hidden, cell = (
        jnp.where(goes_on[:, None], x, 0.0) for x in (state.hidden, state.cell)
    )
    gates = self.gates(jnp.concatenate([outcome, hidden], axis=-1))
    write, keep, show, new = jnp.split(gates, 4, axis=-1)
    cell = jax.nn.sigmoid(keep + 1.0) * cell + jax.nn.sigmoid(write) * jnp.tanh(
        new
    )
    hidden = jax.nn.sigmoid(show) * jnp.tanh(cell)
    total = jnp.where(goes_on, state.total, 0.0)
    state = Carried(latent, hidden, cell, total, state.moves + 1.0)
    return state, self(hidden)

  def settle(self, state: Carried, said: Array) -> tuple[Carried, Array]:
    """The reward `[B]` of the move after which the sum is `said`, `[B]`."""
    return state._replace(total=said), said - state.total

  def taught(self, reward: Array) -> Array:
    """Running sums of rewards, `[B, U]` from the root on; 0 is nothing."""
    moves = jnp.arange(reward.shape[1])
    sums = jnp.cumsum(reward, axis=1)
    before = jnp.pad(sums, ((0, 0), (1, 0)))
    return sums - before[:, moves // self.prefix_moves * self.prefix_moves]


def remember(networks: Imaginer, prefix_moves: int, rngs: nnx.Rngs) -> Imaginer:
  """Networks whose reward head is replaced by one that remembers."""
  size, num_bins = networks.reward.kernel.shape
  networks.reward = PrefixReward(size, num_bins, prefix_moves, rngs=rngs)
  return networks
