r"""Speed of the language model, side by side with others, as ratios.

Repetitions of ours and of the others alternate in one run, so that a change of
the machine's mood meets all of them; a ratio is the median over repetitions,
with the lowest and the highest. Run it on a quiet machine:

  python -m benchmarks.lm --torch-python=/tmp/hf/bin/python \
      --llama-python=/tmp/llama/bin/python
"""

import argparse
from collections.abc import Sequence
import functools
import json
import os
import pathlib
import platform
import re
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

from benchmarks import workload
from benchmarks.side_by_side import Report, Rival
from mulearn import lm
from mulearn.lm import forward
from mulearn.lm.decoding import State, decode, prefill

DTYPES = ("float32", "bfloat16")


class Ours:
  """What is measured of mulearn."""

  def __init__(self, models: dict[str, lm.LanguageModel]):
    self.models = models
    self._scorers = {dtype: lm.Scorer(models[dtype]) for dtype in models}

  def prefill(self, dtype: str, tokens: np.ndarray, slots: int = 16) -> float:
    """Reads prompts up to the first token."""
    start = time.perf_counter()
    jax.block_until_ready(self.state(dtype, tokens, slots).token)
    return time.perf_counter() - start

  def decode(self, dtype: str, tokens: np.ndarray, new: int) -> float:
    """Adds `new` tokens to prompts that have been read."""
    # As `lm.generate`: a batch of one is computed as two rows.
    rows = np.resize(tokens, (max(2, len(tokens)), tokens.shape[1]))
    state = jax.block_until_ready(self.state(dtype, rows, 2 * new))
    params = self.models[dtype].params
    start = time.perf_counter()
    state = decode(
        params, state, np.int32(1 + new), self.ends(dtype), {}, top_k=0
    )
    jax.block_until_ready(state.token)
    return time.perf_counter() - start

  def score(self, dtype: str, states: list[str], commands: list) -> float:
    scorer = self._scorers[dtype]
    start = time.perf_counter()
    scorer(states, commands)
    return time.perf_counter() - start

  def state(self, dtype: str, tokens: np.ndarray, slots: int) -> State:
    """Returns where decoding begins, after one token."""
    return prefill(*self.prompts(dtype, tokens), num_slots=slots)

  def prompts(self, dtype: str, tokens: np.ndarray) -> tuple:
    """Returns the arguments of `prefill` for prompts `[B, L]`."""
    batch, length = tokens.shape
    return (
        self.models[dtype].params,
        tokens.astype(np.int32),
        np.full(batch, length, np.int32),
        jax.random.split(jax.random.key(0), batch),
        np.zeros(batch, bool),
        self.ends(dtype),
        {},
        0,
    )

  def ends(self, dtype: str) -> np.ndarray:
    """Returns the tokens that end a text: none here."""
    return np.zeros(self.models[dtype].config.vocab_size, bool)


def measure_speed(
    report: Report, ours: Ours, rivals: dict[str, Rival], sizes: dict[str, int]
) -> None:
  """Prefill and decode, against the peak and against the rivals."""
  rng = np.random.default_rng(0)
  config = ours.models["float32"].config
  few, many = (
      rng.integers(5, config.vocab_size, (sizes[n], sizes["prompt"]))
      for n in ("few", "many")
  )
  flops = workload.prefill_flops(config, *few.shape)
  name = f"prefill {len(few)}x{sizes['prompt']}"
  for dtype in DTYPES:
    run = functools.partial(ours.prefill, dtype, few)
    peak = workload.peak_seconds(dtype, sizes["peak"])
    report.share(f"{name}, share of GEMM peak, {dtype}", run, flops, peak)
  pairs = [("torch", d, d) for d in DTYPES] + [("llama", "bfloat16", "4-bit")]
  goals = {
      ("torch", "float32"): (2.0, 1.5), ("torch", "bfloat16"): (1.3, 1.5),
      ("llama", "4-bit"): (5.0, 3.0),
  }  # fmt: skip
  for kind, dtype, other in pairs:
    for i, (task, tokens) in enumerate(
        [("prefill", few), ("decode", many), ("decode", many[:1])]
    ):
      row = f"{task} {len(tokens)}x{sizes['prompt']}, {dtype}"
      row += f" / {kind} {other}"
      if kind not in rivals:
        report.missing(row)
        continue
      new = {"new": sizes["new"]} if task == "decode" else {}
      mine = functools.partial(getattr(ours, task), dtype, tokens, **new)
      theirs = functools.partial(
          rivals[kind].ask,
          task=task,
          dtype=dtype,
          tokens=tokens.tolist(),
          **new,
      )
      goal = goals[kind, other][i] if i < 2 else 0.0
      report.compare(row, mine, theirs, goal)


def measure_scoring(
    report: Report, ours: Ours, rivals: dict[str, Rival], sizes: dict[str, int]
) -> None:
  """Scoring: one state, many states, and whether bfloat16 ranks alike."""
  model = ours.models["float32"]
  states, commands = workload.choices(
      model, sizes["states"], sizes["prompt"], 8
  )
  for dtype in DTYPES:
    one = functools.partial(ours.score, dtype, states[:1], commands[:1])
    goal = 0.07 if dtype == "bfloat16" else 0.0
    report.time(f"score 8 commands after one state, s, {dtype}", one, goal)
  encode = model.tokenizer.encode
  ids = [[model.tokenizer.end_id] + encode(state) for state in states]
  ends = [[encode(c + "\n") for c in group] for group in commands]
  for dtype in DTYPES:
    for batched in (False, True):
      row = f"score {len(states)} states x 8, {dtype} / torch"
      row += ", a batch a state" if batched else ", a loop"
      if "torch" not in rivals:
        report.missing(row)
        continue
      theirs = functools.partial(
          rivals["torch"].ask, task="score", dtype=dtype, states=ids,
          commands=ends, batched=batched,
      )  # fmt: skip
      mine = functools.partial(ours.score, dtype, states, commands)
      report.compare(row, mine, theirs, 0.0 if batched else 5.0)
  states, commands = workload.choices(
      model, sizes["choices"], sizes["prompt"] // 2, 8
  )
  means = [
      lm.score(ours.models[dtype], states, commands, method="mean")
      for dtype in DTYPES
  ]
  name = f"Kendall tau of bfloat16 on {len(states)} choices"
  report.value(name, workload.kendall_tau(*means), 0.98)


