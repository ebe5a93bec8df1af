"""What is computed, counted and compared in the benchmarks."""

from collections.abc import Sequence
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.side_by_side import Seconds
from mulearn import lm
from mulearn.lm import weights

_WORDS = (
    "red blue old new open dark cold dry big small house door table lamp box"
    " key water book room north south east west take put go look the a in on of"
).split()


def peak_seconds(dtype: str, size: int) -> Seconds:
  """Returns what measures the seconds of one FLOP of a large product."""
  a = jnp.ones((size, size), dtype)
  product = jax.jit(
      lambda a: jnp.matmul(a, a, preferred_element_type="float32")
  )

  def measure() -> float:
    start = time.perf_counter()
    product(a).block_until_ready()
    return (time.perf_counter() - start) / (2 * size**3)

  return measure


def prefill_flops(config: lm.DecoderConfig, batch: int, length: int) -> float:
  """Returns the FLOPs of all matrix products, causal attention's counted."""
  shapes = weights.parameter_shapes(config)
  matrices = sum(
      np.prod(s) for n, s in shapes.items() if n.startswith("b") and len(s) == 2
  )
  heads = config.num_heads * config.head_width
  # Scores and sums, of which half are masked.
  attention = 2 * config.num_layers * heads * length / 2
  vocabulary = config.vocab_size * config.width
  tokens = batch * length
  return 2 * (tokens * (matrices + attention) + batch * vocabulary)


def choices(
    model: lm.LanguageModel, num: int, tokens: int, commands: int
) -> tuple[list[str], list[list[str]]]:
  """Draws states of so many tokens, and commands of 5 and a boundary."""
  encode = model.tokenizer.encode
  words = [w for w in _WORDS if len(encode(f" {w}")) == 1] or _WORDS
  rng = np.random.default_rng(0)

  def text(num_words: int) -> str:
    return "".join(f" {word}" for word in rng.choice(words, num_words))

  states = [text(tokens) for _ in range(num)]
  return states, [[text(5) for _ in range(commands)] for _ in range(num)]


def kendall_tau(ours: Sequence, others: Sequence) -> float:
  """Returns the mean agreement of pairs within each choice, in [-1, 1]."""
  signs = []
  for a, b in zip(ours, others):
    upper = np.triu_indices(len(a), 1)
    pair = [np.sign(np.subtract.outer(x, x)[upper]) for x in (a, b)]
    signs.append(pair[0] * pair[1])
  return float(np.mean(np.concatenate(signs)))
