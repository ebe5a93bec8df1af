"""The loops that ours are timed beside: bare mctx, and pgx's AlphaZero.

pgx's is that of `examples/alphazero/train.py` in github.com/sotetsuk/pgx
(Koyamada et al. 2023, https://arxiv.org/abs/2303.17503), written again with the
same network as ours: a fixed number of plies from fresh games, environments
that reset themselves, targets summed backwards, samples shuffled on the host,
and Adam over each of them once. Games unfinished at the last ply have no value
target there.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import optax
from pgx.experimental import auto_reset

from mulearn.config import SearchConfig
from mulearn.model.board_networks import Predictor
from mulearn.model.support import Support
from mulearn.types import Array, PyTree


class Peer(NamedTuple):
  """What both loops depend on; it hashes, to be a static argument.

  Attributes:
    game: of pgx.
    support: of the value's bins.
    search: its numbers.
    num_simulations: a move.
  """

  game: object
  support: Support
  search: SearchConfig
  num_simulations: int

  def judge(self, networks: Predictor, observation: Array):
    """Policy logits `[B, A]` and values `[B]`."""
    planes = observation.astype(jnp.float32)
    policy, value = networks.predict(networks.represent(planes))
    return policy, self.support.to_scalar(value)

  def recurrent(self, networks, rng_key, action, state):
    """The `recurrent_fn` of mctx: the rules move, the network judges."""
    del rng_key
    mover = state.current_player
    state = jax.vmap(self.game.step)(state, action)
    logits, value = self.judge(networks, state.observation)
    logits -= jnp.max(logits, axis=-1, keepdims=True)
    lowest = jnp.finfo(logits.dtype).min
    logits = jnp.where(state.legal_action_mask, logits, lowest)
    output = mctx.RecurrentFnOutput(
        reward=_reward(state, mover),
        discount=jnp.where(state.terminated, 0.0, -1.0),
        prior_logits=logits,
        value=jnp.where(state.terminated, 0.0, value),
    )
    return output, state

  def plan(self, networks: Predictor, rng_key: Array, state: PyTree):
    """Bare mctx from states `[B]`."""
    logits, value = self.judge(networks, state.observation)
    return mctx.gumbel_muzero_policy(
        params=networks,
        rng_key=rng_key,
        root=mctx.RootFnOutput(
            prior_logits=logits, value=value, embedding=state
        ),
        recurrent_fn=self.recurrent,
        num_simulations=self.num_simulations,
        invalid_actions=~state.legal_action_mask,
        max_depth=self.search.max_depth,
        max_num_considered_actions=self.search.max_considered,
        qtransform=functools.partial(
            mctx.qtransform_completed_by_mix_value,
            value_scale=self.search.value_scale,
            rescale_values=self.search.rescale_values,
        ),
    )


def _reward(state, mover):
  return state.rewards[jnp.arange(mover.shape[0]), mover]


class Moves(NamedTuple):
  """What self-play stores, `[T, B]`."""

  observation: Array
  policy: Array
  reward: Array
  discount: Array
  terminated: Array


class Samples(NamedTuple):
  """What is learned from, `[M]`; `mask` is 0 where a game was not finished."""

  observation: Array
  policy: Array
  value: Array
  mask: Array


@functools.partial(jax.jit, static_argnames=("peer", "lanes", "plies"))
def self_play(
    networks: Predictor, rng_key: Array, *, peer: Peer, lanes: int, plies: int
) -> Samples:
  """Plays and sums up; returns samples `[plies, lanes]`."""
  init_key, play_key = jax.random.split(rng_key)
  advance = jax.vmap(auto_reset(peer.game.step, peer.game.init))

  def ply(state, rng_key):
    plan_key, reset_key = jax.random.split(rng_key)
    plan = peer.plan(networks, plan_key, state)
    keys = jax.random.split(reset_key, lanes)
    after = advance(state, plan.action, keys)
    return after, Moves(
        observation=state.observation,
        policy=plan.action_weights,
        reward=_reward(after, state.current_player),
        discount=jnp.where(after.terminated, 0.0, -1.0),
        terminated=after.terminated,
    )

  state = jax.vmap(peer.game.init)(jax.random.split(init_key, lanes))
  _, moves = jax.lax.scan(ply, state, jax.random.split(play_key, plies))

  def back(value, move):
    value = move.reward + move.discount * value
    return value, value

  _, value = jax.lax.scan(back, jnp.zeros(lanes), moves, reverse=True)
  ends = jnp.cumsum(moves.terminated[::-1], axis=0)[::-1]
  return Samples(moves.observation, moves.policy, value, mask=ends >= 1)


def learn(
    networks: Predictor,
    opt_state: PyTree,
    samples: Samples,
    rng_key: Array,
    *,
    peer: Peer,
    batch_size: int,
) -> tuple[Predictor, PyTree]:
  """Shuffles on the host, and steps once for each batch."""
  samples = jax.device_get(samples)
  samples = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), samples)
  order = np.asarray(jax.random.permutation(rng_key, samples.mask.size))
  samples = jax.tree.map(lambda x: x[order], samples)
  samples = jax.tree.map(
      lambda x: x.reshape(-1, batch_size, *x.shape[1:]), samples
  )
  for i in range(samples.mask.shape[0]):
    batch = Samples(*(x[i] for x in samples))
    networks, opt_state, loss = _step(networks, opt_state, batch, peer=peer)
    float(loss)  # As published: each loss is waited for.
  return networks, opt_state


OPTIMIZER = optax.adam(1e-3)


@functools.partial(jax.jit, static_argnames="peer")
def _step(networks, opt_state, samples: Samples, *, peer: Peer):
  def loss(networks):
    policy, value = peer.judge(networks, samples.observation)
    policy = optax.softmax_cross_entropy(policy, samples.policy)
    value = optax.l2_loss(value, samples.value) * samples.mask
    return jnp.mean(policy) + jnp.mean(value)

  loss, gradients = jax.value_and_grad(loss)(networks)
  updates, opt_state = OPTIMIZER.update(gradients, opt_state)
  return optax.apply_updates(networks, updates), opt_state, loss
