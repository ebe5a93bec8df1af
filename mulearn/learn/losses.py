"""The loss of the unrolled world model, term by term.

From a real observation the model imagines U moves; at each of the U + 1 latents
it is asked for the policy, the value, the admissible commands and the language
prior of the real state there, and for each move its reward and whether the game
goes on. Schrittwieser et al. 2020, https://arxiv.org/abs/1911.08265, with the
completed-Q policy of https://openreview.net/forum?id=bERaNdoegnO as the target.
"""

import jax
import jax.numpy as jnp
import optax

from mulearn.config import LearnConfig
from mulearn.model.base import mask_logits
from mulearn.model.networks import Action, Networks
from mulearn.model.support import Support
from mulearn.prior.fusion import Fusion
from mulearn.types import Array, Targets, Trajectory


def unroll(
    networks: Networks, table: Array, latent: Array, actions: Action
) -> tuple[Array, Array, Array]:
  """Imagines a line of moves from a latent.

  Args:
    networks: the parameters.
    table: phrase embeddings, `[P, E]`.
    latent: `[B, D]`.
    actions: the commands, leaves `[B, U]`.

  Returns:
    Latents `[B, U + 1, D]`, reward logits `[B, U, S]` and the logits that the
    game goes on `[B, U]`. Gradients are halved at each move, as in MuZero.
  """
  latents, rewards, continues = [latent], [], []
  for k in range(actions.command.shape[1]):
    latent, reward, goes_on = networks.dynamics(
        table,
        scale_gradient(latent, 0.5),
        jax.tree.map(lambda x, k=k: x[:, k], actions),
    )
    latents.append(latent)
    rewards.append(reward)
    continues.append(goes_on)
  return (
      jnp.stack(latents, 1), jnp.stack(rewards, 1), jnp.stack(continues, 1)
  )  # fmt: skip


def world_loss(
    networks: Networks,
    table: Array,
    vocabulary: Array,
    trajectory: Trajectory,
    targets: Targets,
    weights: Array,
    turn: Array,
    *,
    config: LearnConfig,
    support: Support,
    fusion: Fusion,
) -> tuple[Array, dict[str, Array]]:
  """The weighted sum of all terms.

  Args:
    networks: the parameters, differentiated.
    table: phrase embeddings `[P, E]`.
    vocabulary: True where a phrase is a known command, `[P]`.
    trajectory: sequences `[B, T]`, `T > U`.
    targets: of the same sequences.
    weights: importance of each sequence, `[B]`, mean about 1.
    turn: which part of the vocabulary is taught, a counter.
    config: the weights of the terms.
    support: of value and reward.
    fusion: the rule whose gate is fitted.

  Returns:
    The loss `[]`, and its terms and the value errors `value_error` `[B]`.
  """
  steps = targets.value.shape[1]  # U + 1
  seen = jax.tree.map(lambda x: x[:, :steps], trajectory)
  start = jax.tree.map(lambda x: x[:, 0], seen.observation)
  latents, rewards, continues = unroll(
      networks,
      table,
      networks.represent(table, start),
      jax.tree.map(lambda x: x[:, :-1], seen.action),
  )
  commands, invalid = seen.observation.commands, seen.invalid
  head = mask_logits(
      networks.policy_logits(table, latents, commands, seen.observation.tried),
      invalid,
  )
  value_logits = networks.value_logits(latents)

  policy = _cross_entropy(seen.policy, jax.nn.log_softmax(head), invalid)
  value = optax.softmax_cross_entropy(
      value_logits, support.to_probs(targets.value)
  )
  reward = optax.softmax_cross_entropy(
      rewards, support.to_probs(targets.reward)
  )
  goes_on = optax.sigmoid_binary_cross_entropy(continues, targets.continues)
  # The root's own prior and commands are known: imagined ones are learned.
  imagined, later = latents[:, 1:], commands[:, 1:]
  prior, has_prior = _prior_loss(
      networks.prior_logits(table, imagined, later),
      seen.prior_logits[:, 1:],
      invalid[:, 1:],
  )
  admissible = _admissible_loss(
      networks, table, vocabulary, imagined, commands, turn
  )
  fused = fusion(
      jax.lax.stop_gradient(head[:, 0]),
      seen.prior_logits[:, 0],
      networks.gate[...],
  )
  held_out = seen.held_out[:, 0]
  gate = _gate_loss(fused, seen.improvement[:, 0], held_out, invalid[:, 0])

  def average(x, mask):
    return jnp.sum(x * mask * weights[:, None]) / mask.size

  taught = targets.policy_mask * ~held_out[:, None]
  terms = {
      "policy": average(policy, taught),
      "value": config.value_weight * average(value, targets.value_mask),
      "reward": config.reward_weight * average(reward, targets.reward_mask),
      "continues": config.continue_weight
      * average(goes_on, targets.reward_mask),
      "prior": config.prior_weight
      * average(prior, targets.policy_mask[:, 1:] * has_prior),
      "admissible": config.admissible_weight
      * average(admissible, targets.policy_mask[:, 1:]),
      "gate": gate,
  }
  if config.consistency_weight:
    terms["consistency"] = config.consistency_weight * average(
        _consistency(networks, table, latents, seen.observation),
        targets.policy_mask[:, 1:],
    )
  loss = sum(terms.values())
  root_value = support.to_scalar(value_logits[:, 0])
  metrics = {"loss": loss, **{f"loss/{k}": v for k, v in terms.items()}}
  metrics["value_error"] = jnp.abs(root_value - targets.value[:, 0])
  return loss, metrics


