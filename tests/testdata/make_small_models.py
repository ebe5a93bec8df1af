"""Makes hugging_face/: random small models and their logits by transformers.

One directory for each family, as `save_pretrained` writes it: Llama 3 with its
rotary scaling and an output matrix of its own, in float32 and several files;
Gemma 3 with windows, both rotary bases and linear scaling, and Qwen 3, in
bfloat16 files that are computed with in float32. Run it in the environment that
`make_lm_reference.py` describes:

  /tmp/hf/bin/python tests/testdata/make_small_models.py
"""

import json
import pathlib
import shutil

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers
import torch
import transformers

OUTPUT = pathlib.Path(__file__).with_name("hugging_face")
NUM_ROWS, LENGTH = 2, 40

COMMON = dict(
    vocab_size=258,
    hidden_size=16,
    intermediate_size=24,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=128,
    bos_token_id=256,
    eos_token_id=257,
    pad_token_id=None,
)
CONFIGS = {
    "llama3": transformers.LlamaConfig(
        **COMMON,
        num_hidden_layers=2,
        tie_word_embeddings=False,
        rms_norm_eps=1e-5,
        # Waves of 6, 54, 470 and 4,000 tokens: below, between and above both
        # limits, which are 16 and 64.
        rope_parameters={
            "rope_theta": 5000.0,
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    ),
    "gemma3": transformers.Gemma3TextConfig(
        **COMMON,
        num_hidden_layers=7,
        sliding_window=8,
        query_pre_attn_scalar=12,
        rope_parameters={
            "full_attention": {
                "rope_theta": 1e6,
                "rope_type": "linear",
                "factor": 4.0,
            },
            "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
        },
    ),
    "qwen3": transformers.Qwen3Config(
        **COMMON,
        num_hidden_layers=2,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": 1e6, "rope_type": "default"},
    ),
}


def byte_tokenizer() -> tokenizers.Tokenizer:
  """Bytes, and two control tokens of which one begins every text."""
  alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
  vocabulary = {token: i for i, token in enumerate(alphabet)}
  built = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
  built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
  built.decoder = decoders.ByteLevel()
  built.add_special_tokens(["<s>", "</s>"])
  built.post_processor = tokenizers.processors.TemplateProcessing(
      single="<s> $A", special_tokens=[("<s>", 256)]
  )
  return built


def make(name: str, config: transformers.PreTrainedConfig) -> None:
  torch.manual_seed(len(name))
  model = transformers.AutoModelForCausalLM.from_config(config).eval()
  with torch.no_grad():
    for value in model.parameters():
      # Large enough that a wrong detail shows, norms included.
      spread = 0.3 if value.ndim == 1 else value.shape[-1] ** -0.5
      offset = 1.0 if value.ndim == 1 and name != "gemma3" else 0.0
      value.copy_(offset + spread * torch.randn_like(value))
  directory = OUTPUT / name
  sharded = name == "llama3"
  model.to(torch.float32 if sharded else torch.bfloat16).save_pretrained(
      directory, max_shard_size="20KB" if sharded else "5GB"
  )
  byte_tokenizer().save(str(directory / "tokenizer.json"))
  template = (
      "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] |"
      " trim }}\n{% endfor %}{% if add_generation_prompt %}you: {% endif %}"
  )
  settings = {
      "bos_token": "<s>",
      "eos_token": {"content": "</s>", "special": True},
      "chat_template": template,
  }
  (directory / "tokenizer_config.json").write_text(json.dumps(settings))
  loaded = transformers.AutoModelForCausalLM.from_pretrained(
      directory, dtype=torch.float32, attn_implementation="eager"
  ).eval()
  tokens = torch.randint(0, 258, (NUM_ROWS, LENGTH))
  with torch.no_grad():
    logits = loaded(tokens).logits
  np.savez_compressed(
      directory / "reference.npz",
      tokens=tokens.numpy().astype(np.int32),
      # All positions, a part of the vocabulary and all of it in a sum.
      logits=logits[..., ::8].numpy(),
      logsumexp=torch.logsumexp(logits.double(), -1).float().numpy(),
  )


if __name__ == "__main__":
  shutil.rmtree(OUTPUT, ignore_errors=True)
  for name, config in CONFIGS.items():
    make(name, config)
