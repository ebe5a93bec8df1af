"""Makes lm_reference_*.npz: what Hugging Face transformers computes, made small.

The reference reads the same GGUF files, dequantised to float32. Its own GGUF
tokenizer does not split digits, so it is fed the ids of ours; the ids are
stored and compared too. Run it in an environment of its own (torch is no
dependency of mulearn), for smollm2-135m and for gemma3-270m:

  python3.11 -m venv /tmp/hf
  /tmp/hf/bin/pip install torch==2.13.0 transformers==5.23.0 gguf==0.19.0 \
      accelerate tokenizers absl-py numpy
  python tests/testdata/make_lm_reference.py ids smollm2-135m ids.json
  /tmp/hf/bin/python tests/testdata/make_lm_reference.py logits smollm2-135m \
      ids.json "$(python -m mulearn.lm fetch smollm2-135m)"
"""

import json
import pathlib
import sys

import numpy as np

DIRECTORY = pathlib.Path(__file__).parent
MAX_TOKENS = 720
NUM_POSITIONS = 8
NUM_IDS = 64
NUM_TOP = 5
NUM_GREEDY = 48

_COLOURS = ["red", "wooden", "dusty", "silver", "broken"]
_THINGS = ["lamp", "table", "mirror", "chest", "painting", "rug", "clock"]
_DIRECTIONS = ["north", "south", "east", "west"]

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
    (
        "SELECT name, COUNT(*) AS n FROM games WHERE score >= 0.5 GROUP BY name"
        " HAVING n > 3;\n-- 17 rows\n#include <stdio.h>\nint main(void) { return"
        ' printf("%d\\n", 6 * 7); }\n'
    ),
    (
        "Question: If a train travels 60 miles in 1.5 hours, how fast is it"
        " going?\nAnswer: 60 / 1.5 = 40 miles per hour.\n\nQuestion: What is 12"
        " times 12?\nAnswer:"
    ),
    (
        "東京は日本の首都です。人口は約1400万人で、世界最大の都市圏の一つです。"
        "中文：今天天气很好。한국어: 안녕하세요. हिन्दी: नमस्ते।"
    ),
    # Longer than Gemma's window of 512 tokens.
    " ".join(
        f"Room {i} has a {_COLOURS[i % 5]} {_THINGS[i % 7]} and leads"
        f" {_DIRECTIONS[i % 4]} to room {(7 * i + 3) % 60}."
        for i in range(52)
    ),
]

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there lived",
    "def quicksort(values):\n",
    "To bake bread you need flour, water,",
    "1, 2, 3, 4, 5, 6,",
    "> take lamp\nTaken.\n> go north\n",
    "The three laws of motion are:\n1.",
    "吾輩は猫である。",
    "Dear Sir or Madam,\n\nI am writing to",
    "Q: Where does a dirty sock belong?\nA:",
]


def write_ids(name: str, path: pathlib.Path) -> None:
  """Writes our token ids of the texts and the prompts."""
  from mulearn import lm

  tokenizer = lm.load(name).tokenizer

  def ids(text: str) -> list[int]:
    found = tokenizer.start_ids + tokenizer.encode(text, special=True)
    return found[:MAX_TOKENS]

  groups = {"texts": list(map(ids, TEXTS)), "prompts": list(map(ids, PROMPTS))}
  path.write_text(json.dumps(groups))


def write_reference(
    name: str, ids: pathlib.Path, weights: pathlib.Path
) -> None:
  """Writes logits at some positions and vocabulary ids, and greedy tokens."""
  import torch
  import transformers

  model = transformers.AutoModelForCausalLM.from_pretrained(
      str(weights.parent), gguf_file=weights.name, dtype=torch.float32
  ).eval()
  groups = json.loads(ids.read_text())
  rng = np.random.default_rng(0)
  size = model.config.vocab_size
  vocabulary = np.sort(rng.choice(size, NUM_IDS, replace=False))
  arrays = {"vocabulary": vocabulary.astype(np.int32)}
  for i, tokens in enumerate(groups["texts"]):
    positions = np.linspace(0, len(tokens) - 1, NUM_POSITIONS).round()
    positions = np.unique(positions.astype(np.int32))
    with torch.no_grad():
      logits = model(
          torch.tensor([tokens]), logits_to_keep=torch.tensor(positions).long()
      ).logits[0]
    top = torch.topk(logits, NUM_TOP)
    arrays[f"tokens_{i}"] = np.array(tokens, np.int32)
    arrays[f"positions_{i}"] = positions
    arrays[f"logits_{i}"] = logits[:, torch.tensor(vocabulary)].numpy()
    arrays[f"top_{i}"] = top.indices.int().numpy()
    arrays[f"top_logits_{i}"] = top.values.numpy()
    total = torch.logsumexp(logits.double(), -1)
    arrays[f"logsumexp_{i}"] = total.float().numpy()
  for i, tokens in enumerate(groups["prompts"]):
    with torch.no_grad():
      continued = model.generate(
          torch.tensor([tokens]),
          attention_mask=torch.ones((1, len(tokens)), dtype=torch.long),
          max_new_tokens=NUM_GREEDY,
          do_sample=False,
          # Else it stops early.
          eos_token_id=None,
      )
    arrays[f"prompt_{i}"] = np.array(tokens, np.int32)
    arrays[f"greedy_{i}"] = continued[0, len(tokens) :].int().numpy()
  np.savez_compressed(DIRECTORY / f"lm_reference_{name}.npz", **arrays)


if __name__ == "__main__":
  command, model_name, ids_path, *rest = sys.argv[1:]
  if command == "ids":
    write_ids(model_name, pathlib.Path(ids_path))
  else:
    write_reference(model_name, pathlib.Path(ids_path), pathlib.Path(rest[0]))
