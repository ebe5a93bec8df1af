"""The other implementations of benchmarks/lm.py, each in its own interpreter.

Started as `python rivals.py torch DIRECTORY` or `python rivals.py llama FILE`,
it reads one task a line from standard input, a JSON object, and answers with
the seconds that the task took. It imports nothing of mulearn.
"""

import json
import sys
import time


class Torch:
  """Hugging Face transformers on the CPU."""

  def __init__(self, directory: str):
    import torch
    import transformers

    self._torch = torch
    self._models = {}
    for dtype in ("float32", "bfloat16"):
      model = transformers.AutoModelForCausalLM.from_pretrained(
          directory, dtype=getattr(torch, dtype)
      )
      self._models[dtype] = model.eval()

  def prefill(self, task: dict) -> float:
    """Reads prompts up to the logits of their last tokens."""
    model, tokens = self._models[task["dtype"]], self._tokens(task)
    start = time.perf_counter()
    with self._torch.inference_mode():
      model(tokens, use_cache=True, logits_to_keep=1)
    return time.perf_counter() - start

  def decode(self, task: dict) -> float:
    """Adds tokens to prompts that have been read; greedy."""
    model, tokens = self._models[task["dtype"]], self._tokens(task)
    with self._torch.inference_mode():
      out = model(tokens, use_cache=True, logits_to_keep=1)
      start = time.perf_counter()
      for _ in range(task["new"]):
        token = out.logits[:, -1:].argmax(-1)
        out = model(token, past_key_values=out.past_key_values, use_cache=True)
      return time.perf_counter() - start

  def score(self, task: dict) -> float:
    """Scores whole sequences, each state's commands in one batch or alone."""
    torch, model = self._torch, self._models[task["dtype"]]
    start = time.perf_counter()
    with torch.inference_mode():
      for state, commands in zip(task["states"], task["commands"]):
        rows = [torch.tensor(state + command) for command in commands]
        # All commands are of one length, so nothing has to be padded.
        batches = (
            [torch.stack(rows)]
            if task["batched"]
            else [row[None] for row in rows]
        )
        for batch in batches:
          logits = model(batch).logits[:, len(state) - 1 : -1]
          targets = batch[:, len(state) :, None]
          torch.log_softmax(logits.float(), -1).gather(-1, targets).sum((1, 2))
    return time.perf_counter() - start

  def _tokens(self, task: dict):
    return self._torch.tensor(task["tokens"])


class Llama:
  """llama.cpp on the quantised file."""

  def __init__(self, path: str):
    import llama_cpp

    self._lib = lib = llama_cpp
    # Kept, since the library calls it for as long as it lives.
    self._log = lib.llama_log_callback(lambda *unused: None)
    lib.llama_log_set(self._log, None)
    lib.llama_backend_init()
    settings = lib.llama_model_default_params()
    self._model = lib.llama_model_load_from_file(path.encode(), settings)
    settings = lib.llama_context_default_params()
    settings.n_ctx, settings.n_seq_max = 64 * 256, 64
    settings.n_batch = settings.n_ubatch = 2048
    settings.n_threads = settings.n_threads_batch = 2
    self._context = lib.llama_init_from_model(self._model, settings)
    self._batch = lib.llama_batch_init(64 * 256, 0, 1)

  def prefill(self, task: dict) -> float:
    """Reads prompts up to the logits of their last tokens."""
    self._lib.llama_memory_clear(
        self._lib.llama_get_memory(self._context), True
    )
    start = time.perf_counter()
    rows, size = task["tokens"], 0
    for first in range(0, len(rows), 2048 // len(rows[0])):
      size = 0
      for b in range(first, min(len(rows), first + 2048 // len(rows[0]))):
        for place, token in enumerate(rows[b]):
          last = place == len(rows[b]) - 1
          size = self._add(size, token, place, b, last)
      self._run(size)
    return time.perf_counter() - start

  def decode(self, task: dict) -> float:
    """Adds tokens, any, to prompts that have been read."""
    self.prefill(task)
    start = time.perf_counter()
    for i in range(task["new"]):
      size = 0
      for b, row in enumerate(task["tokens"]):
        size = self._add(size, row[i % len(row)], len(row) + i, b, True)
      self._run(size)
    return time.perf_counter() - start

  def _add(self, size: int, token: int, place: int, row: int, out: bool) -> int:
    batch = self._batch
    batch.token[size], batch.pos[size] = token, place
    batch.n_seq_id[size], batch.seq_id[size][0] = 1, row
    batch.logits[size] = out
    return size + 1

  def _run(self, size: int) -> None:
    self._batch.n_tokens = size
    status = self._lib.llama_decode(self._context, self._batch)
    if status:
      raise RuntimeError(f"llama_decode returned {status}.")
    self._lib.llama_synchronize(self._context)


def main() -> None:
  """Answers tasks until standard input ends."""
  kind, path = sys.argv[1:]
  rival = {"torch": Torch, "llama": Llama}[kind](path)
  print(json.dumps({"ready": kind}), flush=True)
  for line in sys.stdin:
    task = json.loads(line)
    seconds = getattr(rival, task["task"])(task)
    print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
  main()
