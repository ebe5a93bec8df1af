"""A2C: one step up the policy's gradient for each round of all lanes.

Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning",
https://arxiv.org/abs/1602.01783, with lanes in step in place of threads.
"""

import dataclasses

import rlax

from mulearn.learn.ppo import PpoLearner
from mulearn.learn.rollout import Rollout
from mulearn.types import Array


@dataclasses.dataclass(frozen=True)
class A2cLearner(PpoLearner):
  """The same round, value and entropy as PPO's, and the plain gradient."""

  def policy_loss(self, logits: Array, batch: Rollout) -> Array:
    """The policy gradient of moves `[N]`, a scalar."""
    return rlax.policy_gradient_loss(
        logits, batch.action, batch.advantage, batch.weight
    )
