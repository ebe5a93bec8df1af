"""Reanalyse: stored moves are searched again with the newest networks.

The moves of a young run were searched with networks that knew nothing, and
their policies stay in the replay as targets. Here a few of them, drawn evenly,
get the policy and the value of a new search; no game is played for it. With `r`
stored moves searched for each one played, a move is searched again `r` times
before it is forgotten, and `r / (1 + r)` of all targets are reanalysed.
Schrittwieser et al. 2021, "Online and offline reinforcement learning by
planning with a learned model", https://arxiv.org/abs/2104.06294.
"""

from collections.abc import Callable
import functools

import jax

from mulearn.act.agent import Agent
from mulearn.replay import buffer
from mulearn.types import Array, PyTree, Trajectory


def refresh(
    memory: PyTree,
    rng_key: Array,
    *,
    search: Callable[[Array, Trajectory], dict[str, Array]],
    num_moves: int,
) -> PyTree:
  """Searches stored moves again and puts the results in their place.

  Args:
    memory: of a `replay.buffer.Replay` that holds at least one move; donated.
    rng_key: split into one key for the draw and one for search.
    search: (rng_key, moves `[M, ...]`) -> the fields of `Trajectory` that it
      found anew, by name, `[M, ...]`.
    num_moves: M, moves drawn with replacement.

  Returns:
    The memory with what search says of those moves replaced.
  """
  draw_key, search_key = jax.random.split(rng_key)
  places, moves = _draw(memory, draw_key, num_moves)
  return _write(memory, places, search(search_key, moves))


def reanalyse(
    agent: Agent, memory: PyTree, rng_key: Array, *, num_moves: int
) -> PyTree:
  """`refresh` for text worlds: by the agent, with exploration noise."""

  def search(rng_key: Array, moves: Trajectory) -> dict[str, Array]:
    plan = agent.search(
        rng_key,
        moves.observation,
        moves.prior_logits,
        num_simulations=agent.config.search.num_simulations,
        deterministic=False,
    )
    return {
        "policy": plan.policy,
        "improvement": plan.improvement,
        "value": plan.value,
    }

  return refresh(memory, rng_key, search=search, num_moves=num_moves)


@functools.partial(jax.jit, static_argnames="num_moves")
def _draw(memory, rng_key, num_moves):
  places = buffer.draw_places(memory, rng_key, num_moves)
  return places, buffer.read(memory, places)


@functools.partial(jax.jit, donate_argnames="memory")
def _write(memory, places, found):
  return buffer.write(memory, places, **found)
