"""Plays an episode on a board, and records every search behind it."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.act.board_agent import BoardAgent
from mulearn.env.base import Environment
from mulearn.explore.boards import Board
from mulearn.explore.record import BoardSight, Episode, Step, list_nodes
from mulearn.search.tree import tree_view
from mulearn.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Moment:
  """A position of a game.

  Attributes:
    state: of the environment.
    mover: 0 if the first player is to move, else 1.
    sight: the board as people see it.
    facts: what the rules say of the state.
  """

  state: PyTree
  mover: int
  sight: BoardSight
  facts: "Facts"

  @property
  def reward(self) -> float:
    """Of the move that led here, for who made it."""
    return float(self.facts.reward)

  @property
  def is_over(self) -> bool:
    """The game has ended."""
    return bool(self.facts.is_over)


class Facts(NamedTuple):
  """What the rules say of a state; see `env.base.Environment`."""

  planes: Array
  invalid: Array
  player: Array
  reward: Array
  is_over: Array


class Thinker:
  """An agent whose searches are recorded, one position at a time.

  Attributes:
    agent: who searches.
    board: how people see it.
  """

  def __init__(self, agent: BoardAgent, num_simulations: int):
    """Checks what is asked.

    Args:
      agent: who searches.
      num_simulations: of each search.

    Raises:
      ValueError: there is no simulation, or no picture of the board.
    """
    if num_simulations < 1:
      raise ValueError(
          f"num_simulations is {num_simulations}; a search needs at least 1."
      )
    self.agent = agent
    self.board = Board.of(agent.config.env.name)
    self._num_simulations = num_simulations
    self._game = agent.environment

  def start(self, rng_key: Array) -> Moment:
    """The first position of a game; consumes the key."""
    state = self._game.init(rng_key)
    facts = _look(state, game=self._game)
    return Moment(state, 0, self._sight(facts.planes, 0), facts)

  def legal(self, moment: Moment) -> list[int]:
    """The actions that may be chosen."""
    return np.flatnonzero(~np.asarray(moment.facts.invalid)).tolist()

  def play(self, moment: Moment, action: int) -> Moment:
    """The position after a legal action."""
    state, facts = _play(moment.state, action, game=self._game)
    is_same = facts.player == moment.facts.player
    mover = moment.mover if is_same else 1 - moment.mover
    stones = np.asarray(moment.sight.stones)
    cell = self.board.cell(stones, moment.mover, action)
    return Moment(state, mover, self._sight(facts.planes, mover, cell), facts)

  def _sight(self, planes: Array, mover: int, last: int = -1) -> BoardSight:
    return BoardSight(
        tuple(self.board.stones(np.asarray(planes), mover).tolist()), last
    )

  def think(
      self, rng_key: Array, moment: Moment, *, deterministic: bool = True
  ) -> tuple[int, Step]:
    """Searches from one position.

    Args:
      rng_key: consumed.
      moment: a position that is not over.
      deterministic: no exploration noise at the root.

    Returns:
      The action, and the record of the search; its reward and end are those
      of that action.
    """
    plan = self.agent.plan(
        rng_key,
        jax.tree.map(lambda x: x[None], moment.state),
        self._num_simulations,
        deterministic=deterministic,
    )
    tree = jax.tree.map(np.asarray, plan.tree.replace(embeddings=None))
    policy, action = np.asarray(plan.policy[0]), int(plan.action[0])
    real = self._look_behind(moment, tree)
    view = tree_view(
        tree,
        label=lambda node, slot: self.board.name(real.movers[node], slot),
        chosen_slot=action,
    )
    nodes, left_out = list_nodes(
        view,
        num_players=self._game.num_players,
        details=functools.partial(self._details, moment, tree, policy, real),
    )
    after = self.play(moment, action)
    step = Step(
        sight=moment.sight,
        mover=moment.mover,
        nodes=nodes,
        value=float(plan.value[0]),
        judged=float(tree.raw_values[0, 0]),
        reward=after.reward,
        over=after.is_over,
        left_out=left_out,
    )
    return action, step

  def _details(
      self,
      moment: Moment,
      tree,
      policy: np.ndarray,
      real: "_Real",
      view,
  ) -> dict[str, Any]:
    """The fields of `Node` that the tree does not tell."""
    node, fields = view.node, {}
    if view.depth == 1:
      fields["policy"] = float(policy[view.slot])
      stones = np.asarray(moment.sight.stones)
      fields["cell"] = self.board.cell(stones, moment.mover, view.slot)
    if node < 0:  # Never visited.
      return fields
    sign = -1.0 if view.depth % 2 else 1.0
    fields["judged"] = sign * float(tree.raw_values[0, node])
    fields["illegal"] = bool(real.illegal[node])
    fields["cell"] = real.cells[node]
    if not real.illegal[node]:
      fields["really_ends"] = bool(real.over[node])
      if real.seen is not None:
        fields["seen"] = sign * float(real.seen[node])
    return fields

  def _look_behind(self, moment: Moment, tree) -> "_Real":
    """Plays by the rules what was imagined."""
    parents, actions = tree.parents[0], tree.action_from_parent[0]
    states, illegal, over = _walk(
        moment.state, parents, actions, game=self._game
    )
    seen = None
    if self.agent.config.model.kind != "simulator":
      seen = np.where(over, 0.0, self.agent.glance(states).value)
    boards = [np.asarray(moment.sight.stones)]
    movers, cells = [moment.mover], [-1]
    for parent, action in zip(parents[1:], actions[1:]):
      above = max(int(parent), 0)  # A row without a node is never looked at.
      stones, mover = boards[above].copy(), movers[above]
      cells.append(self.board.cell(stones, mover, max(int(action), 0)))
      if cells[-1] >= 0:
        stones[cells[-1]] = mover + 1
      boards.append(stones)
      movers.append(1 - mover)
    illegal, over = np.asarray(illegal), np.asarray(over)
    return _Real(illegal, over, seen, movers, cells)


class _Real(NamedTuple):
  """What is true where a search imagined it, for each of its nodes `[N]`.

  Attributes:
    illegal: the way there cannot be played.
    over: the game is over there.
    seen: what the network says, seeing the real position, for who moves there;
      None where the model is the rules.
    movers: who moves there, 0 or 1.
    cells: that the last move on the way gave a stone, -1 for none.
  """

  illegal: np.ndarray
  over: np.ndarray
  seen: np.ndarray | None
  movers: list[int]
  cells: list[int]


def play_episode(
    agent: BoardAgent,
    rng_key: Array,
    *,
    num_simulations: int = 64,
    max_steps: int | None = None,
    deterministic: bool = True,
) -> Episode:
  """The agent plays a game against itself.

  Args:
    agent: plays both sides.
    rng_key: consumed.
    num_simulations: of each search.
    max_steps: moves after which the episode is cut; None lets it end.
    deterministic: no exploration noise at the root.

  Returns:
    The episode with its searches.

  Raises:
    ValueError: a number is less than 1, or no picture of the board is known.
  """
  if max_steps is not None and max_steps < 1:
    raise ValueError(f"max_steps is {max_steps}; at least 1 is needed.")
  thinker = Thinker(agent, num_simulations)
  start_key, think_key = jax.random.split(rng_key)
  now, steps = thinker.start(start_key), list[Step]()
  while not now.is_over and len(steps) != max_steps:
    action, step = thinker.think(
        jax.random.fold_in(think_key, len(steps)), now,
        deterministic=deterministic,
    )  # fmt: skip
    steps.append(step)
    now = thinker.play(now, action)
  config = agent.config
  is_imagined = config.model.kind != "simulator"
  return Episode(
      title=config.env.name.replace("_", " "),
      facts={
          "agent": "MuZero, a learned model" if is_imagined
          else "AlphaZero, the rules as its model",
          "search": f"{config.search.policy}, {num_simulations} simulations",
          "noise": "none" if deterministic else "as in training",
      },
      players=thinker.board.players,
      discount=config.learn.discount,
      steps=tuple(steps),
      last=now.sight,
      ending=how_it_ended(thinker.board, steps[-1].mover, now),
      board=thinker.board,
      is_imagined=is_imagined,
  )  # fmt: skip


def how_it_ended(board: Board, mover: int, last: Moment) -> str:
  """Who won, in words, where `mover` made the move that led to `last`."""
  if not last.is_over:
    return "cut before the end"
  if last.reward == 0.0:
    return "draw"
  return f"{board.players[mover if last.reward > 0.0 else 1 - mover]} won"


@functools.partial(jax.jit, static_argnames="game")
def _look(state: PyTree, *, game: Environment) -> Facts:
  return Facts(
      game.observation(state),
      game.invalid(state),
      game.current_player(state),
      game.reward(state),
      game.terminated(state),
  )


@functools.partial(jax.jit, static_argnames="game")
def _play(
    state: PyTree, action: Array | int, *, game: Environment
) -> tuple[PyTree, Facts]:
  state = game.step(state, jnp.asarray(action))
  return state, _look(state, game=game)


@functools.partial(jax.jit, static_argnames="game")
def _walk(
    state: PyTree, parents: Array, actions: Array, *, game: Environment
) -> tuple[PyTree, Array, Array]:
  """The real positions of the nodes of a tree.

  Args:
    state: of the root.
    parents: of each node, less than its own number; -1 for none, `[N]`.
    actions: that led to each node, `[N]`.
    game: the rules.

  Returns:
    States `[N, ...]`; whether the way there holds an action that is illegal
    `[N]`, after which the state stands still; whether the game is over `[N]`.
  """
  size = parents.shape[0]
  states = jax.tree.map(
      lambda x: jnp.broadcast_to(x, (size, *jnp.shape(x))), state
  )

  def visit(node, carry):
    states, illegal = carry
    parent, action = jnp.maximum(parents[node], 0), jnp.maximum(
        actions[node], 0
    )
    before = jax.tree.map(lambda x: x[parent], states)
    wrong = game.terminated(before) | game.invalid(before)[action]
    wrong |= illegal[parent]
    after = game.step(before, action)
    here = jax.tree.map(lambda a, b: jnp.where(wrong, a, b), before, after)
    states = jax.tree.map(lambda x, y: x.at[node].set(y), states, here)
    return states, illegal.at[node].set(wrong)

  states, illegal = jax.lax.fori_loop(
      1, size, visit, (states, jnp.zeros(size, bool))
  )
  return states, illegal, jax.vmap(game.terminated)(states)
