"""The decoder: Llama, Gemma 3 and Qwen 3 as one set of Flax NNX modules.

The modules are plain pytrees (no random state is kept), so `jax.jit`,
`jax.grad` and Orbax take them whole. Attention reads its structure from a
boolean mask and explicit positions: a chain of tokens, several texts in one
row and a tree of candidates are all the same call. Layers are unrolled, or
scanned and rematerialised where gradients need the memory.
"""

from collections.abc import Callable, Iterable
import functools
from typing import Any

from flax import nnx
import jax
from jax import Array
import jax.numpy as jnp
import numpy as np

from mulearn.lm import attention
from mulearn.lm.attention import Cache, Prefix, View
from mulearn.lm.config import DecoderConfig

MakeArray = Callable[[str, tuple[int, ...]], Array]
Past = tuple[Array, Array] | None

_ACTIVATIONS = {
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),
}


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
  """Root-mean-square norm of the last axis (arXiv:1910.07467)."""

  def __init__(self, name: str, width: int, epsilon: float, make: MakeArray):
    self.scale = nnx.Param(make(f"{name}.scale", (width,)))
    self.epsilon = epsilon

  def __call__(self, x: Array) -> Array:
    """`[..., D]` to `[..., D]`."""
    mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
    scale = self.scale[...].astype(jnp.float32)
    return x * jax.lax.rsqrt(mean_square + self.epsilon) * scale


class Attention(nnx.Module):
  """Grouped-query attention with rotary positions and a past."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    self.config = config
    queries = config.num_heads * config.head_width
    keys = config.num_kv_heads * config.head_width
    self.q = nnx.Param(make(f"{name}.q", (config.width, queries)))
    self.k = nnx.Param(make(f"{name}.k", (config.width, keys)))
    self.v = nnx.Param(make(f"{name}.v", (config.width, keys)))
    self.o = nnx.Param(make(f"{name}.o", (queries, config.width)))
    if config.qk_norm:
      shape = (config.head_width, config.norm_epsilon)
      self.q_norm = Norm(f"{name}.q_norm", *shape, make)
      self.k_norm = Norm(f"{name}.k_norm", *shape, make)

  def __call__(
      self, x: Array, view: View, past: Past
  ) -> tuple[Array, Array, Array]:
    """Attends to the past and within the row.

    Args:
      x: `[B, L, D]`.
      view: what is seen.
      past: see `Prefix.layer` and `Cache.layer`; or None.

    Returns:
      The output `[B, L, D]`, and the row's own keys and values, each
      `[kv, B, L, head_width]`.
    """
    c = self.config
    batch, length, _ = x.shape
    heads = (batch, length, -1, c.head_width)
    q = matmul(x, self.q[...]).reshape(heads)
    k = matmul(x, self.k[...]).reshape(heads)
    if c.qk_norm:
      q, k = self.q_norm(q), self.k_norm(k)
    q = attention.rotate(q, view.angles)
    k = attention.rotate(k, view.angles)
    v = matmul(x, self.v[...]).reshape(heads)
    q = q.reshape(batch, length, c.num_kv_heads, -1, c.head_width)
    scale = c.head_width**-0.5 if c.query_scale is None else c.query_scale
    q = q.transpose(2, 0, 1, 3, 4) * scale
    k, v = k.transpose(2, 0, 1, 3), v.transpose(2, 0, 1, 3)
    dtype = self.q.dtype
    q, k, v = q.astype(dtype), k.astype(dtype), v.astype(dtype)
    past = None if past is None else (*past, view.past)
    mixed = attention.attend(q, k, v, view.mask, past)
    mixed = mixed.transpose(1, 2, 0, 3, 4)
    return matmul(mixed.reshape(batch, length, -1), self.o[...]), k, v


class FeedForward(nnx.Module):
  """Gated feed-forward layer, SwiGLU or GeGLU (arXiv:2002.05202)."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    self.activation = config.activation
    inner = (config.width, config.hidden_width)
    self.gate = nnx.Param(make(f"{name}.gate", inner))
    self.up = nnx.Param(make(f"{name}.up", inner))
    self.down = nnx.Param(make(f"{name}.down", inner[::-1]))

  def __call__(self, x: Array) -> Array:
    """`[..., D]` to `[..., D]`."""
    gate = _ACTIVATIONS[self.activation](matmul(x, self.gate[...]))
    return matmul(gate * matmul(x, self.up[...]), self.down[...])


class Block(nnx.Module):
  """One layer: attention, then the feed-forward layer, both residual."""

  def __init__(self, name: str, config: DecoderConfig, make: MakeArray):
    def norm(part: str) -> Norm:
      return Norm(f"{name}.{part}", config.width, config.norm_epsilon, make)

    self.post_norms = config.post_norms
    self.attention_norm = norm("attention_norm")
    self.attention = Attention(f"{name}.attention", config, make)
    self.feed_forward_norm = norm("feed_forward_norm")
    self.feed_forward = FeedForward(f"{name}.feed_forward", config, make)
    if config.post_norms:
      self.post_attention_norm = norm("post_attention_norm")
      self.post_feed_forward_norm = norm("post_feed_forward_norm")

  def __call__(
      self, x: Array, view: View, past: Past
  ) -> tuple[Array, Array, Array]:
    """`[..., D]` to `[..., D]`, and the keys and values that it adds."""
    mixed, k, v = self.attention(self.attention_norm(x), view, past)
    if self.post_norms:
      mixed = self.post_attention_norm(mixed)
    x = x + mixed
    fed = self.feed_forward(self.feed_forward_norm(x))
    if self.post_norms:
      fed = self.post_feed_forward_norm(fed)
    return x + fed, k, v


