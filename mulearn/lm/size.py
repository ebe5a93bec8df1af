"""What a model needs: parameters, and bytes of weights, caches and training."""

from collections.abc import Mapping
import math

from mulearn.lm import weights
from mulearn.lm.config import DecoderConfig

_ITEM_BYTES = {"float32": 4, "bfloat16": 2}
_MIB = 2**20
_HEADER = (
    "| model | parameters | weights f32 / bf16, MiB | cache a token f32 / bf16,"
    " KiB | cache of 64 x 256 tokens, bf16, MiB | training all / rank 16, MiB |"
)


_LLAMA = dict(vocab_size=128256, head_width=128, rope_base=5e5, tied=False)
# Shapes as published, for the table and for planning.
KNOWN = {
    "SmolLM2 135M": DecoderConfig(
        vocab_size=49152, num_layers=30, width=576, hidden_width=1536,
        num_heads=9, num_kv_heads=3, head_width=64, rope_base=1e5,
    ),
    "Gemma 3 270M": DecoderConfig(
        family="gemma3", vocab_size=262144, num_layers=18, width=640,
        hidden_width=2048, num_heads=4, num_kv_heads=1, head_width=256,
        qk_norm=True, post_norms=True, window=512,
    ),
    "Qwen 3 0.6B": DecoderConfig(
        family="qwen3", vocab_size=151936, num_layers=28, width=1024,
        hidden_width=3072, num_heads=16, num_kv_heads=8, head_width=128,
        qk_norm=True, rope_base=1e6,
    ),
    "Llama 3.1 8B": DecoderConfig(
        num_layers=32, width=4096, hidden_width=14336, num_heads=32,
        num_kv_heads=8, **_LLAMA,
    ),
    "Llama 3.1 70B": DecoderConfig(
        num_layers=80, width=8192, hidden_width=28672, num_heads=64,
        num_kv_heads=8, **_LLAMA,
    ),
}  # fmt: skip


def num_parameters(config: DecoderConfig) -> int:
  """Returns how many numbers a decoder learns."""
  return sum(map(math.prod, weights.parameter_shapes(config).values()))


def weight_bytes(config: DecoderConfig, dtype: str = "bfloat16") -> int:
  """Returns the bytes of the weights; vectors stay in float32."""
  return sum(
      math.prod(shape) * (_ITEM_BYTES[dtype] if len(shape) > 1 else 4)
      for shape in weights.parameter_shapes(config).values()
  )


def cache_bytes(config: DecoderConfig, dtype: str = "bfloat16") -> int:
  """Returns the bytes of one token's keys and values, in all layers."""
  numbers = 2 * config.num_layers * config.num_kv_heads * config.head_width
  return numbers * _ITEM_BYTES[dtype]


def training_bytes(
    config: DecoderConfig, dtype: str = "bfloat16", lora_rank: int = 0
) -> int:
  """Returns the bytes of a fine-tuning run, activations left out.

  Trained numbers take 16 bytes: themselves, their gradient and Adam's two
  moments, in float32. To these come the weights in their own type, and once
  more the blocks', which the loop over layers needs in one array.

  Args:
    config: the decoder's shape.
    dtype: the weights' type.
    lora_rank: of adapters on all matrices of all blocks; 0 trains everything.
  """
  shapes = weights.parameter_shapes(config)
  blocks = sum(math.prod(s) for n, s in shapes.items() if n.startswith("block"))
  trained = num_parameters(config)
  if lora_rank:
    trained = sum(
        lora_rank * sum(shape)
        for name, shape in shapes.items()
        if name.startswith("blocks.") and len(shape) == 2
    )
  copies = weight_bytes(config, dtype) + blocks * _ITEM_BYTES[dtype]
  return 16 * trained + copies


def table(configs: Mapping[str, DecoderConfig]) -> str:
  """Returns a Markdown table of what each model needs."""
  lines = [_HEADER, "|---|---|---|---|---|---|"]
  for name, c in configs.items():
    cells = [
        name,
        f"{num_parameters(c) / 1e6:,.0f} M",
        _pair(weight_bytes, c, _MIB),
        _pair(cache_bytes, c, 1024),
        f"{cache_bytes(c) * 64 * 256 / _MIB:,.0f}",
        f"{training_bytes(c) / _MIB:,.0f}"
        f" / {training_bytes(c, lora_rank=16) / _MIB:,.0f}",
    ]
    lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


def _pair(function, config: DecoderConfig, unit: int) -> str:
  return " / ".join(f"{function(config, t) / unit:,.0f}" for t in _ITEM_BYTES)
