"""Reanalyse: stored moves are searched again with the newest networks.

The moves of a young run were searched with networks that knew nothing, and
their policies stay in the replay as targets. Here a few of them, drawn evenly,
get the policy and the value of a new search; no game is played for it. With `r`
stored moves searched for each one played, a move is searched again `r` times on
average before it is forgotten. That it has not been yet has the chance
`exp(-r a)` when it has lived the share `a` of its time, so of the targets that
are learned from `1 - (1 - exp(-r)) / r` are reanalysed: 99.5 % for `r` of 199.
Schrittwieser et al. 2021, "Online and offline reinforcement learning by
planning with a learned model", https://arxiv.org/abs/2104.06294.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from mulearn.act.agent import Agent, TextSettings, search_texts
from mulearn.model.networks import Networks
from mulearn.parallel.mesh import shard_key
from mulearn.replay import buffer
from mulearn.search import plan as plan_lib
from mulearn.types import Array, PyTree, Trajectory

_AT_ONCE = 16_384  # Moves that are searched in one batch: trees take memory.


def refresh(
    memory: PyTree,
    rng_key: Array,
    *,
    search: Callable[[Array, Trajectory], dict[str, Array]],
    num_moves: int,
) -> PyTree:
  """Searches stored moves again and puts the results in their place.

  Many are searched one batch after another, all of one size.

  Args:
    memory: of a `replay.buffer.Replay` that holds at least one move.
    rng_key: split into one key for the draw and one for search.
    search: (rng_key, moves `[M, ...]`) -> the fields of `Trajectory` that it
      found anew, by name, `[M, ...]`.
    num_moves: M, moves drawn with replacement.

  Returns:
    The memory with what search says of those moves replaced.
  """
  draw_key, search_key = jax.random.split(rng_key)
  places = buffer.draw_places(memory, draw_key, num_moves)
  num_parts = -(-num_moves // _AT_ONCE)
  missing = -num_moves % num_parts
  keys = search_key[None]
  if num_parts > 1:
    keys = jax.random.split(search_key, num_parts)
  parts = jax.tree.map(
      lambda x: jnp.pad(x, (0, missing)).reshape(num_parts, -1), places
  )
  found = jax.lax.map(
      lambda part: search(part[0], buffer.read(memory, part[1])), (keys, parts)
  )
  found = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:num_moves], found)
  return buffer.write(memory, places, **found)


def reanalyse(
    agent: Agent, memory: PyTree, rng_key: Array, *, num_moves: int
) -> PyTree:
  """`refresh` for text worlds: by the agent, with exploration noise.

  On several devices each searches moves of its own lanes, as many as the others.
  """
  return _search_again(
      agent.networks,
      *agent.phrases.arrays(),
      memory,
      rng_key,
      settings=TextSettings.from_config(agent.config),
      num_simulations=agent.config.search.num_simulations,
      num_moves=num_moves,
      mesh=agent.mesh,
  )


@functools.partial(
    jax.jit,
    static_argnames=("settings", "num_simulations", "num_moves", "mesh"),
    donate_argnames="memory",
)
def _search_again(
    networks: Networks,
    table: Array,
    vocabulary: Array,
    memory: PyTree,
    rng_key: Array,
    *,
    settings: TextSettings,
    num_simulations: int,
    num_moves: int,
    mesh: Mesh,
) -> PyTree:
  """The compiled `reanalyse`; the memory is donated."""

  def refresh_shard(networks, table, vocabulary, memory, rng_key):
    def search(rng_key: Array, moves: Trajectory) -> dict[str, Array]:
      plan = search_texts(
          networks, table, vocabulary, rng_key,
          moves.observation, moves.prior_logits,
          settings=settings,
          deterministic=False,
          plan=functools.partial(
              plan_lib.plan_shard, num_simulations=num_simulations
          ),
      )  # fmt: skip
      return {
          "policy": plan.policy,
          "improvement": plan.improvement,
          "value": plan.value,
      }

    own_key = shard_key(rng_key, mesh)
    own_moves = num_moves // mesh.shape["data"]
    return refresh(memory, own_key, search=search, num_moves=own_moves)

  everywhere = PartitionSpec()
  rings = buffer.layout(memory) if mesh.size > 1 else everywhere
  return jax.shard_map(
      refresh_shard,
      mesh=mesh,
      in_specs=(everywhere, everywhere, everywhere, rings, everywhere),
      out_specs=rings,
      check_vma=False,
  )(networks, table, vocabulary, memory, rng_key)
