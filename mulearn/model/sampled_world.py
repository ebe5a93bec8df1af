"""Sampled MuZero on the seam: a learned world whose actions are continuous.

Hubert et al. 2021, "Learning and planning in complex action spaces",
https://arxiv.org/abs/2104.06303. Every node shows K actions that were drawn from a
proposal `beta`, the policy at a temperature, with the prior `(beta_hat / beta) pi`,
as in `model.sampled`; there all actions can be listed, here none.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.model.board_networks import ContinuousImaginer
from mulearn.model.board_world import BoardObservation
from mulearn.model.sampled import share_of_sample
from mulearn.model.support import Support
from mulearn.types import Array, Node, PyTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SampledWorldModel:
  """A `model.base.Model` over latents, for one player.

  Attributes:
    networks: the parameters, which know their proposal.
    support: of the categorical value and reward.
    discount: of one move.
    num_samples: K, actions that are drawn at every node.
    temperature: of the proposal; 1 draws from the policy itself.
  """

  networks: ContinuousImaginer
  support: Support = dataclasses.field(metadata={"static": True})
  discount: float = dataclasses.field(metadata={"static": True})
  num_samples: int = dataclasses.field(metadata={"static": True})
  temperature: float = dataclasses.field(default=1.0, metadata={"static": True})

  def root(
      self, rng_key: Array, observation: BoardObservation, prior_logits: Array
  ) -> Node:
    """The node of real views `[B]`; see `model.base.Model`.

    What is invalid is not asked, nor a prior: slots are not known beforehand.
    """
    del prior_logits
    latent = self.networks.represent(observation.planes)
    state = self.networks.reward.begin(latent)
    zeros = jnp.zeros(latent.shape[0], latent.dtype)
    return self._node(rng_key, state, reward=zeros, discount=zeros + 1.0)

  def step(self, rng_key: Array, state: PyTree, action: Array) -> Node:
    """Imagines `action` `[B, D]`; see `model.base.Model`."""
    state, said, goes_on = self.networks.dynamics(state, action)
    state, reward = self.networks.reward.settle(
        state, self.support.to_scalar(said)
    )
    return self._node(
        rng_key,
        state,
        reward=reward,
        discount=self.discount * jax.nn.sigmoid(goes_on),
    )

  def _node(
      self, rng_key: Array, state: PyTree, *, reward: Array, discount: Array
  ) -> Node:
    """With K sampled slots; a repetition of an action is invalid."""
    outputs, value = self.networks.predict(self.networks.reward.latent(state))
    proposal = self.networks.proposal
    actions = proposal.sample(
        rng_key, outputs, self.num_samples, self.temperature
    )
    same = jnp.all(actions[:, :, None] == actions[:, None], axis=-1)
    share, repeats = share_of_sample(same)
    log_beta = proposal.log_prob(outputs, actions, self.temperature)
    log_pi = proposal.log_prob(outputs, actions)
    return Node(
        state=state,
        actions=actions,
        prior_logits=log_pi + jnp.log(share) - log_beta,
        invalid=repeats,
        value=self.support.to_scalar(value),
        reward=reward,
        discount=discount,
    )
