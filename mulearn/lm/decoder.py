"""The decoder: a Llama-family transformer as Flax NNX modules.

The modules are plain pytrees (no random state is kept), so `jax.jit`,
`jax.grad` and Orbax take them whole. Attention reads its structure from a
boolean mask and explicit positions: a chain of tokens, several texts in one
row and a tree of candidates are all the same call. Layers are unrolled.
"""

from collections.abc import Callable
import dataclasses

from flax import nnx
import jax
from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm import attention
from mulearn.lm.attention import Prefix

MakeArray = Callable[[str, tuple[int, ...]], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
  """The shape of a decoder.

  Attributes:
    vocab_size: number of token ids.
    num_layers: number of blocks.
    width: size of the residual stream.
    hidden_width: size of the gated feed-forward layer.
    num_heads: query heads.
    num_kv_heads: key and value heads; divides `num_heads`.
    head_width: size of one head.
    context_length: tokens that the model was trained to see at once.
    rope_base: base of the rotary embedding (theta).
    norm_epsilon: added to the mean square in every norm.
  """

  vocab_size: int
  num_layers: int
  width: int
  hidden_width: int
  num_heads: int
  num_kv_heads: int
  head_width: int
  context_length: int = 2048
  rope_base: float = 1e4
  norm_epsilon: float = 1e-5

  def __post_init__(self):
    if self.num_heads % self.num_kv_heads:
      raise ValueError(
          f"num_heads={self.num_heads} is not a multiple of"
          f" num_kv_heads={self.num_kv_heads}; grouped-query attention needs"
          " whole groups."
      )


def matmul(x: Array, weight: Array) -> Array:
  """Multiplies in the weight's type and accumulates in float32.

  Without `preferred_element_type` XLA on CPU converts the whole bfloat16 weight
  at every call.

  Args:
    x: `[..., I]`.
    weight: `[I, O]`.

  Returns:
    `[..., O]`, float32.
  """
  return jnp.einsum(
      "...i,io->...o",
      x.astype(weight.dtype),
      weight,
      preferred_element_type=jnp.float32,
  )


class Norm(nnx.Module):
  """Root-mean-square norm (arXiv:1910.07467)."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    self.scale = nnx.Param(make(f"{name}.scale", (config.width,)))
    self.epsilon = config.norm_epsilon

  def __call__(self, x: Array) -> Array:
    mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
    scale = self.scale[...].astype(jnp.float32)
    return x * jax.lax.rsqrt(mean_square + self.epsilon) * scale


class Attention(nnx.Module):
  """Grouped-query attention with rotary positions and a shared prefix."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    self.config = config
    queries = config.num_heads * config.head_width
    keys = config.num_kv_heads * config.head_width
    self.q = nnx.Param(make(f"{name}.q", (config.width, queries)))
    self.k = nnx.Param(make(f"{name}.k", (config.width, keys)))
    self.v = nnx.Param(make(f"{name}.v", (config.width, keys)))
    self.o = nnx.Param(make(f"{name}.o", (queries, config.width)))

  def __call__(
      self,
      x: Array,
      angles: tuple[Array, Array],
      mask: Array,
      prefix: tuple[Array, Array, Array] | None,
  ) -> tuple[Array, Array, Array]:
    """Attends to the prefix and within the row.

    Args:
      x: `[B, L, D]`.
      angles: see `attention.rotate`.
      mask: `[B, L, L]`, True where a query may look.
      prefix: see `Prefix.layer`; or None.

    Returns:
      The output `[B, L, D]`, and the row's own keys and values, each
      `[kv, B, L, head_width]`.
    """
    c = self.config
    batch, length, _ = x.shape
    heads = (batch, length, -1, c.head_width)
    q = attention.rotate(matmul(x, self.q[...]).reshape(heads), angles)
    k = attention.rotate(matmul(x, self.k[...]).reshape(heads), angles)
    v = matmul(x, self.v[...]).reshape(heads)
    q = q.reshape(batch, length, c.num_kv_heads, -1, c.head_width)
    q = q.transpose(2, 0, 1, 3, 4) * c.head_width**-0.5
    k, v = k.transpose(2, 0, 1, 3), v.transpose(2, 0, 1, 3)
    dtype = self.q.dtype
    q, k, v = q.astype(dtype), k.astype(dtype), v.astype(dtype)
    mixed = attention.attend(q, k, v, mask, prefix).transpose(1, 2, 0, 3, 4)
    return matmul(mixed.reshape(batch, length, -1), self.o[...]), k, v


class FeedForward(nnx.Module):
  """Gated feed-forward layer, SwiGLU (arXiv:2002.05202)."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    inner = (config.width, config.hidden_width)
    self.gate = nnx.Param(make(f"{name}.gate", inner))
    self.up = nnx.Param(make(f"{name}.up", inner))
    self.down = nnx.Param(make(f"{name}.down", inner[::-1]))

  def __call__(self, x: Array) -> Array:
    hidden = jax.nn.silu(matmul(x, self.gate[...])) * matmul(x, self.up[...])
    return matmul(hidden, self.down[...])


class Block(nnx.Module):
  """One layer: attention, then the feed-forward layer, both residual."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    self.attention_norm = Norm(f"{name}.attention_norm", config, make)
    self.attention = Attention(f"{name}.attention", config, make)
    self.feed_forward_norm = Norm(f"{name}.feed_forward_norm", config, make)
    self.feed_forward = FeedForward(f"{name}.feed_forward", config, make)

  def __call__(
      self,
      x: Array,
      angles: tuple[Array, Array],
      mask: Array,
      prefix: tuple[Array, Array, Array] | None,
  ) -> tuple[Array, Array, Array]:
    mixed, k, v = self.attention(self.attention_norm(x), angles, mask, prefix)
    x = x + mixed
    return x + self.feed_forward(self.feed_forward_norm(x)), k, v


class Decoder(nnx.Module):
  """Token ids to hidden states; the embedding is tied to the output."""

  def __init__(self, config: DecoderConfig, make: MakeArray):
    """Builds the decoder from an array for each name and shape.

    Args:
      config: the shape.
      make: returns the array of a name and shape; a loader looks it up, an
        initialiser draws it (see `random_arrays`).
    """
    self.config = config
    self.embedding = nnx.Param(
        make("embedding", (config.vocab_size, config.width))
    )
    self.blocks = nnx.List(
        [Block(f"blocks.{i}", config, make) for i in range(config.num_layers)]
    )
    self.norm = Norm("norm", config, make)

  def __call__(
      self,
      tokens: Array,
      positions: Array,
      mask: Array,
      prefix: Prefix | None = None,
      *,
      num_layers: int | None = None,
  ) -> tuple[Array, Prefix]:
    """Runs the blocks.

    Args:
      tokens: `[B, L]`, int.
      positions: `[B, L]`, int; a prefix occupies 0 to `prefix.length - 1`.
      mask: `[B, L, L]`, bool, True where a query may look within its row; it
        always sees the whole prefix.
      prefix: keys and values that all rows share, or None.
      num_layers: how many blocks to run; None runs all and the final norm.

    Returns:
      Hidden states `[B, L, D]` in float32 (normed only when all blocks ran),
      and the keys and values of the first row, from which a prefix for later
      calls is made.
    """
    x = self.embedding[...][tokens].astype(jnp.float32)
    angles = attention.rotary(
        positions, self.config.head_width, self.config.rope_base
    )
    keys, values = [], []
    for i, block in enumerate(self.blocks[:num_layers]):
      layer = None if prefix is None else prefix.layer(i)
      x, k, v = block(x, angles, mask, layer)
      keys.append(k[:, 0])
      values.append(v[:, 0])
    x = self.norm(x) if num_layers is None else x
    return x, Prefix(
        jnp.stack(keys), jnp.stack(values), jnp.int32(tokens.shape[1])
    )

  def unembed(self, hidden: Array) -> Array:
    """Returns logits `[..., V]` of final hidden states `[..., D]`."""
    embedding = self.embedding[...]
    return jnp.einsum(
        "...d,vd->...v",
        hidden.astype(embedding.dtype),
        embedding,
        preferred_element_type=jnp.float32,
    )


def random_arrays(seed: int, dtype: str = "float32") -> MakeArray:
  """Returns a maker of random weights: ones for norms, else normal / sqrt(I).

  Args:
    seed: of the generator.
    dtype: of the arrays.
  """
  rng = np.random.default_rng(seed)

  def make(name: str, shape: tuple[int, ...]) -> Array:
    if name.endswith(".scale"):
      return jnp.ones(shape, dtype)
    fan_in = shape[-1] if name == "embedding" else shape[0]
    return jnp.asarray(rng.normal(size=shape) / np.sqrt(fan_in), dtype)

  return make
