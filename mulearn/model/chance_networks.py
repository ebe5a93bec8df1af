"""The networks of a learned world with chance.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1. A move is imagined in two
halves: the action leads to an afterstate, and one of M codes, which chance draws,
to the next latent. What a code means is learned: an encoder sees what came of a
move and names it, as a VQ-VAE whose codebook is the one-hot vectors (van den Oord
et al. 2017, https://arxiv.org/abs/1711.00937).
"""

from flax import nnx
import jax
import jax.numpy as jnp

from mulearn.config import ModelConfig
from mulearn.model.board_networks import (
    Block,
    Imaginer,
    Linear,
    level,
    numbers,
)
from mulearn.types import Array

_ZEROS = nnx.initializers.zeros_init()


class ChanceImaginer(Imaginer):
  """An `Imaginer` whose moves have an answer by chance."""

  def __init__(
      self,
      config: ModelConfig,
      *,
      observation_size: int,
      num_actions: int,
      rngs: nnx.Rngs,
  ):
    super().__init__(
        config,
        observation_size=observation_size,
        num_actions=num_actions,
        rngs=rngs,
    )
    width, codes = config.width, config.num_codes
    self.foresee_block = Block(width, rngs=rngs)
    self.odds = Linear(width, codes, kernel_init=_ZEROS, rngs=rngs)
    self.after_value = Linear(
        width, config.num_bins, kernel_init=_ZEROS, rngs=rngs
    )
    # As loud as the afterstate, as actions are.
    self.code = Linear(
        codes, width, kernel_init=nnx.initializers.normal(1.0), rngs=rngs
    )
    self.settle_in = Linear(width, width, rngs=rngs)
    self.settle_block = Block(width, rngs=rngs)
    self.settle_out = Linear(width, width, rngs=rngs)
    self.seen = Linear(observation_size, width, rngs=rngs)
    self.expected = Linear(width, width, rngs=rngs)
    self.name_block = Block(width, rngs=rngs)
    self.name = Linear(width, codes, rngs=rngs)

  @property
  def num_codes(self) -> int:
    """M, the number of codes."""
    return self.odds.bias.shape[0]

  def act(self, latent: Array, action: Array) -> Array:
    """The afterstates `[B, D]` of actions `[B]` at latents `[B, D]`."""
    return self.imagine(latent, action)[0]

  def foresee(self, after: Array) -> tuple[Array, Array]:
    """Logits of the codes `[..., M]` and of Q `[..., S]` at afterstates."""
    hidden = self.foresee_block(after)
    return self.odds(hidden), self.after_value(hidden)

  def settle(self, after: Array, code: Array) -> tuple[Array, Array, Array]:
    """What a code `[B, M]`, one-hot, makes of afterstates; see `dynamics`."""
    hidden = jax.nn.relu(self.settle_in(after) + self.code(code))
    hidden = self.settle_block(hidden)
    outcome = jax.nn.relu(self.outcome(hidden))
    return (
        level(self.settle_out(hidden)),
        self.reward(outcome),
        self.continues(outcome)[..., 0],
    )

  def encode(self, after: Array, planes: Array, known: Array) -> Array:
    """Names what came of afterstates.

    Over what is known no code has a larger mean than another. Without that all
    but one fall out of use within a hundred updates, for a rare code is committed
    to 0. Nothing but learning encodes, so a batch there always is.

    Args:
      after: the afterstates, `[B, D]`.
      planes: what was seen next, `[B, ...]`; all 0 where the game was over.
      known: 1 where there is an answer to be named, else 0, `[B]`.

    Returns:
      `c^e`, of which the largest names the code, `[B, M]`.
    """
    flat = numbers(planes.reshape(planes.shape[0], -1))
    hidden = jax.nn.relu(self.seen(flat) + self.expected(after))
    name = self.name(self.name_block(hidden))
    mean = jnp.average(name, axis=0, weights=known + 1e-6)
    return name - mean + 1.0 / self.num_codes

  def dynamics(
      self, latent: Array, action: Array
  ) -> tuple[Array, Array, Array]:
    """Imagines a move with its likeliest answer; see `Imaginer.dynamics`."""
    after = self.act(latent, action)
    odds, _ = self.foresee(after)
    return self.settle(after, as_code(jnp.argmax(odds, -1), self.num_codes))


def as_code(number: Array, num_codes: int) -> Array:
  """Codes `[...]` by their numbers as one-hot vectors, `[..., M]`."""
  return jax.nn.one_hot(number, num_codes)


def straight_through(encoding: Array) -> Array:
  """The code that an encoding `[..., M]` names, with the encoding's gradient."""
  code = as_code(jnp.argmax(encoding, -1), encoding.shape[-1])
  return code + encoding - jax.lax.stop_gradient(encoding)
