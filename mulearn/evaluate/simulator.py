"""Search through the true game, with the learned policy, value and trust.

This is the ceiling for the quality of the learned model: only `step` differs.
The true game lives in other processes and cannot be called from inside a
compiled search. So search runs over a table of the positions explored so far;
where it wants to go beyond it stops there, the missing positions are explored
(in one batch, by games and language model), and the same search, with the same
key, is run again until nothing is missing. The result is exactly that of a
search which calls the game at every step.
"""

from collections.abc import Sequence
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.act.agent import Agent
from mulearn.config import SearchConfig
from mulearn.env.base import History, TextStep
from mulearn.env.pool import TextPool
from mulearn.evaluate.play import Player
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Array, Node

_UNKNOWN = -1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TableModel:
  """A `model.base.Model` whose states are rows of a table of M positions.

  Attributes:
    prior_logits: fused policy of each position, `[M, K]`.
    invalid: `[M, K]`.
    value: `[M]`.
    reward: of the move that led there, `[M]`.
    discount: of that move; 0 where the game ended, `[M]`.
    children: row that each slot leads to, or -1, `[M, K]`.
  """

  prior_logits: Array
  invalid: Array
  value: Array
  reward: Array
  discount: Array
  children: Array

  def at(self, row: Array) -> Node:
    """The nodes of known rows `[B]`; -1 gives a node worth nothing."""
    known = row != _UNKNOWN
    safe = jnp.maximum(row, 0)
    slots = jnp.arange(self.children.shape[1])
    return Node(
        state=row,
        actions=jnp.broadcast_to(slots, (row.shape[0], slots.size)),
        prior_logits=self.prior_logits[safe],
        invalid=self.invalid[safe],
        value=jnp.where(known, self.value[safe], 0.0),
        reward=jnp.where(known, self.reward[safe], 0.0),
        discount=jnp.where(known, self.discount[safe], 0.0),
    )

  def step(self, rng_key: Array, state: Array, action: Array) -> Node:
    """Follows a slot; see `model.base.Model`."""
    del rng_key  # The games are deterministic.
    child = self.children[jnp.maximum(state, 0), action]
    return self.at(jnp.where(state == _UNKNOWN, _UNKNOWN, child))