def _cross_entropy(target: Array, log_probs: Array, invalid: Array) -> Array:
  """`-sum target log p` over valid slots: `[..., K]` -> `[...]`."""
  return -jnp.sum(jnp.where(invalid, 0.0, target * log_probs), axis=-1)


def _prior_loss(
    logits: Array, prior: Array, invalid: Array
) -> tuple[Array, Array]:
  """KL from the language prior to its imitation, and where there is one.

  A flat prior (all zero) teaches the head nothing, so a run without a language
  model keeps a head without opinions.
  """
  has_prior = jnp.any(prior != 0.0, axis=-1)
  prior = jax.nn.log_softmax(mask_logits(prior, invalid))
  imitation = jax.nn.log_softmax(mask_logits(logits, invalid))
  target = jnp.exp(prior)
  kl = _cross_entropy(target, imitation, invalid) - _cross_entropy(
      target, prior, invalid
  )
  return kl, has_prior


def _gate_loss(
    log_probs: Array, improvement: Array, held_out: Array, invalid: Array
) -> Array:
  """How little of its mass the fused policy puts where search found it good.

  `-mean(sum_a P(a) A(a))` with `A` the improvement that search proposed (with
  Gumbel: completed Q-values), over held-out train games: the head knows the
  other games by heart and would not need the prior. The likelihood of the
  search policy would not do: noise in the values makes that policy flatter than
  `P`, and the flatter of the two experts would win, whatever it knows; here
  noise that knows nothing of the two averages out. It is the policy gradient
  over all actions of Sutton et al. 1999, "Policy gradient methods for
  reinforcement learning with function approximation".

  Args:
    log_probs: of the fusion rule, where only the gate has a gradient, `[B, K]`.
    improvement: of the search policy over the policy that entered it, `[B, K]`.
    held_out: True in games that the head does not learn from, `[B]`.
    invalid: True where a slot holds no command, `[B, K]`.
  """
  count = jnp.maximum(jnp.sum(held_out), 1)
  gain = jnp.sum(
      jnp.where(invalid, 0.0, jnp.exp(log_probs) * improvement), axis=-1
  )
  return -jnp.sum(gain * held_out) / count


def _admissible_loss(
    networks: Networks,
    table: Array,
    vocabulary: Array,
    latents: Array,
    commands: Array,
    turn: Array,
) -> Array:
  """Which commands are admissible at imagined latents, `[B, U]`.

  Binary cross-entropy over the vocabulary, summed and divided by the number of
  slots, so that the few admissible ones count. A quarter of the phrases is
  taught at a time, in turns: their number is what this term costs.

  Args:
    networks: the parameters.
    table: phrase embeddings `[P, E]`.
    vocabulary: True where a phrase is a known command, `[P]`.
    latents: imagined, `[B, U, D]`.
    commands: admissible at the start and after each move, `[B, U + 1, K]`.
    turn: which quarter is taught, a counter.
  """
  parts = 4
  turn = turn % parts
  phrases = table.reshape(-1, parts, table.shape[-1])[:, turn]  # [P / 4, E]
  column = jnp.where(commands % parts == turn, commands // parts, len(phrases))
  rows = jnp.arange(commands.shape[0])[:, None, None]
  times = jnp.arange(commands.shape[1])[None, :, None]
  admissible = jnp.zeros((*commands.shape[:2], len(phrases)), bool)
  admissible = admissible.at[rows, times, column].set(True, mode="drop")
  at_root, admissible = admissible[:, :1], admissible[:, 1:]
  logits = networks.admissible_logits(phrases, latents, at_root)
  known = vocabulary.reshape(-1, parts)[:, turn]
  relevant = (known | admissible) & (phrases != 0.0).any(axis=-1)
  # softplus(x) - x y is the binary cross-entropy of logit x and label y.
  entropy = jax.nn.softplus(logits) - jnp.where(admissible, logits, 0.0)
  total = jnp.sum(jnp.where(relevant, entropy, 0.0), axis=-1)
  return parts * total / commands.shape[-1]


def _consistency(
    networks: Networks, table: Array, latents: Array, observation
) -> Array:
  """`consistency` of imagined latents with those of what was seen, `[B, U]`."""
  later = jax.tree.map(lambda x: x[:, 1:], observation)
  real = networks.represent(table, later)
  return consistency(networks.predictor(latents[:, 1:]), real)


def consistency(imagined: Array, real: Array) -> Array:
  """1 - cosine of imagined and (stopped) real latents, `[..., D]` to `[...]`.

  Ye et al. 2021, "Mastering Atari games with limited data",
  https://arxiv.org/abs/2111.00210.
  """
  real = jax.lax.stop_gradient(real)
  return 1.0 - optax.cosine_similarity(imagined, real, epsilon=1e-6)


def scale_gradient(x: Array, scale: float) -> Array:
  """`x` itself, whose gradient is multiplied by `scale`."""
  return scale * x + (1.0 - scale) * jax.lax.stop_gradient(x)