def measure_start(
    report: Report, ours: Ours, path: pathlib.Path, sizes: dict[str, int]
) -> None:
  """Seconds to compile each kind of program, and to load."""
  few = np.ones((sizes["few"], sizes["prompt"]), np.int32)
  many = np.ones((sizes["many"], sizes["prompt"]), np.int32)
  mask = np.tril(np.ones((2, 192, 192), bool))
  rows = np.ones((2, 192), np.int32)
  kept = jax.config.jax_enable_compilation_cache
  jax.config.update("jax_enable_compilation_cache", False)
  for dtype in DTYPES:
    params, ends = ours.models[dtype].params, ours.ends(dtype)
    read = *ours.prompts(dtype, few), 16
    state = ours.state(dtype, many, 2 * sizes["new"])
    for name, function, inputs in (
        ("prefill", prefill, read),
        ("decode", decode, (params, state, np.int32(1), ends, {}, 0)),
        ("score", forward.hidden_states, (params, rows, rows, mask, None)),
    ):
      run = functools.partial(_compile_seconds, function, inputs)
      report.time(f"compile {name}, s, {dtype}", run, 4.0, True)
  jax.config.update("jax_enable_compilation_cache", kept)
  with tempfile.TemporaryDirectory() as cache:
    before = os.environ.get("MULEARN_CACHE")
    os.environ["MULEARN_CACHE"] = cache
    load = functools.partial(_load_seconds, path)
    report.time("load from the file, s", load, 8.0, True)
    report.time("load from the cache, s", load, 2.0)
    os.environ.pop("MULEARN_CACHE")
    if before is not None:
      os.environ["MULEARN_CACHE"] = before


def _compile_seconds(function: Any, inputs: tuple) -> float:
  start = time.perf_counter()
  function.lower(*inputs).compile()
  return time.perf_counter() - start


def _load_seconds(path: pathlib.Path) -> float:
  start = time.perf_counter()
  jax.block_until_ready(lm.load(path).params)
  return time.perf_counter() - start


def machine() -> dict[str, Any]:
  """Returns what the figures depend on."""
  return {
      "cpu": _cpu(),
      "cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg(),
      "machine": platform.machine(), "python": platform.python_version(),
      "jax": jax.__version__, "time": time.strftime("%Y-%m-%d %H:%M"),
  }  # fmt: skip


def _cpu() -> str:
  """Returns the processor as Linux names it, or the machine's kind."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    return platform.processor()
  fields = dict(
      re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line
  )
  names = ("model name", "cpu family", "model", "CPU part")
  return ", ".join(f"{n} {fields[n]}" for n in names if n in fields)


def start_rivals(
    options: argparse.Namespace, model: lm.LanguageModel, path: pathlib.Path
) -> dict[str, Rival]:
  """Starts those that are there; both read the very same weights."""
  rivals = {}
  with tempfile.TemporaryDirectory() as exported:
    for kind, python in (
        ("torch", options.torch_python), ("llama", options.llama_python),
    ):  # fmt: skip
      if not python:
        continue
      if kind == "torch":
        lm.export(model, exported)
      try:
        rivals[kind] = Rival(
            python, kind, str(path) if kind == "llama" else exported
        )
      except OSError as error:
        print(f"{kind}: {error}", file=sys.stderr)
  return rivals


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs all measurements and writes them as JSON."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--model", default="smollm2-135m")
  parser.add_argument("--torch-python", help="has torch and transformers")
  parser.add_argument("--llama-python", help="has llama-cpp-python")
  parser.add_argument("--repeats", type=int, default=5)
  parser.add_argument("--small", action="store_true", help="only to try it")
  parser.add_argument("--out", default="benchmarks/results/lm.json")
  options = parser.parse_args(arguments)
  sizes = dict(
      prompt=64, few=16, many=64, new=32, states=32, choices=200, peak=2048
  )
  if options.small:
    sizes = dict(prompt=16, few=2, many=4, new=4, states=2, choices=4, peak=64)
  path = lm.fetch(options.model)
  models = {dtype: lm.load(options.model, dtype) for dtype in DTYPES}
  report, ours = Report(options.repeats), Ours(models)
  start = machine()
  rivals = start_rivals(options, models["float32"], path)
  try:
    measure_speed(report, ours, rivals, sizes)
    measure_scoring(report, ours, rivals, sizes)
    measure_start(report, ours, path, sizes)
  finally:
    for rival in rivals.values():
      rival.close()
  out = pathlib.Path(options.out)
  out.parent.mkdir(parents=True, exist_ok=True)
  record = {"before": start, "after": machine(), "model": options.model}
  out.write_text(json.dumps(record | {"rows": report.rows}, indent=2) + "\n")
  print(
      f"Load at the start and at the end: {start['load'][0]:.2f},"
      f" {os.getloadavg()[0]:.2f}. Written to {out}."
  )


if __name__ == "__main__":
  main()