class Explorer:
  """The table as it grows, and the games that it is explored with."""

  def __init__(self, agent: Agent, pool: TextPool):
    """Begins with an empty table; games are branched in the pool's spares."""
    self._agent = agent
    self._pool = pool
    self._rows: dict[History, int] = {}
    self._steps: list[TextStep] = []
    self._histories: list[History] = []
    slots = agent.config.model.num_slots
    self._arrays = {
        "prior_logits": np.zeros((0, slots), np.float32),
        "invalid": np.zeros((0, slots), bool),
        "value": np.zeros(0, np.float32),
        "reward": np.zeros(0, np.float32),
        "discount": np.zeros(0, np.float32),
        "children": np.zeros((0, slots), np.int32),
    }

  def rows(self, histories: Sequence[History]) -> np.ndarray:
    """Rows of positions, explored where they are new, `[B]`."""
    new = [h for h in dict.fromkeys(histories) if h not in self._rows]
    if new:
      self._explore(new)
    return np.array([self._rows[h] for h in histories], np.int32)

  def connect(self, parents: Sequence[int], slots: Sequence[int]) -> None:
    """Explores what each slot of each parent row leads to."""
    links = dict.fromkeys(zip(parents, slots))
    histories = []
    for parent, slot in links:
      seed, fold, commands = self._histories[parent]
      command = self._steps[parent].observation.commands[slot]
      histories.append((seed, fold, (*commands, command)))
    for (parent, slot), row in zip(links, self.rows(histories)):
      self._arrays["children"][parent, slot] = row

  def table(self) -> TableModel:
    """The table on the device, padded to a power of two."""
    size = len(self._histories)
    capacity = max(4096, 1 << (size - 1).bit_length())
    return TableModel(
        **{
            name: jnp.asarray(
                np.pad(
                    array, [(0, capacity - size)] + [(0, 0)] * (array.ndim - 1)
                )
            )
            for name, array in self._arrays.items()
        }
    )

  def _explore(self, histories: Sequence[History]) -> None:
    steps = self._pool.branch(list(histories))
    batch = self._agent.config.env.num_eval_lanes
    nodes = []
    for start in range(0, len(steps), batch):
      chunk = steps[start : start + batch]
      numbers, prior = self._agent.observe(
          [s.observation for s in chunk], batch_size=batch
      )
      node, _ = self._agent.glance(numbers, prior)
      nodes.append(
          jax.tree.map(lambda x, n=len(chunk): np.asarray(x)[:n], node)
      )
    discount = self._agent.config.learn.discount
    over = np.array([s.terminated or s.truncated for s in steps])
    new = {
        "prior_logits": np.concatenate([n.prior_logits for n in nodes]),
        "invalid": np.concatenate([n.invalid for n in nodes]),
        "value": np.where(over, 0.0, np.concatenate([n.value for n in nodes])),
        "reward": np.array([s.reward for s in steps], np.float32),
        "discount": np.where(over, 0.0, discount),
        "children": np.full((len(steps), nodes[0].invalid.shape[1]), _UNKNOWN),
    }
    for name, array in self._arrays.items():
      self._arrays[name] = np.concatenate(
          [array, new[name].astype(array.dtype)]
      )
    start = len(self._histories)
    self._rows.update((h, start + i) for i, h in enumerate(histories))
    # A finished game has no moves: whatever follows stays where it is.
    for i in np.flatnonzero(over):
      self._arrays["children"][start + i] = start + i
    self._steps += steps
    self._histories += histories


def simulator_player(
    agent: Agent, pool: TextPool, *, batch_size: int
) -> Player:
  """Search through the true game; everything else as in `search_player`."""
  explorer = Explorer(agent, pool)
  config = agent.config.search

  def choose(rng_key, situations):
    rows = explorer.rows([s.history for s in situations])
    padded = np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows))])
    while True:
      slot, parents, slots = _search(
          explorer.table(), rng_key, padded, config=config
      )
      missing = np.asarray(parents) != _UNKNOWN
      if not missing.any():
        break
      explorer.connect(
          np.asarray(parents)[missing].tolist(),
          np.asarray(slots)[missing].tolist(),
      )
    picks = np.asarray(slot)
    return [s.observation.commands[i] for s, i in zip(situations, picks)]

  return choose


@functools.partial(jax.jit, static_argnames="config")
def _search(
    table: TableModel, rng_key: Array, rows: Array, *, config: SearchConfig
) -> tuple[Array, Array, Array]:
  """Searches the table `[B]`; also the first unknown move of each tree.

  Returns:
    The chosen slots `[B]`; rows and slots of the first move that led out of the
    table, -1 where there was none, `[B]` each.
  """
  root = table.at(rows)._replace(
      reward=jnp.zeros(rows.shape), discount=jnp.zeros(rows.shape)
  )
  plan = plan_lib.plan(
      table,
      rng_key,
      root,
      search=plan_lib.POLICIES[config.policy](config, deterministic=True),
      num_simulations=config.num_eval_simulations,
      mesh=make_mesh(jax.local_devices()[:1]),
  )
  tree = plan.tree
  states, _ = tree.embeddings  # [B, N]
  visited = tree.node_visits > 0
  unknown = visited & (states == _UNKNOWN)
  first = jnp.argmax(unknown, axis=1)
  batch = jnp.arange(rows.shape[0])
  found = unknown[batch, first]
  parents = states[batch, tree.parents[batch, first]]
  slots = tree.action_from_parent[batch, first]
  return (
      plan.slot,
      jnp.where(found, parents, _UNKNOWN),
      jnp.where(found, slots, _UNKNOWN),
  )
