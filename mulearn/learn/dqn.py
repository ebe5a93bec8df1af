"""DQN: double Q-learning over n steps, from the replay, with a slow target.

Mnih et al. 2015, "Human-level control through deep reinforcement learning",
https://doi.org/10.1038/nature14236; van Hasselt et al. 2016, "Deep reinforcement
learning with double Q-learning", https://arxiv.org/abs/1509.06461. The target
follows by a small share an update (`learn.target_decay`), and acts.
"""

from collections.abc import Callable
import dataclasses

import jax
import jax.numpy as jnp
import optax
import rlax

from mulearn.learn.board_step import BoardLearner
from mulearn.learn.targets import n_step_return
from mulearn.model.board_networks import Predictor
from mulearn.types import Array, PyTree, TrainState, Trajectory


@dataclasses.dataclass(frozen=True)
class DqnLearner(BoardLearner):
  """A `BoardLearner` whose policy head learns Q-values."""

  def objective(
      self, state: TrainState, trajectory: Trajectory, weights: Array
  ) -> Callable[[PyTree], tuple[Array, dict[str, Array]]]:
    """The loss on sequences `[B, n + 1]`; see `BoardLearner.objective`.

    With `V_t = Q'(s_t, argmax_a Q(s_t, a))`, Q' the target's, the first move is
    taught the n-step return `R_t + g (... + g V_{t+n})`. Of a move after which
    the episode was cut nothing is known, and nothing is taught.
    """
    q_online = self._q_values(state.params, trajectory)
    q_target = self._q_values(state.searcher, trajectory)
    best = jnp.argmax(q_online, axis=-1)
    cut = trajectory.truncated & (trajectory.discount != 0.0)
    target = n_step_return(
        trajectory.reward,
        self.config.discount * trajectory.discount,
        rlax.batched_index(q_target, best),
        cut,
        num_steps=self.config.td_steps,
    )[:, 0]
    known = weights * (1.0 - cut[:, 0])
    first = jax.tree.map(lambda x: x[:, :1], trajectory)

    def loss(params: PyTree) -> tuple[Array, dict[str, Array]]:
      q_values = self._q_values(params, first)[:, 0]
      error = rlax.batched_index(q_values, trajectory.action[:, 0]) - target
      value = jnp.mean(known * optax.huber_loss(error))
      metrics = {"loss": value, "loss/value": value, "q": jnp.mean(target)}
      return value, metrics | {"value_error": jnp.abs(error)}

    return loss

  def _q_values(self, networks: Predictor, trajectory: Trajectory) -> Array:
    """Q of sequences `[B, T]`, `[B, T, A]`."""
    seen = trajectory.observation
    batch = seen.shape[:2]
    flat = seen.reshape(-1, *seen.shape[2:])
    logits, _ = networks.predict(networks.represent(flat))
    q_values = logits.reshape(*batch, -1)
    lowest = jnp.finfo(q_values.dtype).min
    return jnp.where(trajectory.invalid, lowest, q_values)
