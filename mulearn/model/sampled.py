r"""Searching a few sampled actions of very many.

Hubert et al. 2021, "Learning and planning in complex action spaces",
https://arxiv.org/abs/2104.06303: at each node K actions are drawn from a proposal
`beta`, and the prior becomes `(beta_hat / beta) pi`, where `beta_hat` is the share
of each in the sample. Expectations under it are those under `pi`.

What is drawn with replacement is the paper's. Without, no slot is wasted on a
repetition: by the Gumbel-top-k trick, where `beta_hat / beta` is one over the chance
of being drawn at all (Kool et al. 2019, "Stochastic beams and where to find them",
https://arxiv.org/abs/1903.06059), so that with K = A the prior is `pi` again.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mulearn.model.base import Model, mask_logits
from mulearn.types import Array, Node


class Sample(NamedTuple):
  """Some of the slots of a node.

  Attributes:
    slot: which, `[B, K]`.
    log_ratio: `log(beta_hat / beta)` of each, `[B, K]`.
    invalid: not to be chosen: a repetition, or an invalid slot, `[B, K]`.
  """

  slot: Array
  log_ratio: Array
  invalid: Array


# (rng_key, log-probabilities of the proposal `[B, A]`, -inf for none) -> sample.
DrawFn = Callable[[Array, Array], Sample]
# A node with all its slots -> logits of the proposal `[B, A]`.
ProposalFn = Callable[[Node], Array]


@dataclasses.dataclass(frozen=True)
class WithoutReplacement:
  """Draws K different slots, in ascending order; a `DrawFn`."""

  num_samples: int

  def __call__(self, rng_key: Array, log_beta: Array) -> Sample:
    """See `DrawFn`; K may not be more than A."""
    num_samples = self.num_samples
    noisy = log_beta + jax.random.gumbel(rng_key, log_beta.shape)
    count = min(num_samples + 1, log_beta.shape[1])
    best, slot = jax.lax.top_k(noisy, count)
    slot = jnp.sort(slot[:, :num_samples], axis=-1)
    # The best that was not drawn; where all were, any slot would have been.
    is_all = count == num_samples
    bar = jnp.full_like(best[:, :1], -jnp.inf) if is_all else best[:, -1:]
    drawn = jnp.take_along_axis(log_beta, slot, axis=1)
    invalid = drawn == -jnp.inf
    # P(log beta + Gumbel > bar), 1 where there is no bar.
    excess = jnp.where(invalid | (bar == -jnp.inf), jnp.inf, drawn - bar)
    log_chance = jnp.log(-jnp.expm1(-jnp.exp(excess)))
    return Sample(slot, -log_chance, invalid)


@dataclasses.dataclass(frozen=True)
class WithReplacement:
  """Draws K slots independently; a repetition is invalid; a `DrawFn`."""

  num_samples: int

  def __call__(self, rng_key: Array, log_beta: Array) -> Sample:
    """See `DrawFn`."""
    num_samples = self.num_samples
    shape = (num_samples, log_beta.shape[0])
    slot = jax.random.categorical(rng_key, log_beta, shape=shape).T
    slot = jnp.sort(slot, axis=-1)
    share, repeats = share_of_sample(slot[:, :, None] == slot[:, None, :])
    log_ratio = jnp.log(share) - jnp.take_along_axis(log_beta, slot, axis=1)
    return Sample(slot, log_ratio, repeats)


def share_of_sample(same: Array) -> tuple[Array, Array]:
  """What an action is of a sample that may hold it several times.

  Args:
    same: whether two draws are of one action, `[B, K, K]`.

  Returns:
    `beta_hat`, the share of the sample that is this action, `[B, K]`; and True
    where an earlier draw stands for it, `[B, K]`.
  """
  num_samples = same.shape[-1]
  share = jnp.sum(same, axis=-1) / num_samples
  repeats = jnp.any(same & jnp.tri(num_samples, k=-1, dtype=bool), axis=-1)
  return share, repeats


def own_policy(node: Node) -> Array:
  """The proposal that is the node's own policy: `beta = pi`."""
  return node.prior_logits


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sampled:
  """A `model.base.Model` whose nodes show a sample of another's slots.

  Attributes:
    model: the other; it is given the keys that it would be given alone.
    draw: the sampling.
    proposal: what is sampled from.
  """

  model: Model
  draw: DrawFn = dataclasses.field(metadata={"static": True})
  proposal: ProposalFn = dataclasses.field(
      default=own_policy, metadata={"static": True}
  )

  def root(self, rng_key: Array, observation: Any, prior_logits: Array) -> Node:
    """The node of an observation, with the prior over all slots `[B, A]`."""
    node = self.model.root(rng_key, observation, prior_logits)
    return self._sample(rng_key, node)

  def step(self, rng_key: Array, state: Any, action: Any) -> Node:
    """The node reached by an action that was in a sample."""
    node = self.model.step(rng_key, state, action)
    return self._sample(rng_key, node)

  def _sample(self, rng_key: Array, node: Node) -> Node:
    def log_probs(logits: Array) -> Array:
      return jnp.where(
          node.invalid, -jnp.inf, jax.nn.log_softmax(logits, axis=-1)
      )

    log_beta = log_probs(mask_logits(self.proposal(node), node.invalid))
    found = self.draw(jax.random.fold_in(rng_key, 1), log_beta)
    rows = jnp.arange(found.slot.shape[0])[:, None]
    logits = node.prior_logits[rows, found.slot]
    actions = (
        found.slot
        if node.actions is None
        else jax.tree.map(lambda x: x[rows, found.slot], node.actions)
    )
    return node._replace(
        actions=actions,
        prior_logits=logits + jnp.where(found.invalid, 0.0, found.log_ratio),
        invalid=found.invalid,
    )
