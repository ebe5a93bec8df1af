"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685).

A matrix `W [I, O]` becomes `W + alpha / rank * A B`, with `A [I, rank]` and
`B [rank, O]`. An adapted matrix is read as its sum, layer by layer, so the
decoder need not know; A is drawn and B zero, so that nothing changes at first.
"""

import re

from flax import nnx
import jax
from jax import Array
import jax.numpy as jnp

from mulearn.lm import weights
from mulearn.lm.decoder import Decoder

# Every matrix of every block.
TARGETS = r"attention\.[qkvo]$|feed_forward\.(gate|up|down)$"


class Adapted(nnx.Module):
  """A frozen matrix and its adapter; stands where the matrix stood."""

  def __init__(self, weight: Array, a: Array, b: Array, scale: float):
    self.weight = nnx.Param(weight)
    self.a = nnx.Param(a)
    self.b = nnx.Param(b)
    self.scale = scale

  @property
  def dtype(self) -> jnp.dtype:
    """Of the frozen matrix."""
    return self.weight.dtype

  def __getitem__(self, index) -> Array:
    update = self.a[...] @ self.b[...] * self.scale
    return (self.weight[...] + update.astype(self.dtype))[index]


def adapt(
    decoder: Decoder,
    rng_key: Array,
    *,
    rank: int,
    alpha: float,
    targets: str = TARGETS,
) -> Decoder:
  """Gives matrices an adapter.

  Args:
    decoder: the decoder; it stays as it is and shares its arrays.
    rng_key: draws A, normal with variance 1 / I.
    rank: of the adapters.
    alpha: scale of what they add, times the rank.
    targets: pattern of the names of the matrices, such as
      `blocks.3.attention.q`.

  Returns:
    A decoder whose adapters (names that end in `.a` and `.b`) can be trained.

  Raises:
    ValueError: no matrix fits the pattern, or the rank is not positive.
  """
  if rank < 1:
    raise ValueError(f"rank={rank}; an adapter needs 1 or more.")
  names = [
      n for n in weights.parameter_arrays(decoder) if re.search(targets, n)
  ]
  if not names:
    raise ValueError(
        f"no matrix fits {targets!r}; names are such as"
        f" {', '.join(list(weights.parameter_arrays(decoder))[:3])}."
    )
  adapted = jax.tree.map(lambda x: x, decoder)
  for key, name in zip(jax.random.split(rng_key, len(names)), names):
    owner, leaf = _find(adapted, name)
    weight = getattr(owner, leaf)[...]
    num_in, num_out = weight.shape
    a = jax.random.normal(key, (num_in, rank)) / num_in**0.5
    b = jnp.zeros((rank, num_out))
    setattr(owner, leaf, Adapted(weight, a, b, alpha / rank))
  return adapted


def merge(decoder: Decoder) -> Decoder:
  """Returns a plain decoder that computes what the adapted one does."""
  merged = jax.tree.map(lambda x: x, decoder)
  for name in weights.parameter_arrays(decoder):
    if name.endswith(".weight"):
      owner, leaf = _find(merged, name.removesuffix(".weight"))
      setattr(owner, leaf, nnx.Param(getattr(owner, leaf)[...]))
  return merged


def _find(decoder: Decoder, name: str) -> tuple[nnx.Module, str]:
  """Returns the module that holds an array, and the attribute's name."""
  *path, leaf = name.split(".")
  owner = decoder
  for part in path:
    owner = owner[int(part)] if part.isdecimal() else getattr(owner, part)
  return owner, leaf
