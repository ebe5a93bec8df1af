"""The learned world of pictures: residual convolutions, halved to a small map.

After Ye et al. 2021, "Mastering Atari games with limited data",
https://arxiv.org/abs/2111.00210, Appendix A: 96 pixels become 6, one residual
block imagines and one judges, and heads read few channels. What differs: layers
are normalised over channels in place of batches, so that there are no statistics
to keep, and an action is a bias of each channel in place of a plane.

Latents are maps `[h, w, C]`, handed on flat like those of any other world, so
that D is h x w x C.
"""

import functools
import math

from flax import nnx
import jax

from mulearn.config import ModelConfig
from mulearn.model.board_networks import (
    Block,
    Imaginer,
    Linear,
    Reward,
    level,
    numbers,
)
from mulearn.types import Array

_ZEROS = nnx.initializers.zeros_init()
_HEAD_CHANNELS = 16  # That a head reads.
_HALVED = 16  # A picture's sides are divided by this.
_PROJECTION = 4  # Times the width: what consistency compares.


class Convolution(nnx.Module):
  """A convolution of 3x3 pixels (or 1x1), and its output normalised."""

  def __init__(
      self,
      before: int,
      after: int,
      *,
      size: int = 3,
      stride: int = 1,
      rngs: nnx.Rngs,
  ):
    self.conv = nnx.Conv(
        before, after, (size, size), strides=stride, use_bias=False, rngs=rngs
    )
    self.norm = nnx.LayerNorm(after, rngs=rngs)

  def __call__(self, x: Array) -> Array:
    """`[B, h, w, C]` to `[B, h / stride, w / stride, C']`."""
    return self.norm(self.conv(x))


class Residual(nnx.Module):
  """`relu(x + V relu(W x))` with convolutions."""

  def __init__(self, channels: int, *, rngs: nnx.Rngs):
    self.inner = Convolution(channels, channels, rngs=rngs)
    self.outer = Convolution(channels, channels, rngs=rngs)

  def __call__(self, x: Array) -> Array:
    """`[B, h, w, C]` to the same."""
    return jax.nn.relu(x + self.outer(jax.nn.relu(self.inner(x))))


class Reader(nnx.Module):
  """A few channels of a map, flattened, for a head to read."""

  def __init__(self, channels: int, cells: int, width: int, *, rngs: nnx.Rngs):
    self.few = Convolution(channels, _HEAD_CHANNELS, size=1, rngs=rngs)
    self.flat = Linear(cells * _HEAD_CHANNELS, width, rngs=rngs)

  def __call__(self, x: Array) -> Array:
    """`[B, h, w, C]` to `[B, E]`."""
    few = jax.nn.relu(self.few(x))
    return jax.nn.relu(self.flat(few.reshape(few.shape[0], -1)))


class PictureImaginer(Imaginer):
  """An `Imaginer` that sees pictures."""

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
      config: `channels` of a map, and the `width` of what heads read.
      observation_shape: height, width and planes.
      num_actions: A.
      rngs: of the parameters.

    Raises:
      ValueError: the pictures cannot be halved four times.
    """
    if len(observation_shape) != 3:
      raise ValueError(
          f"config.model.channels is {config.channels}, but observations are"
          f" {observation_shape}, no pictures: set it to 0 for a perceptron."
      )
    height, width, planes = observation_shape
    if height % _HALVED or width % _HALVED:
      raise ValueError(
          f"config.model.channels is {config.channels}, but observations are of"
          f" {height} x {width}: both have to be multiples of {_HALVED}. Set it"
          " to 0 for a perceptron or, for a board, model.window above 0."
      )
    channels, bins = config.channels, config.num_bins
    self.map = (height // _HALVED, width // _HALVED, channels)
    cells, size = math.prod(self.map[:2]), math.prod(self.map)
    half = channels // 2
    self.halve = Convolution(planes, half, stride=2, rngs=rngs)
    self.half_block = Residual(half, rngs=rngs)
    self.quarter = Convolution(half, channels, stride=2, rngs=rngs)
    self.read_blocks = nnx.List(
        [Residual(channels, rngs=rngs) for _ in range(3)]
    )
    self.judge_block = Residual(channels, rngs=rngs)
    reader = functools.partial(Reader, channels, cells, config.width, rngs=rngs)
    self.policy_reader, self.value_reader = reader(), reader()
    self.outcome_reader = reader()
    head = functools.partial(Linear, kernel_init=_ZEROS, rngs=rngs)
    self.policy = head(config.width, num_actions)
    self.value = head(config.width, bins)
    self.reward = Reward(config.width, bins, kernel_init=_ZEROS, rngs=rngs)
    self.continues = head(config.width, 1)
    self.legal = head(size, num_actions)
    self.move = nnx.Embed(
        num_actions,
        channels,
        embedding_init=nnx.initializers.normal(1.0),
        rngs=rngs,
    )
    self.move_map = Convolution(channels, channels, rngs=rngs)
    self.map_block = Residual(channels, rngs=rngs)
    projection = _PROJECTION * config.width
    self.projector = Linear(size, projection, rngs=rngs)
    self.predictor = Block(projection, rngs=rngs)

  def represent(self, planes: Array) -> Array:
    """Latents `[B, D]` of pictures `[B, H, W, C]`."""
    x = jax.nn.relu(self.halve(numbers(planes)))
    x = jax.nn.relu(self.quarter(self.half_block(x)))
    for i, block in enumerate(self.read_blocks):
      x = block(nnx.avg_pool(x, (2, 2), strides=(2, 2)) if i else x)
    return level(x.reshape(x.shape[0], -1))

  def predict(self, latent: Array) -> tuple[Array, Array]:
    """Policy logits `[..., A]` and value logits `[..., S]` of latents."""
    hidden = self.judge_block(latent.reshape(-1, *self.map))
    said = (
        self.policy(self.policy_reader(hidden)),
        self.value(self.value_reader(hidden)),
    )
    return jax.tree.map(lambda x: x.reshape(*latent.shape[:-1], -1), said)

  def imagine(self, latent: Array, action: Array) -> tuple[Array, Array]:
    """Latents `[B, D]` after actions `[B]`, and what came of them `[B, E]`."""
    before = latent.reshape(-1, *self.map)
    moved = self.move_map(before) + self.move(action)[:, None, None]
    after = self.map_block(jax.nn.relu(before + moved))
    return level(after.reshape(latent.shape)), self.outcome_reader(after)
