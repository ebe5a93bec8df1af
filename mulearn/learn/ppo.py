"""PPO: several epochs over what the newest policy did, with clipped odds.

Schulman et al. 2017, "Proximal policy optimization algorithms",
https://arxiv.org/abs/1707.06347. The value is categorical, as everywhere here.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax
import rlax

from mulearn.learn.board_step import BoardLearner
from mulearn.learn.rollout import Rollout, make_rollout, read_round
from mulearn.model.base import mask_logits
from mulearn.model.board_networks import Predictor
from mulearn.replay.buffer import Replay
from mulearn.types import Array, PyTree, TrainState


@dataclasses.dataclass(frozen=True)
class PpoLearner(BoardLearner):
  """A `BoardLearner` that learns from the last round alone."""

  def policy_loss(self, logits: Array, batch: Rollout) -> Array:
    """The clipped surrogate of moves `[N]`, a scalar."""
    # Of whole batches in the paper's experiments, of minibatches in its code.
    advantage = batch.advantage - jnp.mean(batch.advantage)
    advantage /= jnp.std(batch.advantage) + 1e-8
    log_prob = rlax.batched_index(jax.nn.log_softmax(logits), batch.action)
    return rlax.clipped_surrogate_pg_loss(
        jnp.exp(log_prob - batch.log_prob),
        advantage * batch.weight,
        self.config.clip_ratio,
    )

  def value_loss(
      self, value_logits: Array, batch: Rollout
  ) -> tuple[Array, Array]:
    """The value's loss at moves `[N]` from logits `[N, S]`, and its error."""
    loss = optax.softmax_cross_entropy(
        value_logits, self.support.to_probs(batch.value)
    )
    error = jnp.abs(self.support.to_scalar(value_logits) - batch.value)
    weighted = jnp.mean(loss * batch.weight)
    return self.config.value_weight * weighted, jnp.mean(error)

  def rollout_loss(
      self, networks: Predictor, batch: Rollout
  ) -> tuple[Array, dict[str, Array]]:
    """Policy, value and entropy of moves `[N]`: the loss and its terms."""
    latent = networks.represent(batch.observation)
    logits, value_logits = networks.predict(latent)
    logits = mask_logits(logits, batch.invalid)
    value, error = self.value_loss(value_logits, batch)
    terms = {
        "policy": self.policy_loss(logits, batch),
        "value": value,
        "entropy": self.config.entropy_weight
        * rlax.entropy_loss(logits, jnp.ones(len(logits))),
    }
    loss = sum(terms.values())
    metrics = {"loss": loss, **{f"loss/{k}": v for k, v in terms.items()}}
    return loss, metrics | {"value_error": error}

  def learn(
      self,
      state: TrainState,
      memory: PyTree,
      rng_key: Array,
      *,
      replay: Replay,
      num_updates: int,
  ) -> tuple[TrainState, PyTree, dict[str, Array]]:
    """Goes over the last round in minibatches; see `BoardLearner.learn`.

    A round of N moves in `num_updates` minibatches: with `num_minibatches` to
    an epoch, the moves are shuffled anew for each.
    """
    del replay  # The round is all there is.
    rollout = self.read(state.params, memory)
    state, metrics = self.fit(state, rng_key, rollout, num_updates=num_updates)
    return state, memory, metrics

  def read(self, networks: Predictor, memory: PyTree) -> Rollout:
    """The last round, which these networks have played."""
    return make_rollout(
        networks,
        read_round(memory),
        support=self.support,
        discount=self.config.discount,
        trace_decay=self.config.trace_decay,
    )

  def fit(
      self,
      state: TrainState,
      rng_key: Array,
      rollout: Rollout,
      *,
      num_updates: int,
  ) -> tuple[TrainState, dict[str, Array]]:
    """So many steps of the optimiser on a round's minibatches."""
    rows = self._minibatches(rng_key, len(rollout.action), num_updates)

    def update(state, rows):
      batch = jax.tree.map(lambda x: x[rows], rollout)
      return self.descend(state, lambda p: self.rollout_loss(p, batch))

    state, metrics = jax.lax.scan(update, state, rows)
    return state, jax.tree.map(jnp.mean, metrics)

  def _minibatches(
      self, rng_key: Array, num_moves: int, num_updates: int
  ) -> Array:
    """Which moves each update reads, `[num_updates, num_moves / M]`."""
    per_epoch = self.config.num_minibatches  # M
    size, num_epochs = num_moves // per_epoch, -(-num_updates // per_epoch)
    orders = jax.vmap(lambda key: jax.random.permutation(key, num_moves))(
        jax.random.split(rng_key, num_epochs)
    )
    rows = orders[:, : size * per_epoch].reshape(-1, size)
    return rows[:num_updates]
