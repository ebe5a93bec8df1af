"""TRPO: the policy's natural gradient, as far as a limit of KL allows.

Schulman et al. 2015, "Trust region policy optimization",
https://arxiv.org/abs/1502.05477: section 5 and appendix C. The advantages are
generalised and the value is categorical, as PPO's; the value has layers of its
own (`model.board_networks.ActorCritic`), so that fitting it leaves the policy
where the trust region ends.
"""

from collections.abc import Callable
import dataclasses

import jax
from jax import flatten_util
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
import optax
import rlax

from mulearn.learn.ppo import PpoLearner
from mulearn.learn.rollout import Rollout
from mulearn.model.board_networks import Predictor
from mulearn.replay.buffer import Replay
from mulearn.types import Array, PyTree, TrainState

_NUM_PRODUCTS = 10  # With the Fisher matrix, of conjugate gradients.
_NUM_TRIES = 10  # Steps that the line search looks at, at most;
_SHRINK = 0.8  # each so much shorter than the last.

Product = Callable[[Array], Array]
Pull = Callable[[Array], tuple[Array]]


@dataclasses.dataclass(frozen=True)
class TrpoLearner(PpoLearner):
  """PPO's round and value, and one step of the policy that is measured."""

  def learn(
      self,
      state: TrainState,
      memory: PyTree,
      rng_key: Array,
      *,
      replay: Replay,
      num_updates: int,
  ) -> tuple[TrainState, PyTree, dict[str, Array]]:
    """A step of the policy, and `num_updates` of the value, in minibatches.

    Both read the advantages and returns of the networks that played; see
    `BoardLearner.learn`.
    """
    del replay  # The round is all there is.
    rollout = self.read(state.params, memory)
    params, measured = self.improve(state.params, rollout)
    state = dataclasses.replace(state, params=params)
    state, metrics = self.fit(state, rng_key, rollout, num_updates=num_updates)
    return state, memory, metrics | measured

  def rollout_loss(
      self, networks: Predictor, batch: Rollout
  ) -> tuple[Array, dict[str, Array]]:
    """The value's loss alone: the optimiser does not move the policy."""
    _, logits = networks.predict(networks.represent(batch.observation))
    loss, error = self.value_loss(logits, batch)
    return loss, {"loss": loss, "loss/value": loss, "value_error": error}

  def improve(
      self, networks: Predictor, batch: Rollout
  ) -> tuple[Predictor, dict[str, Array]]:
    """The step of the policy on moves `[N]`.

    It raises the surrogate

      L(theta) = mean_t A_t pi_theta(a_t | s_t) / pi(a_t | s_t)

    Args:
      networks: that played the moves.
      batch: the moves of a round; shards hold parts of one.

    Returns:
      Networks with another policy, or the same if no step was found; and
      `kl` from the policy before, by how much the `surrogate` rose, and how many
      lengths were tried, `line_search_steps`.
    """
    params, unravel = flatten_util.ravel_pytree(networks)
    # Their scale does not matter, for the step has a length of its own.
    advantage = batch.advantage - self._mean(jnp.mean(batch.advantage))

    def log_policy(params: Array) -> Array:
      networks = unravel(params)
      logits, _ = networks.predict(networks.represent(batch.observation))
      return networks.log_policy(logits, batch.invalid, None)

    def surrogate(log_policy: Array) -> Array:
      log_prob = rlax.batched_index(log_policy, batch.action)
      ratio = jnp.exp(log_prob - batch.log_prob)
      return jnp.mean(ratio * advantage * batch.weight)

    before, pull = jax.vjp(log_policy, params)
    start, slope = jax.value_and_grad(surrogate)(before)

    def judge(params: Array) -> tuple[Array, Array]:
      after = log_policy(params)
      kl = optax.losses.kl_divergence_with_log_targets(after, before)
      return self._mean((surrogate(after) - start, jnp.mean(kl)))

    limit = self.config.kl_limit
    fisher = fisher_product(before, pull)
    step = natural_step(
        lambda v: self._mean(fisher(v)) + self.config.fisher_damping * v,
        self._mean(pull(slope)[0]),
        limit=limit,
    )
    params, metrics = search_line(params, step, judge, limit=limit)
    return unravel(params), metrics

  def _mean(self, values: PyTree) -> PyTree:
    """Over the shards, which all take the same step."""
    return values if self.axis is None else jax.lax.pmean(values, self.axis)


def fisher_product(log_policy: Array, pull: Pull) -> Product:
  """Products with the Fisher matrix of a policy, which is never written out.

  With J_t the Jacobian of `log pi(. | s_t)`, and as the second derivative of
  the mean KL from pi,

    F v = mean_t J_t' diag(pi(. | s_t)) J_t v

  Args:
    log_policy: log-probabilities `[N, A]`.
    pull: u `[N, A]` -> J' u `[P]`, as `jax.vjp` gives it.

  Returns:
    v `[P]` -> F v `[P]`.
  """
  # J v as the transpose of J' u: the layers of boards know no forward mode.
  push = jax.linear_transpose(lambda u: pull(u)[0], log_policy)
  weights = jnp.exp(log_policy) / len(log_policy)
  return lambda v: pull(weights * push(v)[0])[0]


def natural_step(fisher: Product, gradient: Array, *, limit: float) -> Array:
  """The step up a gradient that is as long as a quadratic KL allows.

    x = F^-1 g by conjugate gradients;  x sqrt(2 limit / x' F x)

  What they leave of g is orthogonal to x, so that `x' F x = x' g`.

  Args:
    fisher: v `[P]` -> F v `[P]`, positive definite on what g spans.
    gradient: g, `[P]`.
    limit: of the KL, in nats.

  Returns:
    The step `[P]`; not finite where there is no gradient.
  """
  direction, _ = cg(fisher, gradient, maxiter=_NUM_PRODUCTS)
  curvature = jnp.vdot(direction, gradient)
  return direction * jnp.sqrt(2.0 * limit / curvature)


def search_line(
    params: Array,
    step: Array,
    judge: Callable[[Array], tuple[Array, Array]],
    *,
    limit: float,
) -> tuple[Array, dict[str, Array]]:
  """The longest of ever shorter steps that gains and keeps to the limit.

  Args:
    params: where it begins, `[P]`.
    step: the longest, `[P]`.
    judge: parameters `[P]` -> the gain and the KL there, scalars.
    limit: of the KL, in nats.

  Returns:
    The parameters `[P]` after the step, or before if none would do; and
    `surrogate`, what it gains, its `kl`, and `line_search_steps`.
  """

  def is_good(gain: Array, kl: Array) -> Array:
    return (gain > 0.0) & (kl <= limit)  # False of what is no number.

  def go_on(carry: tuple[Array, Array, Array]) -> Array:
    tries, gain, kl = carry
    return ~is_good(gain, kl) & (tries < _NUM_TRIES)

  def at(tries: Array) -> Array:
    return params + _SHRINK**tries * step

  def shorten(
      carry: tuple[Array, Array, Array],
  ) -> tuple[Array, Array, Array]:
    tries = carry[0]
    return tries + 1, *judge(at(tries))

  zero = jnp.zeros(())
  tries, gain, kl = jax.lax.while_loop(
      go_on, shorten, (jnp.zeros((), jnp.int32), zero, zero)
  )
  found = is_good(gain, kl)
  metrics = {
      "surrogate": jnp.where(found, gain, 0.0),
      "kl": jnp.where(found, kl, 0.0),
      "line_search_steps": tries.astype(jnp.float32),
  }
  return jnp.where(found, at(tries - 1), params), metrics
