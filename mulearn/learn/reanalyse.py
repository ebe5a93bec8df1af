"""Reanalyse: stored moves are searched again with the newest networks.

The moves of a young run were searched with networks that knew nothing, and
their policies stay in the replay as targets. Here a few of them, drawn evenly,
get the policy and the value of a new search; no game is played for it.
Schrittwieser et al. 2021, "Online and offline reinforcement learning by
planning with a learned model", https://arxiv.org/abs/2104.06294.
"""

import functools

import jax

from mulearn.act.agent import Agent
from mulearn.replay import buffer
from mulearn.types import Array, PyTree


def reanalyse(
    agent: Agent, memory: PyTree, rng_key: Array, *, num_moves: int
) -> PyTree:
  """Searches stored moves again and puts the results in their place.

  Args:
    agent: searches with the newest parameters, with exploration noise.
    memory: of a `replay.buffer.Replay` that holds at least one move; donated.
    rng_key: split into one key for the draw and one for search.
    num_moves: M, moves drawn with replacement.

  Returns:
    The memory with what search says of those moves replaced.
  """
  draw_key, search_key = jax.random.split(rng_key)
  places, observation, prior_logits = _draw(memory, draw_key, num_moves)
  plan = agent.search(
      search_key,
      observation,
      prior_logits,
      num_simulations=agent.config.search.num_simulations,
      deterministic=False,
  )
  return _write(memory, places, plan.policy, plan.improvement, plan.value)


@functools.partial(jax.jit, static_argnames="num_moves")
def _draw(memory, rng_key, num_moves):
  places = buffer.draw_places(memory, rng_key, num_moves)
  moves = buffer.read(memory, places)
  return places, moves.observation, moves.prior_logits


@functools.partial(jax.jit, donate_argnames="memory")
def _write(memory, places, policy, improvement, value):
  return buffer.write(
      memory, places, policy=policy, improvement=improvement, value=value
  )
