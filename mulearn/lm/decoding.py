"""The compiled halves of generation: reading prompts, and adding tokens.

Prompts stand at the left of their rows; the generated tokens of all rows share
the slots behind the longest, so that a step writes one slice of the cache in
place. What a row may see is said by the positions in the cache.
"""

from collections.abc import Mapping
import functools
from typing import NamedTuple

import jax
from jax import Array
import jax.numpy as jnp

from mulearn.lm import sampling
from mulearn.lm.attention import Cache
from mulearn.lm.decoder import Decoder


class State(NamedTuple):
  """The loop's state.

  Attributes:
    cache: keys and values, S slots for each row.
    token: `[B]`, the last token chosen, which is not in the cache yet.
    position: `[B]`, its position.
    slot: `[]`, where its keys go.
    step: `[]`, tokens chosen so far.
    rng_keys: `[B]`, of each row; folded with the step.
    done: `[B]`, rows that need no more tokens.
    chosen: `[B, N]`, the tokens.
  """

  cache: Cache
  token: Array
  position: Array
  slot: Array
  step: Array
  rng_keys: Array
  done: Array
  chosen: Array


@functools.partial(jax.jit, static_argnames=("top_k", "num_slots"))
def prefill(
    decoder: Decoder,
    tokens: Array,
    lengths: Array,
    rng_keys: Array,
    done: Array,
    ends: Array,
    settings: Mapping[str, Array],
    top_k: int,
    num_slots: int,
) -> State:
  """Reads prompts and chooses the first token of each.

  Args:
    decoder: the decoder.
    tokens: `[B, L]`, int32, prompts at the left.
    lengths: `[B]`, int32, of the prompts.
    rng_keys: `[B]`, keys.
    done: `[B]`, rows that need no tokens.
    ends: `[V]`, tokens that make a row done.
    settings: see `sampling.settings`.
    top_k: see `sampling.settings`.
    num_slots: room for so many tokens.

  Returns:
    The state after one token, for `decode`.
  """
  batch, length = tokens.shape
  places = jnp.broadcast_to(jnp.arange(length), (batch, length))
  mask = jnp.broadcast_to(
      jnp.tril(jnp.ones((length, length), bool)), (batch, length, length)
  )
  hidden, seen = decoder(tokens, places, mask, all_rows=True)
  pad = ((0, 0), (0, 0), (0, num_slots), (0, 0))
  num_layers = decoder.config.num_layers
  cache = Cache(
      tuple(jnp.pad(seen.keys[i], pad) for i in range(num_layers)),
      tuple(jnp.pad(seen.values[i], pad) for i in range(num_layers)),
      jnp.pad(
          jnp.where(places < lengths[:, None], places, -1),
          ((0, 0), (0, num_slots)),
          constant_values=-1,
      ),
  )
  state = State(
      cache,
      tokens[:, 0],
      lengths - 1,
      jnp.int32(length - 1),
      jnp.int32(0),
      rng_keys,
      done,
      jnp.zeros((batch, num_slots), jnp.int32),
  )
  last = hidden[jnp.arange(batch), lengths - 1]
  return _choose(decoder, state, last, ends, settings, top_k)


@functools.partial(jax.jit, static_argnames="top_k", donate_argnames="state")
def decode(
    decoder: Decoder,
    state: State,
    limit: Array,
    ends: Array,
    settings: Mapping[str, Array],
    top_k: int,
) -> State:
  """Adds tokens until there are `limit` of them or every row is done.

  Args:
    decoder: the decoder.
    state: see `prefill`; it is taken over.
    limit: `[]`, int.
    ends: see `prefill`.
    settings: see `prefill`.
    top_k: see `prefill`.

  Returns:
    The state.
  """

  def more(state: State) -> Array:
    return (state.step < limit) & ~jnp.all(state.done)

  def step(state: State) -> State:
    token, position = state.token[:, None], state.position[:, None]
    itself = jnp.ones((token.shape[0], 1, 1), bool)
    hidden, new = decoder(token, position, itself, state.cache, all_rows=True)
    cache = state.cache
    # Where to write depends on all that was read, or else XLA could write
    # before it reads and would copy the whole cache to be safe.
    slot = state.slot + jnp.isnan(hidden[0, 0, 0])
    keys = tuple(_write(*pair, slot) for pair in zip(cache.keys, new.keys))
    values = tuple(
        _write(*pair, slot) for pair in zip(cache.values, new.values)
    )
    places = jax.lax.dynamic_update_slice_in_dim(
        cache.places, position, state.slot, axis=1
    )
    state = state._replace(cache=Cache(keys, values, places))
    return _choose(decoder, state, hidden[:, 0], ends, settings, top_k)

  return jax.lax.while_loop(more, step, state)


def _write(old: Array, new: Array, slot: Array) -> Array:
  """Writes `[kv, B, 1, head_width]` into a slot of `[kv, B, S, head_width]`."""
  dtype = old.dtype
  if dtype == jnp.bfloat16:
    # XLA on CPU would convert the whole cache to float32 and back.
    old, new = (jax.lax.bitcast_convert_type(x, jnp.uint16) for x in (old, new))
  old = jax.lax.dynamic_update_slice_in_dim(old, new, slot, axis=2)
  return jax.lax.bitcast_convert_type(old, dtype)


def _choose(
    decoder: Decoder,
    state: State,
    hidden: Array,
    ends: Array,
    settings: Mapping[str, Array],
    top_k: int,
) -> State:
  """Chooses the token after hidden states `[B, D]`."""
  keys = jax.vmap(jax.random.fold_in, (0, None))(state.rng_keys, state.step)
  logits = decoder.unembed(hidden)
  token = sampling.choose(logits, keys, settings, top_k)
  chosen = jax.lax.dynamic_update_slice_in_dim(
      state.chosen, token[:, None], state.step, axis=1
  )
  return state._replace(
      token=token,
      position=state.position + 1,
      slot=state.slot + 1,
      step=state.step + 1,
      done=state.done | jnp.asarray(ends)[token],
      chosen=chosen,
  )
