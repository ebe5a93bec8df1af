"""Makes lm_reference.npz: logits of Hugging Face transformers, made small.

The reference reads the same GGUF file, dequantised to float32. Its own GGUF
tokenizer does not split digits, so it is fed the ids of ours; the ids are
stored and compared too. Run it in an environment of its own (torch is no
dependency of mulearn):

  python3.11 -m venv /tmp/hf
  /tmp/hf/bin/pip install torch==2.13.0 transformers==5.23.0 gguf==0.19.0 \
      accelerate tokenizers absl-py numpy
  python tests/testdata/make_lm_reference.py ids ids.json
  /tmp/hf/bin/python tests/testdata/make_lm_reference.py logits ids.json \
      "$(python -m mulearn.lm fetch smollm2-135m)"
"""

import json
import pathlib
import sys

import numpy as np

OUTPUT = pathlib.Path(__file__).with_name("lm_reference.npz")
NUM_POSITIONS = 8
NUM_IDS = 64

TEXTS = [
    "The capital of France is Paris, and the capital of Japan is Tokyo.",
    (
        "You are in the kitchen. In one part of the room you see a dish washer,"
        " that is closed. There is also a dining chair, that has nothing on it."
        " You also see a stove. In another part of the room you see a counter,"
        " that has a dirty white plate and a cutting board on it. To the north"
        " you see the corridor. You are carrying a dirty sock and a wet yellow"
        " bath towel.\n> put dirty sock in washing machine\nYou put the dirty"
        " sock in the washing machine.\n> open dish washer\nThe dish washer is"
        " now open. In it there is nothing.\n> take dirty white plate\nYou take"
        " the dirty white plate.\n> put dirty white plate in dish washer\nYou"
        " put the dirty white plate in the dish washer. Your score has gone up"
        " by one point.\n> inventory\nYou are carrying a wet yellow bath towel."
    ),
    (
        'def fibonacci(n: int) -> list[int]:\n  """First n numbers."""\n'
        "  values = [0, 1]\n  while len(values) < n:\n"
        "    values.append(values[-1] + values[-2])\n  return values[:n]\n\n\n"
        "if __name__ == '__main__':\n\tprint(fibonacci(12))\n"
    ),
    (
        "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
        "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
    ),
    (
        "In 2024 the sum 1,234 + 98.76 = 1332.76; 3.14159265358979, 0x1F, 1e-5,"
        " 100000000000, 12/31/1999, 23:59:59, +81-3-1234-5678."
    ),
    (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM,"
        " trained by Hugging Face<|im_end|>\n<|im_start|>user\nWhere does a"
        " dirty sock belong?<|im_end|>\n<|im_start|>assistant\n"
    ),
    "Ünïcödé: Straße, naïve café, Ελληνικά, русский, العربية, 👩‍🚀🚀   \t\n\n  x.",
    "a",
]


def write_ids(path: pathlib.Path) -> None:
  """Writes our token ids of the texts."""
  from mulearn import lm

  tokenizer = lm.load("smollm2-135m").tokenizer
  ids = [tokenizer.encode(text, special=True)[:200] for text in TEXTS]
  path.write_text(json.dumps(ids))


def write_logits(ids: pathlib.Path, weights: pathlib.Path) -> None:
  """Writes the reference's logits at some positions and vocabulary ids."""
  import torch
  import transformers

  model = transformers.AutoModelForCausalLM.from_pretrained(
      str(weights.parent), gguf_file=weights.name, dtype=torch.float32
  ).eval()
  rng = np.random.default_rng(0)
  vocabulary = np.sort(rng.choice(49152, NUM_IDS, replace=False))
  arrays = {"vocabulary": vocabulary.astype(np.int32)}
  for i, tokens in enumerate(json.loads(ids.read_text())):
    with torch.no_grad():
      logits = model(torch.tensor([tokens])).logits[0].double()
    positions = np.linspace(0, len(tokens) - 1, NUM_POSITIONS).round()
    positions = np.unique(positions.astype(np.int32))
    arrays[f"tokens_{i}"] = np.array(tokens, np.int32)
    arrays[f"positions_{i}"] = positions
    chosen = logits[torch.tensor(positions).long()]
    arrays[f"logits_{i}"] = chosen[:, torch.tensor(vocabulary)].float().numpy()
    arrays[f"logsumexp_{i}"] = torch.logsumexp(chosen, -1).float().numpy()
  np.savez_compressed(OUTPUT, **arrays)


if __name__ == "__main__":
  if sys.argv[1] == "ids":
    write_ids(pathlib.Path(sys.argv[2]))
  else:
    write_logits(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