class Decoder(nnx.Module):
  """Token ids to hidden states, and those to logits."""

  def __init__(self, config: DecoderConfig, make: MakeArray):
    """Builds the decoder from an array for each name and shape.

    Args:
      config: the shape.
      make: returns the array of a name and shape; a loader looks it up, an
        initialiser draws it (see `random_arrays`).
    """
    self.config = config
    table = (config.vocab_size, config.width)
    self.embedding = nnx.Param(make("embedding", table))
    self.blocks = nnx.List(
        [Block(f"blocks.{i}", config, make) for i in range(config.num_layers)]
    )
    self.norm = Norm("norm", config.width, config.norm_epsilon, make)
    if not config.tied:
      self.output = nnx.Param(make("output", table))

  def __call__(
      self,
      tokens: Array,
      positions: Array,
      mask: Array,
      prefix: Prefix | Cache | None = None,
      *,
      num_layers: int | None = None,
      all_rows: bool = False,
      scan: bool = False,
  ) -> tuple[Array, Prefix | None]:
    """Runs the blocks.

    Args:
      tokens: `[B, L]`, int.
      positions: `[B, L]`, int; a prefix occupies 0 to `prefix.length - 1`.
      mask: `[B, L, L]`, bool, True where a query may look within its row; it
        always sees the whole past, in windowed layers as far as they reach.
      prefix: keys and values that all rows share, or those of each row (a
        `Cache`), or None.
      num_layers: how many blocks to run; None runs all and the final norm.
      all_rows: whether the keys and values of all rows are returned, as
        `[num_layers, kv, B, L, head_width]`, and not those of the first.
      scan: runs the blocks in a loop and computes each again for its gradient;
        needs another copy of the blocks, and returns no keys and values.

    Returns:
      Hidden states `[B, L, D]` in float32 (normed only when all blocks ran),
      and keys and values, from which a prefix for later calls is made.
    """
    embedding = self.embedding[...]
    scale = jnp.asarray(self.config.embedding_scale, embedding.dtype)
    x = embedding[tokens].astype(jnp.float32) * scale.astype(jnp.float32)
    views = self._views(positions, mask, prefix)
    if scan:
      x = self._scan(x, views, prefix, self.blocks[:num_layers])
      return (self.norm(x) if num_layers is None else x), None
    keys, values = [], []
    for i, block in enumerate(self.blocks[:num_layers]):
      past = None if prefix is None else prefix.layer(i)
      x, k, v = block(x, views[self.config.windowed(i)], past)
      keys.append(k if all_rows else k[:, 0])
      values.append(v if all_rows else v[:, 0])
    x = self.norm(x) if num_layers is None else x
    length = jnp.int32(tokens.shape[1])
    return x, Prefix(jnp.stack(keys), jnp.stack(values), length)

  def _views(
      self, positions: Array, mask: Array, past: Prefix | Cache | None
  ) -> tuple[View, View]:
    """Returns what is seen in layers that see everything, and in windowed."""
    c = self.config
    angles = attention.rotary(
        positions, c.head_width, c.rope_base, c.rope_scaling
    )
    places = None if past is None else past.positions()
    seen = None if places is None else (places >= 0)[:, None]
    everything = View(angles, mask, seen)
    if not c.window:
      return everything, everything
    angles = attention.rotary(positions, c.head_width, c.window_rope_base)
    return everything, everything.windowed(c.window, angles, positions, places)

  def _scan(
      self,
      x: Array,
      views: tuple[View, View],
      past: Prefix | Cache | None,
      blocks: list[Block],
  ) -> Array:
    layers = range(len(blocks))
    pasts = past and _stack(past.layer(i) for i in layers)
    windowed = jnp.array([self.config.windowed(i) for i in layers])

    @jax.checkpoint
    def body(x, layer):
      block, past, windowed = layer
      view = views[0]
      if self.config.window:
        choose = functools.partial(jnp.where, windowed)
        view = jax.tree.map(choose, *views[::-1])
      return block(x, view, past)[0], None

    return jax.lax.scan(body, x, (_stack(blocks), pasts, windowed))[0]

  def unembed(self, hidden: Array) -> Array:
    """Returns logits `[..., V]` of final hidden states `[..., D]`."""
    table = self.embedding[...] if self.config.tied else self.output[...]
    return jnp.einsum(
        "...d,vd->...v",
        hidden.astype(table.dtype),
        table,
        preferred_element_type=jnp.float32,
    )


def _stack(trees: Iterable[Any]) -> Any:
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


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
    fan_in = shape[-1] if name in ("embedding", "output") else shape[0]
    return jnp.asarray(rng.normal(size=shape) / np.sqrt(fan_in), dtype)

  return make
