"""Published models at full size, none of which fits into this machine."""

import math

import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import hugging_face_config

LLAMA3 = {
    "model_type": "llama",
    "vocab_size": 128256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "num_key_value_heads": 8,
}
QWEN3 = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "head_dim": 128,
    "rope_theta": 1000000,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-6,
}


def sizes(layers, width, hidden, heads, kv_heads):
  return {
      "num_hidden_layers": layers,
      "hidden_size": width,
      "intermediate_size": hidden,
      "num_attention_heads": heads,
      "num_key_value_heads": kv_heads,
  }


# The fields of each model's config.json that matter, and the parameters that
# its model card or the sum of its tensors gives, embeddings included.
PUBLISHED = {
    "SmolLM2-135M": (
        {
            "model_type": "llama",
            "vocab_size": 49152,
            "tie_word_embeddings": True,
            "rope_theta": 100000,
        }
        | sizes(30, 576, 1536, 9, 3),
        134_515_008,
    ),
    "Llama-3.2-1B": (
        LLAMA3 | sizes(16, 2048, 8192, 32, 8) | {"tie_word_embeddings": True},
        1_235_814_400,
    ),
    "Llama-3.1-8B": (LLAMA3 | sizes(32, 4096, 14336, 32, 8), 8_030_261_248),
    "Llama-3.1-70B": (LLAMA3 | sizes(80, 8192, 28672, 64, 8), 70_553_706_496),
    "Gemma-3-270M": (
        {
            "model_type": "gemma3_text",
            "vocab_size": 262144,
            "sliding_window": 512,
        }
        | sizes(18, 640, 2048, 4, 1),
        268_098_176,
    ),
    "Gemma-3-27B": (
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text",
                "vocab_size": 262208,
                "head_dim": 128,
                "query_pre_attn_scalar": 168,
                "sliding_window": 1024,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            }
            | sizes(62, 5376, 21504, 32, 16),
        },
        27_009_346_304,
    ),
    "Qwen3-0.6B": (
        QWEN3 | sizes(28, 1024, 3072, 16, 8) | {"tie_word_embeddings": True},
        596_049_920,
    ),
    "Qwen3-32B": (QWEN3 | sizes(64, 5120, 25600, 64, 8), 32_762_123_264),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size(name):
  fields, expected = PUBLISHED[name]
  config = hugging_face_config.from_fields(fields)

  def make(unused_name, shape):
    return jax.numpy.zeros(shape, "bfloat16")

  decoder = jax.eval_shape(lambda: lm.Decoder(config, make))
  count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(decoder))
  assert count == expected

  def forward(params, tokens):
    positions = jax.numpy.arange(tokens.shape[1])[None]
    mask = jax.numpy.ones((1, tokens.shape[1], tokens.shape[1]), bool)
    hidden, prefix = params(tokens, positions, mask)
    return params.unembed(hidden), prefix

  tokens = jax.ShapeDtypeStruct((1, 16), np.int32)
  logits, prefix = jax.eval_shape(forward, decoder, tokens)
  assert logits.shape == (1, 16, config.vocab_size)
  assert prefix.keys.shape == (
      config.num_layers,
      config.num_kv_heads,
      16,
      config.head_width,
  )


@pytest.mark.parametrize("name", PUBLISHED)
def test_fields_round_trip(name):
  config = hugging_face_config.from_fields(PUBLISHED[name][0])
  fields = hugging_face_config.to_fields(config)
  assert hugging_face_config.from_fields(fields) == config


def test_what_gemma_leaves_unsaid():
  config = hugging_face_config.from_fields(PUBLISHED["Gemma-3-27B"][0])
  assert config.rope_base == 1e6 and config.window_rope_base == 1e4
  assert config.query_scale == pytest.approx(168**-0.5)
  assert config.embedding_scale == pytest.approx(5376**0.5)
  everything = [i for i in range(62) if not config.windowed(i)]
  assert everything == list(range(5, 62, 6))


def test_an_irregular_pattern_is_refused():
  kinds = ["full_attention", "full_attention", "sliding_attention"]
  fields = PUBLISHED["Gemma-3-270M"][0] | {"layer_types": kinds}
  with pytest.raises(ValueError, match="regular"):
    hugging_face_config.from_fields(fields)
