"""How the policy head and the language prior become one policy.

Every rule has the same form, so that a study swaps one function for another:

  rule(head [..., K], prior [..., K], gate []) -> log-probabilities [..., K]

`head` are the policy head's logits and `prior` the language model's
log-probabilities, both over the admissible slots (a slot that may not be chosen
has the lowest finite number in both, or is masked by the caller after). `gate`
is one learned scalar. A flat prior changes nothing in `gated`, `product` and
`exponent`, to the last bit: "no prior" is a uniform prior.
"""

from collections.abc import Callable
import math

import jax
import jax.numpy as jnp

from mulearn.types import Array

Fusion = Callable[[Array, Array, Array], Array]


def gated(head: Array, prior: Array, gate: Array) -> Array:
  """`P = (1 - w) softmax(r) + w softmax(r + l)`, `w = sigmoid(gate)`.

  The head alone is always in the mixture, so no slot gets out of the search's
  reach, and a misleading prior can be switched off. Written as
  `p0 + w (p1 - p0)`, which is exactly `p0` for a flat prior and for `w = 0`.
  """
  alone = jax.nn.softmax(head)
  guidance = jax.nn.softmax(head + prior) - alone
  # A compiler may round the two apart; nothing is nothing, and so its gradient.
  flat = jnp.all(prior == 0.0, axis=-1, keepdims=True)
  guidance = jnp.where(flat, 0.0, guidance)
  return _safe_log(alone + jax.nn.sigmoid(gate) * guidance)


def product(head: Array, prior: Array, gate: Array) -> Array:
  """`P = softmax(r + l)`: the product of experts, whatever the gate."""
  del gate
  return jax.nn.log_softmax(head + prior)


def mixture(head: Array, prior: Array, gate: Array) -> Array:
  """`P = (1 - w) softmax(r) + w softmax(l)`; anneal `w` for the usual rule."""
  weight = jax.nn.sigmoid(gate)
  return _safe_log(
      (1.0 - weight) * jax.nn.softmax(head) + weight * jax.nn.softmax(prior)
  )


def exponent(head: Array, prior: Array, gate: Array) -> Array:
  """`P = softmax(r + 2 w l)`: a product with a learned exponent in (0, 2)."""
  return jax.nn.log_softmax(head + 2.0 * jax.nn.sigmoid(gate) * prior)


def head_only(head: Array, prior: Array, gate: Array) -> Array:
  """`P = softmax(r)`: the language model is not heard."""
  del prior, gate
  return jax.nn.log_softmax(head)


RULES: dict[str, Fusion] = {
    "gated": gated,
    "product": product,
    "annealed": mixture,
    "exponent": exponent,
    "head": head_only,
}


def trust_to_gate(trust: float) -> float:
  """The gate whose sigmoid is `trust`; exact zero weight for `trust = 0`.

  Raises:
    ValueError: if `trust` is not in [0, 1].
  """
  if not 0.0 <= trust <= 1.0:
    raise ValueError(f"trust is {trust}; a number from 0 to 1 is needed.")
  if trust in (0.0, 1.0):  # finite, and sigmoid rounds to the end exactly
    return -120.0 if trust == 0.0 else 120.0
  return math.log(trust / (1.0 - trust))


def _safe_log(probs: Array) -> Array:
  return jnp.log(jnp.maximum(probs, jnp.finfo(probs.dtype).tiny))
