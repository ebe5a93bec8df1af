"""The learned text world as a model for search: latents instead of a game.

At the root the admissible commands are known. Below it they are predicted: the
candidates are every command of the vocabulary and the root's own (which may be
new), and the likeliest ones become the node's slots, their probability of being
admissible a factor of the policy. The language prior of an imagined node is
what the prior head says.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.model.base import mask_logits
from mulearn.model.networks import Action, Networks, Observation, was_tried
from mulearn.model.support import Support
from mulearn.prior.fusion import Fusion
from mulearn.types import Array, Node

_UNLIKELY = -3.0  # log-odds below which a command is not imagined, about 5 %


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WorldModel:
  """A `model.base.Model` over latents.

  Attributes:
    networks: the parameters.
    table: phrase embeddings, `[P, E]`.
    vocabulary: True where a phrase is a command that may be imagined, `[P]`.
    fusion: the rule that joins policy head and prior.
    support: of the categorical value and reward.
    discount: of one move.
    num_imagined: most slots that an imagined node fills.
    in_tree: False keeps the language prior to the root.
  """

  networks: Networks
  table: Array
  vocabulary: Array
  fusion: Fusion = dataclasses.field(metadata={"static": True})
  support: Support = dataclasses.field(metadata={"static": True})
  discount: float = dataclasses.field(metadata={"static": True})
  num_imagined: int = dataclasses.field(metadata={"static": True})
  in_tree: bool = dataclasses.field(metadata={"static": True})

  def root(
      self, rng_key: Array, observation: Observation, prior_logits: Array
  ) -> Node:
    """The node of a real observation; see `model.base.Model`."""
    del rng_key  # Nothing is sampled.
    latent = self.networks.represent(self.table, observation)
    zeros = jnp.zeros(latent.shape[0], latent.dtype)
    return self._node(
        latent,
        observation.commands,
        observation.tried,
        jnp.zeros_like(prior_logits),
        prior_logits,
        (observation.commands, observation.history),
        reward=zeros,
        discount=zeros,
    )

  def step(
      self, rng_key: Array, state: tuple[Array, ...], action: Action
  ) -> Node:
    """Imagines an action of `[B]` leaves; see `model.base.Model`."""
    del rng_key  # Nothing is sampled.
    latent, root_commands, history = state
    latent, reward, goes_on = self.networks.dynamics(self.table, latent, action)
    history = jnp.concatenate([history[:, 1:], action.command[:, None]], 1)
    commands, admissible = self._imagine_commands(latent, root_commands)
    prior = jnp.zeros(commands.shape, latent.dtype)
    if self.in_tree:
      prior = self.networks.prior_logits(self.table, latent, commands)
      # A head without opinions is no prior, to the last bit.
      flat = jnp.all(prior == 0.0, axis=-1, keepdims=True)
      prior = jax.nn.log_softmax(mask_logits(prior, commands == 0))
      prior = jnp.where(flat, 0.0, prior)
    return self._node(
        latent,
        commands,
        was_tried(commands, history),
        admissible,
        prior,
        (root_commands, history),
        reward=self.support.to_scalar(reward),
        discount=self.discount * jax.nn.sigmoid(goes_on),
    )

  def _node(
      self,
      latent,
      commands,
      tried,
      admissible,
      prior_logits,
      memory,
      *,
      reward,
      discount,
  ) -> Node:
    invalid = commands == 0
    head = self.networks.policy_logits(self.table, latent, commands, tried)
    head = mask_logits(head + admissible, invalid)
    prior_logits = jnp.where(invalid, 0.0, prior_logits)
    return Node(
        state=(latent, *memory),
        actions=Action(commands, tried, prior_logits),
        prior_logits=self.fusion(head, prior_logits, self.networks.gate[...]),
        invalid=invalid,
        value=self.support.to_scalar(self.networks.value_logits(latent)),
        reward=reward,
        discount=discount,
    )

  def _imagine_commands(
      self, latent: Array, root_commands: Array
  ) -> tuple[Array, Array]:
    """The likeliest admissible commands of a latent.

    Args:
      latent: `[B, D]`.
      root_commands: `[B, K]`.

    Returns:
      Commands `[B, K]`, 0 for none, and the log-probability that each is
      admissible `[B, K]`.
    """
    lowest = jnp.finfo(latent.dtype).min
    rows = jnp.arange(latent.shape[0])[:, None]
    at_root = jnp.zeros((latent.shape[0], len(self.table)), bool)
    at_root = at_root.at[rows, root_commands].set(True)
    scores = self.networks.admissible_logits(self.table, latent, at_root)
    # A new command of the root is a candidate, though in no vocabulary.
    candidate = (self.vocabulary | at_root).at[:, 0].set(False)
    scores = jnp.where(candidate, scores, lowest)
    scores, commands = jax.lax.top_k(scores, self.num_imagined)
    # The unlikely take no slot; the likeliest stays, so that a node has one.
    keep = (scores > _UNLIKELY).at[:, 0].set(True) & (scores > lowest)
    width = ((0, 0), (0, root_commands.shape[1] - self.num_imagined))
    return (
        jnp.pad(jnp.where(keep, commands, 0), width),
        jnp.pad(jax.nn.log_sigmoid(scores), width),
    )
