"""An episode with every search behind it, as the page reads it.

Observations are boards or texts; a search is a flat list of nodes, parents
first, whose numbers are rounded to three digits. Values are those of the player
to move at the root, whoever moves at the node.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import heapq
from typing import Any

from mulearn.evaluate import tree_layout
from mulearn.explore.boards import Board
from mulearn.search.tree import TreeView


@dataclasses.dataclass(frozen=True)
class BoardSight:
  """A board as it lies on the table.

  Attributes:
    stones: of each cell, as `Board.stones` gives them.
    last: the cell of the newest stone, -1 for none.
  """

  stones: tuple[int, ...]
  last: int = -1


@dataclasses.dataclass(frozen=True)
class TextSight:
  """What the player of a text game reads.

  Attributes:
    task: one line.
    text: what is seen and carried.
  """

  task: str
  text: str


@dataclasses.dataclass(frozen=True)
class Node:
  """A node of a search, with the edge that leads to it.

  Attributes:
    label: the action of the edge, in words.
    parent: where its parent is in the list, -1 for the root.
    visits: of the edge; of the whole search at the root.
    prior: probability of the edge before search.
    value: what search expects of the edge, None where it was never taken.
    policy: at the root's children, probability after search.
    language: probability of the edge under the language model alone, or what
      the model predicts of it; None where there is none.
    judged: value of the node as the network judged it, without search.
    seen: the same of the real position that these actions lead to.
    chosen: on the line that search would play.
    ends: the model says that the episode ends here.
    really_ends: it does; None where nobody knows.
    illegal: the action cannot be taken here in the real game.
    cell: of a board that gets a stone, -1 for none.
  """

  label: str
  parent: int
  visits: int
  prior: float
  value: float | None
  policy: float | None = None
  language: float | None = None
  judged: float | None = None
  seen: float | None = None
  chosen: bool = False
  ends: bool = False
  really_ends: bool | None = None
  illegal: bool = False
  cell: int = -1


@dataclasses.dataclass(frozen=True)
class Step:
  """One decision of an episode.

  Attributes:
    sight: what was observed.
    mover: whose move it was, 0 or 1.
    nodes: of the search, the root first.
    value: of the root under the policy that search returns, for the mover.
    judged: the same before search.
    reward: of the move, for the mover.
    over: the episode ended with the move.
    left_out: nodes of the search that are not in `nodes`.
    trust: weight of the language model in the prior, None without one.
  """

  sight: BoardSight | TextSight
  mover: int
  nodes: tuple[Node, ...]
  value: float
  judged: float
  reward: float
  over: bool
  left_out: int = 0
  trust: float | None = None


@dataclasses.dataclass(frozen=True)
class Episode:
  """An episode, and who played it.

  Attributes:
    title: one line.
    facts: name and value of what else is worth knowing.
    players: who moves, one name or two.
    discount: of one move, before the sign of the turn.
    steps: the decisions.
    last: what is observed at the end.
    ending: how it went, in words.
    board: where it was played; None for a text game.
    is_imagined: search ran in a learned model, not by the rules.
  """

  title: str
  facts: Mapping[str, str]
  players: tuple[str, ...]
  discount: float
  steps: tuple[Step, ...]
  last: BoardSight | TextSight
  ending: str
  board: Board | None
  is_imagined: bool


# View of a node -> fields of `Node` that only the caller knows.
Details = Callable[[TreeView], Mapping[str, Any]]


def list_nodes(
    view: TreeView,
    *,
    num_players: int,
    details: Details,
    max_nodes: int = 400,
) -> tuple[tuple[Node, ...], int]:
  """Lists a search as the page reads it.

  Nodes below a predicted end are left out, since nothing is played there; of
  more than `max_nodes` the most visited are kept, and all of the root's.

  Args:
    view: the root.
    num_players: 2 where the players alternate, else 1.
    details: the fields that the tree does not tell.
    max_nodes: most of the nodes to list, without those of the root.

  Returns:
    The nodes, and how many that were visited are left out.
  """
  shown = _most_visited(view, max_nodes)
  listed: list[Node] = []

  def add(view: TreeView, parent: int) -> None:
    is_reply = num_players == 2 and view.depth > 0 and view.depth % 2 == 0
    sign = -1.0 if is_reply else 1.0
    position = len(listed)
    listed.append(
        Node(
            label=view.label,
            parent=parent,
            visits=view.visits,
            prior=view.prior,
            value=None if view.value is None else sign * view.value,
            chosen=view.chosen,
            ends=_ends(view),
            **details(view),
        )
    )
    for child in view.children:
      if id(child) in shown:
        add(child, position)

  add(view, -1)
  visited = sum(node.visits > 0 for node in view.walk())
  return tuple(listed), visited - sum(node.visits > 0 for node in listed)


def _most_visited(root: TreeView, count: int) -> set[int]:
  """Ids of the nodes to show: a child is never without its parent."""
  shown = {id(root), *map(id, root.children)}
  waiting = [(-c.visits, i, c) for i, c in enumerate(root.children)]
  heapq.heapify(waiting)
  number = len(waiting)
  while waiting and count > 0:
    _, _, view = heapq.heappop(waiting)
    shown.add(id(view))
    count -= view.depth > 1
    if _ends(view):
      continue
    for child in view.children:
      number += 1
      heapq.heappush(waiting, (-child.visits, number, child))
  return shown


def _ends(view: TreeView) -> bool:
  return view.visits > 0 and tree_layout.ends(view)


def to_json(episode: Episode) -> dict[str, Any]:
  """The episode with short names and round numbers, ready for JSON.

  Args:
    episode: what to write.

  Returns:
    Dictionaries, lists, strings and numbers. Probabilities and values are in
    thousandths; nodes are columns, one list for each field; words that recur
    are numbers in `words`.
  """
  words: dict[str, int] = {}

  def word(text: str) -> int:
    return words.setdefault(text, len(words))

  steps = [_step(step, word) for step in episode.steps]
  board = episode.board
  return {
      "title": episode.title,
      "facts": dict(episode.facts),
      "players": list(episode.players),
      "discount": episode.discount,
      "ending": episode.ending,
      "imagined": episode.is_imagined,
      "board": board and {
          "kind": board.kind, "rows": board.rows, "columns": board.columns,
      },
      "steps": steps,
      "last": _sight(episode.last),
      "words": list(words),
  }  # fmt: skip


def _sight(sight: BoardSight | TextSight) -> dict[str, Any]:
  if isinstance(sight, BoardSight):
    return {"stones": "".join(map(str, sight.stones)), "last": sight.last}
  return {"task": sight.task, "text": sight.text}


def _step(step: Step, word: Callable[[str], int]) -> dict[str, Any]:
  nodes = step.nodes
  tree: dict[str, list] = {
      "w": [word(node.label) for node in nodes],
      "p": [node.parent for node in nodes],
      "n": [node.visits for node in nodes],
      "f": [_flags(node) for node in nodes],
  }
  for key, values in (
      ("q", [node.prior for node in nodes]),
      ("v", [node.value for node in nodes]),
      ("a", [node.policy for node in nodes]),
      ("l", [node.language for node in nodes]),
      ("j", [node.judged for node in nodes]),
      ("s", [node.seen for node in nodes]),
  ):
    if any(value is not None for value in values):
      tree[key] = _thousandths(values)
  if any(node.cell >= 0 for node in nodes):
    tree["c"] = [node.cell for node in nodes]
  return {
      "sight": _sight(step.sight),
      "mover": step.mover,
      "value": _thousandths([step.value])[0],
      "judged": _thousandths([step.judged])[0],
      "reward": _thousandths([step.reward])[0],
      "over": step.over,
      "left": step.left_out,
      "trust": _thousandths([step.trust])[0],
      "tree": tree,
  }


def _flags(node: Node) -> int:
  wrong_end = node.really_ends is not None and node.really_ends != node.ends
  bits = (node.chosen, node.ends, node.illegal, wrong_end)
  return sum(bit << i for i, bit in enumerate(bits))


def _thousandths(values: Sequence[float | None]) -> list[int | None]:
  return [None if v is None else round(1000.0 * float(v)) for v in values]
