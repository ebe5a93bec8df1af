"""The learned world of a board: its latents stay a board.

MuZero's latents of board games are maps (Schrittwieser et al. 2020, "Mastering
Atari, Go, chess and shogi by planning with a learned model",
https://arxiv.org/abs/1911.08265, Appendix F): what a move does is seen where it
is done, alike everywhere. Where theirs has a tower of convolutions, one layer of
windows (`board_windows`) reads a map and the mark of a move, and another writes
what came of it. Of an observation o and actions a, with marks m,

  l_0 = tanh(see(o)),  l_{k+1} = tanh(keep(l_k) + write(relu(moved(l_k + m_a))))

where `see` and `keep` read cell by cell, `moved` and `write` through windows.
Where a mark lies is learned for each action, and heads read all windows at once;
what follows from a mark is learned once for all places.

Latents are maps `[H, W, C]` of numbers in `[-1, 1]`, handed on flat like those
of any other world, so that D is H x W x C.
"""

import functools
import math

from flax import nnx
import jax
import jax.numpy as jnp

from mulearn.config import ModelConfig
from mulearn.model.board_networks import (
    Block,
    Imaginer,
    Linear,
    Reward,
    numbers,
)
from mulearn.model.board_windows import (
    WindowReader,
    Windows,
    WindowWriter,
)
from mulearn.types import Array

_ZEROS = nnx.initializers.zeros_init()


class MapImaginer(Imaginer):
  """An `Imaginer` that imagines boards."""

  def __init__(
      self,
      config: ModelConfig,
      *,
      observation_shape: tuple[int, ...],
      num_actions: int,
      rngs: nnx.Rngs,
  ):
    """Fresh parameters.

    Args:
      config: `channels` of a map, its windows, and the `width` of what heads
        read.
      observation_shape: height, width and planes.
      num_actions: A.
      rngs: of the parameters.
    """
    channels, width, bins = config.channels, config.width, config.num_bins
    self.map = (*observation_shape[:2], channels)
    size = math.prod(self.map)
    self.read = WindowReader(config, self.map, rngs=rngs)
    self.see = Windows(observation_shape, 1, channels, rngs=rngs)
    self.read_block = Block(width, rngs=rngs)
    self.judge = Block(width, rngs=rngs)
    self.move = nnx.Embed(
        num_actions,
        size,
        embedding_init=nnx.initializers.normal(1.0),
        rngs=rngs,
    )
    few = -(-config.window_features // 2)  # A move is less than a judgement.
    self.moved = Windows(self.map, config.window, few, rngs=rngs)
    self.write = WindowWriter(self.map, config.window, few, rngs=rngs)
    self.keep = Windows(self.map, 1, channels, rngs=rngs)
    self.outcome = Linear(width, width, rngs=rngs)
    head = functools.partial(Linear, kernel_init=_ZEROS, rngs=rngs)
    self.policy = head(width, num_actions)
    self.value = head(width, bins)
    self.reward = Reward(width, bins, kernel_init=_ZEROS, rngs=rngs)
    self.continues = head(width, 1)
    self.legal = head(size, num_actions)
    # Whole maps are compared, up to their scale, without the predictor that
    # keeps SimSiam from making all alike (Chen & He 2021, "Exploring simple
    # Siamese representation learning", https://arxiv.org/abs/2011.10566): here
    # what heads have to tell apart does.
    self.projector = self.predictor = jax.nn.identity

  def represent(self, planes: Array) -> Array:
    """Latents `[B, D]` of boards `[B, H, W, C]`: cell by cell."""
    flat = numbers(planes).reshape(planes.shape[0], -1)
    return jnp.tanh(self.see(flat))

  def predict(self, latent: Array) -> tuple[Array, Array]:
    """Policy logits `[..., A]` and value logits `[..., S]` of latents."""
    flat = latent.reshape(-1, latent.shape[-1])
    hidden = self.judge(self.read_block(jax.nn.relu(self.read(flat))))
    said = self.policy(hidden), self.value(hidden)
    return jax.tree.map(lambda x: x.reshape(*latent.shape[:-1], -1), said)

  def imagine(self, latent: Array, action: Array) -> tuple[Array, Array]:
    """Latents `[B, D]` after actions `[B]`, and what came of them `[B, E]`."""
    seen = jax.nn.relu(self.moved(latent + self.move(action)))
    after = jnp.tanh(self.keep(latent) + self.write(seen))
    return after, jax.nn.relu(self.outcome(jax.nn.relu(self.read(after))))
