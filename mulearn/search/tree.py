"""One search tree as people read it: commands, priors, visits and values.

An mctx tree is a struct of `[B, N, K]` arrays. `tree_view` takes one element of
the batch out of it, as nested plain records that print, save and draw.
"""

from collections.abc import Callable, Iterator
import dataclasses
from typing import Any

import mctx
import numpy as np


@dataclasses.dataclass(frozen=True)
class TreeView:
  """A node, with the edge that leads to it.

  Attributes:
    label: the action of the edge in words; empty at the root.
    node: index of the node in the mctx tree, -1 where it was never visited.
    slot: the slot of its parent that leads here, -1 at the root.
    prior: probability of that slot under its parent's prior (1 at the root).
    visits: simulations that took the edge (all of them at the root).
    value: what the parent expects of the edge, `reward + discount * value of
      the node`, as search left it; at the root the value of the root; None
      where the edge was never visited.
    reward: predicted reward of the edge.
    discount: predicted discount of the edge: 0 is a predicted end of the game.
    depth: moves from the root.
    chosen: whether the node lies on the line that search would play.
    children: the nodes below, the most visited first.
  """

  label: str
  node: int
  slot: int
  prior: float
  visits: int
  value: float | None
  reward: float
  discount: float
  depth: int
  chosen: bool
  children: tuple["TreeView", ...] = ()

  def to_dict(self) -> dict[str, Any]:
    """Returns the same as dictionaries and lists, ready for JSON."""
    fields = dataclasses.asdict(dataclasses.replace(self, children=()))
    return fields | {"children": [child.to_dict() for child in self.children]}

  def walk(self) -> Iterator["TreeView"]:
    """Yields this node and all below it, parents first."""
    yield self
    for child in self.children:
      yield from child.walk()


def tree_view(
    tree: mctx.Tree,
    batch_index: int = 0,
    label: Callable[[int, int], str] = lambda node, slot: f"slot {slot}",
    chosen_slot: int | None = None,
) -> TreeView:
  """Views one tree of a batch.

  The root keeps every slot that was valid there, visited or not, since its
  prior is worth seeing; deeper nodes keep the slots that were visited.

  Args:
    tree: the result of an mctx search over a batch `B`.
    batch_index: which tree of the batch.
    label: gives the words for a slot of a node, from `(node, slot)`.
    chosen_slot: the root slot that was played. By default the most visited.
      The chosen line goes on with the most visited slot of each node.

  Returns:
    The root.

  Raises:
    ValueError: if `batch_index` or `chosen_slot` is not in the tree.
  """
  batch_size = tree.node_visits.shape[0]
  if not 0 <= batch_index < batch_size:
    raise ValueError(
        f"Got batch_index {batch_index}, expected 0 to {batch_size - 1}: this "
        "search ran on that many roots."
    )
  reader = _Reader(tree, batch_index, label)
  root = mctx.Tree.ROOT_INDEX
  if chosen_slot is None:
    chosen_slot = reader.best_slot(root)
  elif chosen_slot not in reader.slots(root):
    raise ValueError(
        f"Got chosen_slot {chosen_slot}, expected one of the valid root slots "
        f"{reader.slots(root)}; take it from the plan of the same search."
    )
  return TreeView(
      label="",
      node=root,
      slot=-1,
      prior=1.0,
      visits=int(reader.visits[root].sum()),
      value=float(reader.node_values[root]),
      reward=0.0,
      discount=1.0,
      depth=0,
      chosen=True,
      children=reader.children(root, 1, chosen_slot),
  )


class _Reader:
  """Reads one tree of the batch, with all arrays on the host.

  Attributes:
    node_values: value of each node after search, `[N]`.
    visits: visits of each edge, `[N, K]`.
  """

  def __init__(
      self, tree: mctx.Tree, batch_index: int, label: Callable[[int, int], str]
  ):
    def host(array):
      return np.asarray(array[batch_index])

    self.node_values = host(tree.node_values)
    self.visits = host(tree.children_visits)
    self._label = label
    self._root_invalid = host(tree.root_invalid_actions).astype(bool)
    self._index = host(tree.children_index)
    self._prior_logits = host(tree.children_prior_logits)
    self._rewards = host(tree.children_rewards)
    self._discounts = host(tree.children_discounts)
    values = host(tree.children_values)
    self._qvalues = self._rewards + self._discounts * values

  def slots(self, node: int) -> list[int]:
    """Slots of a node that are shown, the most visited first."""
    visits, qvalues = self.visits[node], self._qvalues[node]
    logits = self._prior_logits[node]
    shown = visits > 0
    if node == mctx.Tree.ROOT_INDEX:
      shown |= ~self._root_invalid
    order = np.lexsort((-logits, -qvalues, -visits))
    return [int(slot) for slot in order if shown[slot]]

  def best_slot(self, node: int) -> int | None:
    """The slot that a search with only this node's statistics would play."""
    slots = self.slots(node)
    if not slots or not self.visits[node, slots[0]]:
      return None
    return slots[0]

  def children(
      self, node: int, depth: int, chosen_slot: int | None
  ) -> tuple[TreeView, ...]:
    """Views the nodes below `node`, which lie at `depth`."""
    prior = _softmax(self._prior_logits[node])
    return tuple(
        self._child(node, slot, float(prior[slot]), depth, slot == chosen_slot)
        for slot in self.slots(node)
    )

  def _child(
      self, node: int, slot: int, prior: float, depth: int, chosen: bool
  ) -> TreeView:
    index = int(self._index[node, slot])
    visits = int(self.visits[node, slot])
    below: tuple[TreeView, ...] = ()
    if index != mctx.Tree.UNVISITED:
      below = self.children(
          index, depth + 1, self.best_slot(index) if chosen else None
      )
    return TreeView(
        label=self._label(node, slot),
        node=index,
        slot=slot,
        prior=prior,
        visits=visits,
        value=float(self._qvalues[node, slot]) if visits else None,
        reward=float(self._rewards[node, slot]),
        discount=float(self._discounts[node, slot]),
        depth=depth,
        chosen=chosen,
        children=below,
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
  exponentials = np.exp(logits.astype(np.float64) - logits.max())
  return exponentials / exponentials.sum()
