"""The choice of the next token: the likeliest, or a draw from what is left."""

from collections.abc import Mapping

import jax
from jax import Array
import jax.numpy as jnp


def settings(
    temperature: float, top_k: int, top_p: float, min_p: float
) -> dict[str, float]:
  """Checks the settings and leaves out those that change nothing.

  What is in the dict decides what is compiled; its values do not.

  Args:
    temperature: divides the logits; 0 takes the likeliest token.
    top_k: only so many of the likeliest tokens are left; 0 leaves all.
    top_p: only the likeliest tokens are left that together have this
      probability (Holtzman et al. 2019, arXiv:1904.09751); 1 leaves all.
    min_p: only tokens are left that are at least so likely, as a share of the
      likeliest (Nguyen et al. 2024, arXiv:2407.01082); 0 leaves all.

  Returns:
    For `choose`; empty for the likeliest token.

  Raises:
    ValueError: a setting is out of range.
  """
  if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or not 0 <= min_p <= 1:
    raise ValueError(
        f"temperature={temperature}, top_k={top_k}, top_p={top_p},"
        f" min_p={min_p}: expected temperature and top_k of 0 or more, top_p"
        " above 0 and at most 1, min_p from 0 to 1."
    )
  if temperature == 0 or top_k == 1:
    return {}
  chosen = {"temperature": temperature}
  if top_p < 1:
    chosen["top_p"] = top_p
  if min_p > 0:
    chosen["min_p"] = min_p
  return chosen


def choose(
    logits: Array,
    rng_keys: Array,
    settings: Mapping[str, Array],
    top_k: int = 0,
) -> Array:
  """Chooses one token a row, each row with a key of its own.

  Args:
    logits: `[B, V]`, float32.
    rng_keys: `[B]`, keys; used once.
    settings: see `settings`.
    top_k: see `settings`; 0 leaves all.

  Returns:
    `[B]`, int32.
  """
  if not settings:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
  logits = filtered(logits, settings, top_k)
  return jax.vmap(jax.random.categorical)(rng_keys, logits).astype(jnp.int32)


def filtered(
    logits: Array, settings: Mapping[str, Array], top_k: int = 0
) -> Array:
  """Returns tempered logits `[B, V]`, -inf where a token is left out.

  The order is that of transformers: temperature, top-k, top-p, min-p. Without a
  top-k, top-p sorts the vocabulary, which costs more than a small decoder.
  """
  logits = logits / settings["temperature"]
  lowest = jnp.full(logits.shape[:1], -jnp.inf)
  if top_k or "top_p" in settings:
    count = min(top_k, logits.shape[-1]) or logits.shape[-1]
    ordered = jax.lax.top_k(logits, count)[0]
    if top_k:
      lowest = ordered[:, -1]
    if "top_p" in settings:
      probs = jax.nn.softmax(ordered, axis=-1)
      before = jnp.cumsum(probs, axis=-1) - probs
      kept = jnp.where(before < settings["top_p"], ordered, jnp.inf)
      lowest = jnp.min(kept, axis=-1)
  if "min_p" in settings:
    peak = jnp.max(logits, axis=-1)
    lowest = jnp.maximum(lowest, peak + jnp.log(settings["min_p"]))
  return jnp.where(logits >= lowest[:, None], logits, -jnp.inf)
