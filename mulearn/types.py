"""The letters of every shape comment, and the records that the phases pass on.

B  batch (or lanes of games that step together)     N  nodes of a search tree
T  time steps of a sequence, U unrolled model steps  S  support of a categorical
K  slots: the candidate actions of a node            D  width of the latent
A  actions of an environment (K = A on a board)      E  width of a text embedding
F  facts of a text observation                       P  phrases in the phrase table
L  tokens of a text                                  V  tokens in the vocabulary
"""

import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax

Array: TypeAlias = jax.Array
PyTree: TypeAlias = Any


class Node(NamedTuple):
  """What a model says of one position: all that search ever knows of it.

  Attributes:
    state: what the model needs to continue from here, a pytree of `[B, ...]`.
    actions: the action that each slot stands for, `[B, K, ...]`; None where it
      is the number of the slot, so that no tree need store it.
    prior_logits: log-probability of each slot, `[B, K]`.
    invalid: True where a slot may not be chosen (mctx's sense), `[B, K]`.
    value: expected discounted return from here, `[B]`.
    reward: reward of the step that led here, `[B]`.
    discount: 0 where the step ended the game, negative where the opponent is
      to move, `[B]`.
  """

  state: PyTree
  actions: PyTree
  prior_logits: Array
  invalid: Array
  value: Array
  reward: Array
  discount: Array


class Plan(NamedTuple):
  """The result of search at a batch of roots.

  Attributes:
    slot: the chosen slot, `[B]`.
    action: what that slot stands for, `[B, ...]`.
    policy: the improved policy over slots, the target of learning, `[B, K]`.
    improvement: by how many nats search raised each slot above the policy that
      entered it, up to a constant: what search found out, 0 where a slot is
      invalid, `[B, K]`.
    value: the root's value after search, `[B]`.
    tree: the whole mctx tree, for pictures and for models that explore.
    actions: what each slot of the root stands for, as in `Node`.
  """

  slot: Array
  action: Array
  policy: Array
  improvement: Array
  value: Array
  tree: PyTree
  actions: PyTree = None


class Trajectory(NamedTuple):
  """Consecutive moves of `B` lanes, as acted and as stored.

  Entry `t` holds the observation, what was done there and what came of it.

  Attributes:
    observation: what the agent saw at `t`, a pytree of `[B, T, ...]`.
    prior_logits: the language prior at `t`, zeros for none, `[B, T, K]`.
    invalid: slots that were not admissible at `t`, `[B, T, K]`.
    policy: search policy at `t`, `[B, T, K]`.
    improvement: of that policy over the one that entered search (see `Plan`),
      by which the trust is fitted, `[B, T, K]`.
    value: root value after search at `t`, `[B, T]`.
    action: the action taken at `t`, in the model's terms, `[B, T, ...]`.
    reward: reward of that action, `[B, T]`.
    discount: 0 where that action ended the game, else 1 (or -1 where the
      opponent is to move), `[B, T]`.
    truncated: True where the episode was cut after that action, `[B, T]`.
    held_out: True in games that the policy head does not learn from, on which
      the trust in the language prior is fitted, `[B, T]`.
    born: optimiser steps made before the move was, `[B, T]`; None where no
      target depends on it.
    actions: what each slot stood for, `[B, T, K, ...]`; None where that is
      always the same or can be told from the observation.
  """

  observation: PyTree
  prior_logits: Array
  invalid: Array
  policy: Array
  improvement: Array
  value: Array
  action: PyTree
  reward: Array
  discount: Array
  truncated: Array
  held_out: Array
  born: Array | None = None
  actions: PyTree = None


class Targets(NamedTuple):
  """What the unrolled model is taught, for `U` moves from each start.

  Attributes:
    value: n-step return at `0..U`, `[B, U + 1]`.
    reward: reward of move `0..U-1`, `[B, U]`.
    continues: 1 where the game went on after the move, `[B, U]`.
    value_mask: 1 where a value is known, `[B, U + 1]`.
    policy_mask: 1 where an observation of the same episode exists,
      `[B, U + 1]`.
    reward_mask: 1 where the move (or its absorbing echo) exists, `[B, U]`.
  """

  value: Array
  reward: Array
  continues: Array
  value_mask: Array
  policy_mask: Array
  reward_mask: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """All that one optimiser step reads and writes.

  Attributes:
    params: the world model (an NNX module is a plain pytree).
    opt_state: the optimiser's state.
    step: optimiser steps so far, a scalar.
    target: slow average of the parameters; None without one.
  """

  params: PyTree
  opt_state: PyTree
  step: Array
  target: PyTree | None = None

  @property
  def searcher(self) -> PyTree:
    """The parameters that search: the target's, or else the newest."""
    return self.params if self.target is None else self.target
