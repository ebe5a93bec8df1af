"""A new model behind the seam of search: any world that makes nodes.

A corridor of nine cells with a door at its right end: opening it pays 1 and
ends the episode. The model is the world itself, so nothing is learned; a learned one
would hold its networks as a field and call them in `root` and `step`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mulearn.config import SearchConfig
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Array, Node

LEFT, RIGHT, OPEN = range(3)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Corridor:
  """A `mulearn.model.base.Model`; its state is the cell, K = 3.

  Attributes:
    length: cells; the last has the door.
    discount: of one move.
  """

  length: int = dataclasses.field(metadata={"static": True})
  discount: float = dataclasses.field(metadata={"static": True})

  def root(self, rng_key: Array, observation: Array, prior_logits: Array):
    """The node of cells `[B]`, with the language prior `[B, K]`."""
    del rng_key  # Nothing is sampled.
    zeros = jnp.zeros(observation.shape)
    return self._node(observation, prior_logits, zeros, zeros + 1.0)

  def step(self, rng_key: Array, state: Array, action: Array) -> Node:
    """The node reached from cells `[B]` by actions `[B]`."""
    del rng_key
    walked = jnp.select([action == LEFT, action == RIGHT], [-1, 1], 0)
    opened = (action == OPEN) & (state == self.length - 1)
    return self._node(
        jnp.clip(state + walked, 0, self.length - 1),
        jnp.zeros((*state.shape, 3)),
        reward=opened.astype(jnp.float32),
        discount=jnp.where(opened, 0.0, self.discount),
    )

  def _node(self, state, prior_logits, reward, discount) -> Node:
    return Node(
        state=state,
        actions=None,  # A slot's number is its action.
        prior_logits=prior_logits,
        invalid=jnp.zeros((*state.shape, 3), bool),
        value=jnp.zeros(state.shape),
        reward=reward,
        discount=discount,
    )


def main() -> None:
  """Searches from three cells, and prints what it finds."""
  model = Corridor(length=9, discount=0.9)
  cells = jnp.array([6, 7, 8])
  root = model.root(jax.random.key(0), cells, jnp.zeros((3, 3)))
  plan = plan_lib.plan(
      model,
      jax.random.key(1),
      root,
      search=plan_lib.gumbel(SearchConfig(value_scale=1.0), deterministic=True),
      num_simulations=64,
      mesh=make_mesh(),
  )
  names = ("left", "right", "open")
  for cell, slot in zip(cells, plan.slot):
    print(f"cell {cell}: {names[slot]}")


if __name__ == "__main__":
  main()
