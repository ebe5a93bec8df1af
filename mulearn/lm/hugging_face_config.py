"""The fields of Hugging Face's config.json, and what they leave unsaid."""

from collections.abc import Mapping
import functools
import math
from typing import Any

from mulearn.lm.config import DecoderConfig, RopeScaling

_FAMILIES = {
    "llama": "llama",
    "qwen3": "qwen3",
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
}
# What a config.json of the family may leave out, since its class knows it.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 2048},
    "qwen3": {"head_dim": 128, "max_position_embeddings": 32768},
    "gemma3": {
        "vocab_size": 262208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
        "query_pre_attn_scalar": 256,
        "tie_word_embeddings": True,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "hidden_activation": "gelu_pytorch_tanh",
    },
}
# Fields that change the model in a way that is not supported, and the values
# that do not.
_UNSUPPORTED = {
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "use_sliding_window": (False,),
    "use_bidirectional_attention": (False,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "quantization_config": (None,),
}


def from_fields(fields: Mapping[str, Any]) -> DecoderConfig:
  """Turns the fields of a config.json into a configuration.

  Args:
    fields: as in the file.

  Returns:
    The configuration.

  Raises:
    ValueError: a field is wrong, or says something that is not supported.
    KeyError: a field is missing.
  """
  family = _FAMILIES.get(str(fields.get("model_type")))
  if family is None:
    raise ValueError(
        f"model_type {fields.get('model_type')!r} is not supported; supported:"
        f" {', '.join(_FAMILIES)}."
    )
  # In multimodal models the decoder is a part; only that part is used.
  fields = _DEFAULTS[family] | dict(fields.get("text_config", fields))
  for name, harmless in _UNSUPPORTED.items():
    if fields.get(name) not in (None, *harmless):
      raise ValueError(f"{name}={fields[name]!r} is not supported.")
  number = functools.partial(_number, fields)
  num_heads, width = number("num_attention_heads"), number("hidden_size")
  rope, local_rope = _ropes(fields)
  special: dict[str, Any] = {}
  expected = "silu"
  if family == "gemma3":
    expected = "gelu_pytorch_tanh"
    special = {
        "activation": "gelu",
        "embedding_scale": math.sqrt(width),
        "query_scale": number("query_pre_attn_scalar", float) ** -0.5,
        "post_norms": True,
        "window": number("sliding_window"),
        "window_pattern": _pattern(fields),
        "window_rope_base": _number(local_rope, "rope_theta", float),
    }
  activation = fields.get("hidden_activation", fields.get("hidden_act", "silu"))
  if activation != expected:
    raise ValueError(
        f"activation {activation!r} is not supported, only {expected!r}."
    )
  return DecoderConfig(
      family=family,
      vocab_size=number("vocab_size"),
      num_layers=number("num_hidden_layers"),
      width=width,
      hidden_width=number("intermediate_size"),
      num_heads=num_heads,
      num_kv_heads=number("num_key_value_heads", default=num_heads),
      head_width=number("head_dim", default=width // num_heads),
      context_length=number("max_position_embeddings"),
      rope_base=_number(rope, "rope_theta", float),
      rope_scaling=_scaling(rope),
      norm_epsilon=number("rms_norm_eps", float, 1e-6),
      tied=bool(fields.get("tie_word_embeddings", False)),
      qk_norm=family != "llama",
      **special,
  )


def _number(
    fields: Mapping[str, Any], name: str, kind: type = int, default: Any = None
) -> Any:
  value = fields.get(name)
  if value is None:
    if default is None:
      raise KeyError(name)
    value = default
  allowed = int if kind is int else (int, float)
  is_number = isinstance(value, allowed) and not isinstance(value, bool)
  if not is_number or not 0 < value < math.inf:
    raise ValueError(f"{name} is {value!r}, expected a positive number.")
  return kind(value)


def _ropes(
    fields: Mapping[str, Any],
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
  """Returns the rotary parameters of full and of windowed layers.

  New files have them in `rope_parameters`, for each kind of layer where there
  are two; older ones in `rope_theta`, `rope_scaling`, `rope_local_base_freq`.
  """
  base = {"rope_theta": fields.get("rope_theta") or 1e4}
  full = base | (fields.get("rope_scaling") or {})
  local = {"rope_theta": fields.get("rope_local_base_freq")}
  new = fields.get("rope_parameters") or {}
  if "full_attention" in new:
    return full | new["full_attention"], local | new["sliding_attention"]
  return full | new, local


def _scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
  kind = rope.get("rope_type", rope.get("type", "default"))
  if kind == "default":
    return None
  if kind == "linear":
    return RopeScaling(factor=_number(rope, "factor", float))
  if kind != "llama3":
    raise ValueError(
        f"rope_type {kind!r} is not supported; supported: default, linear,"
        " llama3."
    )
  return RopeScaling(
      factor=_number(rope, "factor", float),
      low=_number(rope, "low_freq_factor", float),
      high=_number(rope, "high_freq_factor", float),
      original_context=_number(rope, "original_max_position_embeddings"),
  )


def _pattern(fields: Mapping[str, Any]) -> int:
  """Returns every how many layers one sees everything."""
  kinds = fields.get("layer_types")
  if not kinds:
    return _number(fields, "sliding_window_pattern", default=6)
  places = [i for i, kind in enumerate(kinds) if kind == "full_attention"]
  pattern = places[0] + 1 if places else len(kinds) + 1
  count = _number(fields, "num_hidden_layers")
  if len(kinds) != count or places != list(range(pattern - 1, count, pattern)):
    raise ValueError(
        f"layer_types {kinds} is not a regular pattern of {count} layers."
    )
  return pattern


def to_fields(config: DecoderConfig) -> dict[str, Any]:
  """Turns a configuration into the fields of a config.json.

  Args:
    config: the configuration.

  Returns:
    The fields, from which `from_fields` gets the configuration back.
  """
  kind = {"gemma3": "gemma3_text"}.get(config.family, config.family)
  name = {"llama": "Llama", "qwen3": "Qwen3", "gemma3": "Gemma3"}
  fields: dict[str, Any] = {
      "architectures": [f"{name[config.family]}ForCausalLM"],
      "model_type": kind,
      "vocab_size": config.vocab_size,
      "num_hidden_layers": config.num_layers,
      "hidden_size": config.width,
      "intermediate_size": config.hidden_width,
      "num_attention_heads": config.num_heads,
      "num_key_value_heads": config.num_kv_heads,
      "head_dim": config.head_width,
      "max_position_embeddings": config.context_length,
      "rms_norm_eps": config.norm_epsilon,
      "rope_theta": config.rope_base,
      "tie_word_embeddings": config.tied,
      "hidden_act": "silu",
  }
  scaling = config.rope_scaling
  if scaling is not None:
    fields["rope_scaling"] = {"rope_type": "linear", "factor": scaling.factor}
  if scaling is not None and scaling.high:
    fields["rope_scaling"] |= {
        "rope_type": "llama3",
        "low_freq_factor": scaling.low,
        "high_freq_factor": scaling.high,
        "original_max_position_embeddings": scaling.original_context,
    }
  if config.window:
    scale = config.query_scale or config.head_width**-0.5
    activation = "gelu_pytorch_tanh"
    fields |= {
        "hidden_act": activation,
        "hidden_activation": activation,
        "query_pre_attn_scalar": round(scale**-2),
        "sliding_window": config.window,
        "rope_local_base_freq": config.window_rope_base,
        "layer_types": [
            "sliding_attention" if config.windowed(i) else "full_attention"
            for i in range(config.num_layers)
        ],
    }
  return fields
