"""What Stochastic MuZero learns beside MuZero: afterstates, codes, odds.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1, its equations 6 to 8: with
`c` the code that the encoder names, `c^e` its output, `sigma` and `Q` what is
foreseen at the afterstate, and `z` the return from before the action,

  l(z, Q) + l(c, sigma) + beta |c - c^e|^2
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from mulearn.config import LearnConfig
from mulearn.learn.board_losses import Imagined
from mulearn.learn.board_step import BoardLearner
from mulearn.learn.losses import scale_gradient
from mulearn.learn.targets import was_explored
from mulearn.model.chance_networks import ChanceImaginer, straight_through
from mulearn.model.support import Support
from mulearn.types import Array, Targets, Trajectory


def imagine(
    networks: ChanceImaginer,
    seen: Trajectory,
    targets: Targets,
    *,
    config: LearnConfig,
    support: Support,
) -> Imagined:
  """Unrolls the moves of `seen`, each answered by the code of what came of it.

  Args:
    networks: the parameters, differentiated.
    seen: sequences `[B, U + 1]`.
    targets: of the same sequences.
    config: the weights of the terms.
    support: of the value.

  Returns:
    The `Imagined`. Of the last move of a game chance made its end, which the
    encoder sees as a board of zeros; what a cut hid is not taught.
  """
  alive = targets.policy_mask
  # Chance answered a move of this game, and what it answered is known.
  answered = alive[:, :-1] * targets.value_mask[:, 1:]
  # Where the return ends before the move, it is the position's and not its own.
  explored = was_explored(
      seen, share=config.explored_below, nats=config.explored_nats
  )
  is_left_out = explored | seen.truncated
  heeded = targets.value_mask[:, :-1] * ~is_left_out[:, :-1]
  latent = networks.represent(seen.observation[:, 0])
  latents, moves = [latent], []
  for k in range(targets.reward.shape[1]):
    after = networks.act(
        scale_gradient(latent, config.unroll_gradient), seen.action[:, k]
    )
    encoding = networks.encode(
        jax.lax.stop_gradient(after),
        _where(alive[:, k + 1], seen.observation[:, k + 1]),
        answered[:, k],
    )
    code = straight_through(encoding)
    latent, reward, goes_on = networks.settle(after, code)
    latents.append(latent)
    moves.append((after, encoding, code, reward, goes_on))
  afters, encodings, codes, rewards, continues = (
      jnp.stack(x, axis=1) for x in zip(*moves)
  )
  odds, value_logits = jax.tree.map(
      lambda x: x.reshape(*afters.shape[:2], -1),
      networks.foresee(afters.reshape(-1, afters.shape[-1])),
  )
  codes = jax.lax.stop_gradient(codes)
  used = jnp.sum(codes * answered[..., None], axis=(0, 1))
  return Imagined(
      jnp.stack(latents, axis=1),
      rewards,
      continues,
      terms={
          "after_value": (
              config.value_weight
              * optax.softmax_cross_entropy(
                  value_logits, support.to_probs(targets.value[:, :-1])
              ),
              heeded,
          ),
          "odds": (
              config.chance_weight * optax.softmax_cross_entropy(odds, codes),
              answered,
          ),
          "commitment": (
              config.commitment_weight
              * jnp.sum((codes - encodings) ** 2, axis=-1),
              answered,
          ),
      },
      metrics={"codes": _perplexity(used)},
  )


def _perplexity(counts: Array) -> Array:
  """Of what was counted `[M]`: how many codes there seem to be, `[]`."""
  share = counts / jnp.maximum(jnp.sum(counts), 1.0)
  return jnp.exp(-jnp.sum(jax.scipy.special.xlogy(share, share)))


def _where(condition: Array, x: Array) -> Array:
  """`x` `[B, ...]` where the condition `[B]` holds, and 0 elsewhere."""
  return jnp.where(condition.reshape(-1, *(1 for _ in x.shape[1:])) > 0, x, 0)


@dataclasses.dataclass(frozen=True)
class ChanceLearner(BoardLearner):
  """A `BoardLearner` of a world with chance."""

  imagine = staticmethod(imagine)
