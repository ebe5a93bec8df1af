"""The shape of a decoder: what tells Llama, Gemma 3 and Qwen 3 apart."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class RopeScaling:
  """How rotary frequencies are slowed for contexts longer than trained on.

  Attributes:
    factor: divides the frequencies.
    low: waves longer than `original_context / low` are divided by all of it.
    high: those shorter than `original_context / high` are not (Llama 3's rule);
      0 divides all alike (linear interpolation).
    original_context: tokens seen before the extension.
  """

  factor: float
  low: float = 0.0
  high: float = 0.0
  original_context: int = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
  """The shape of a decoder.

  Attributes:
    family: `llama`, `gemma3` or `qwen3`; names the file formats' fields only,
      what a family does differently is in the other attributes.
    vocab_size: number of token ids.
    num_layers: number of blocks.
    width: size of the residual stream.
    hidden_width: size of the gated feed-forward layer.
    num_heads: query heads.
    num_kv_heads: key and value heads; divides `num_heads`.
    head_width: size of one head.
    context_length: tokens that the model was trained to see at once.
    rope_base: base of the rotary embedding (theta).
    rope_scaling: for longer contexts, or None; not for windowed layers.
    norm_epsilon: added to the mean square in every norm.
    tied: whether the embedding is the output matrix too.
    activation: of the gate, `silu` or `gelu` (its tanh approximation).
    embedding_scale: what embeddings are multiplied by, in the weights' type.
    query_scale: what attention scores are multiplied by; None is
      `head_width ** -0.5`.
    qk_norm: whether each head's queries and keys are normed.
    post_norms: whether the results of attention and feed-forward are normed
      before they are added.
    window: how many tokens a windowed layer sees, its own included; 0 for a
      decoder without windowed layers.
    window_pattern: every so many layers the last is not windowed.
    window_rope_base: base of the rotary embedding in windowed layers.
  """

  family: str = "llama"
  vocab_size: int
  num_layers: int
  width: int
  hidden_width: int
  num_heads: int
  num_kv_heads: int
  head_width: int
  context_length: int = 2048
  rope_base: float = 1e4
  rope_scaling: RopeScaling | None = None
  norm_epsilon: float = 1e-5
  tied: bool = True
  activation: str = "silu"
  embedding_scale: float = 1.0
  query_scale: float | None = None
  qk_norm: bool = False
  post_norms: bool = False
  window: int = 0
  window_pattern: int = 6
  window_rope_base: float = 1e4

  def __post_init__(self):
    if isinstance(self.rope_scaling, dict):  # From JSON.
      scaling = RopeScaling(**self.rope_scaling)
      object.__setattr__(self, "rope_scaling", scaling)
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if field.type is int and field.name != "window" and value < 1:
        raise ValueError(f"{field.name}={value}, but it must be 1 or more.")
    if self.num_heads % self.num_kv_heads:
      raise ValueError(
          f"num_heads={self.num_heads} is not a multiple of"
          f" num_kv_heads={self.num_kv_heads}; grouped-query attention needs"
          " whole groups."
      )
    if self.head_width % 2:
      raise ValueError(
          f"head_width={self.head_width} is odd; rotary positions need pairs."
      )
    if self.activation not in ("silu", "gelu"):
      raise ValueError(
          f"activation={self.activation!r} is not one of silu, gelu."
      )

  def windowed(self, layer: int) -> bool:
    """Returns whether a layer, counted from 0, sees a window only."""
    return bool(self.window) and (layer + 1) % self.window_pattern != 0
