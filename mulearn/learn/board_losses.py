"""The loss of a board game: one for AlphaZero and for MuZero.

From a real position the model imagines U moves and is asked for policy, value
and legal moves at each of the U + 1 latents, for reward and end of each move.
AlphaZero has U = 0: policy and value of the real position are what remains.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from mulearn.config import LearnConfig
from mulearn.learn.losses import consistency, scale_gradient
from mulearn.model.board_networks import Imaginer, Predictor
from mulearn.model.support import Support
from mulearn.types import Array, Targets, Trajectory


class Imagined(NamedTuple):
  """What a model imagines of U moves from a real position.

  Attributes:
    latents: the real one and those after each move, `[B, U + 1, D]`.
    rewards: logits, `[B, U, S]`; nothing where U is 0, nor below.
    continues: logits that the game goes on, `[B, U]`.
    terms: of the loss, beside those of every model, weighted `[B, U]`, and 1
      where they are taught `[B, U]`.
    metrics: whatever else there is to be seen, `[]`.
  """

  latents: Array
  rewards: Array | None
  continues: Array | None
  terms: dict[str, tuple[Array, Array]]
  metrics: dict[str, Array]


class ImagineFn(Protocol):
  """How a model is unrolled over what was played."""

  def __call__(
      self,
      networks: Any,
      seen: Trajectory,
      targets: Targets,
      *,
      config: LearnConfig,
      support: Support,
  ) -> Imagined:
    """Imagines the first U moves of `seen` `[B, U + 1]`."""


def imagine(
    networks: Predictor,
    seen: Trajectory,
    targets: Targets,
    *,
    config: LearnConfig,
    support: Support,
) -> Imagined:
  """Unrolls a world without chance; see `ImagineFn`."""
  del support  # Values are judged at latents alone.
  latent = networks.represent(seen.observation[:, 0])
  latents, moves, num_moves = [latent], [], targets.reward.shape[1]
  state = networks.reward.begin(latent) if num_moves else latent
  for k in range(num_moves):
    state = jax.tree.map(
        lambda x: scale_gradient(x, config.unroll_gradient), state
    )
    state, *came = networks.dynamics(state, seen.action[:, k])
    latents.append(networks.reward.latent(state))
    moves.append(came)
  rewards, continues = (
      (jnp.stack(x, axis=1) for x in zip(*moves)) if moves else (None, None)
  )
  return Imagined(jnp.stack(latents, axis=1), rewards, continues, {}, {})


def board_loss(
    networks: Predictor,
    trajectory: Trajectory,
    targets: Targets,
    weights: Array,
    *,
    config: LearnConfig,
    support: Support,
    imagine: ImagineFn = imagine,
) -> tuple[Array, dict[str, Array]]:
  """The weighted sum of all terms.

  Args:
    networks: the parameters, differentiated; `Imaginer` where U > 0.
    trajectory: sequences `[B, T]`, `T > U`.
    targets: of the same sequences.
    weights: importance of each sequence, `[B]`.
    config: the weights of the terms.
    support: of value and reward.
    imagine: how the networks are unrolled, and what they learn by that.

  Returns:
    The loss `[]`, and its terms and the value errors `value_error` `[B]`.
  """
  num_moves = targets.reward.shape[1]  # U
  seen = jax.tree.map(lambda x: x[:, : num_moves + 1], trajectory)
  imagined = imagine(networks, seen, targets, config=config, support=support)
  latents = imagined.latents
  batch = latents.shape[:2]
  # As rows: over two axes, a normalisation's gradient takes CPUs twice as long.
  policy_logits, value_logits = jax.tree.map(
      lambda x: x.reshape(*batch, -1),
      networks.predict(latents.reshape(-1, latents.shape[-1])),
  )

  def average(x: Array, mask: Array) -> Array:
    return jnp.sum(x * mask * weights[:, None]) / mask.size

  log_probs = networks.log_policy(policy_logits, seen.invalid, seen.actions)
  # The policy's entropy is no part of the gradient, but makes 0 the best.
  policy = jnp.sum(
      jnp.where(
          seen.policy > 0.0,
          seen.policy * (jnp.log(seen.policy + 1e-9) - log_probs),
          0.0,
      ),
      axis=-1,
  )
  value = optax.softmax_cross_entropy(
      value_logits, support.to_probs(targets.value)
  )
  terms = {
      "policy": average(policy, targets.policy_mask),
      "value": config.value_weight * average(value, targets.value_mask),
  }
  if num_moves:
    reward = optax.softmax_cross_entropy(
        imagined.rewards,
        support.to_probs(networks.reward.taught(targets.reward)),
    )
    goes_on = optax.sigmoid_binary_cross_entropy(
        imagined.continues, targets.continues
    )
    terms |= {
        "reward": config.reward_weight * average(reward, targets.reward_mask),
        "continues": config.continue_weight
        * average(goes_on, targets.reward_mask),
    }
  if num_moves and seen.actions is None:  # What was sampled is legal.
    legal = optax.sigmoid_binary_cross_entropy(
        networks.legal_logits(latents[:, 1:]), 1.0 - seen.invalid[:, 1:]
    ).mean(axis=-1)
    terms["legal"] = config.admissible_weight * average(
        legal, targets.policy_mask[:, 1:]
    )
  if config.consistency_weight:
    terms["consistency"] = config.consistency_weight * average(
        _consistency(networks, latents, seen.observation),
        targets.policy_mask[:, 1:],
    )
  terms |= {name: average(*term) for name, term in imagined.terms.items()}
  loss = sum(terms.values())
  root_value = support.to_scalar(value_logits[:, 0])
  metrics = {"loss": loss, **{f"loss/{k}": v for k, v in terms.items()}}
  metrics |= imagined.metrics
  metrics["value_error"] = jnp.abs(root_value - targets.value[:, 0])
  return loss, metrics


def _consistency(networks: Imaginer, latents: Array, planes: Array) -> Array:
  """How far imagined latents are from those of the boards seen, `[B, U]`.

  Args:
    networks: the parameters.
    latents: `[B, U + 1, D]`, the first of them real.
    planes: `[B, U + 1, H, W, C]`.
  """
  later = planes[:, 1:]
  real = networks.represent(later.reshape(-1, *later.shape[2:]))
  real = networks.projector(real.reshape(*later.shape[:2], -1))
  imagined = networks.projector(latents[:, 1:])
  return consistency(networks.predictor(imagined), real)
