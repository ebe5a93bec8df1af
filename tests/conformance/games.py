"""Small random games, as tables: what search explores and minimax solves.

A game is a tree of fixed depth whose nodes are numbered as in a heap. Who moves
at a node is drawn, so that a player may move twice in a row; moves have rewards,
some cannot be made, and some end the game before the last ply.
"""

from typing import NamedTuple

from conformance.subject import Position
import jax.numpy as jnp
import numpy as np

A, DEPTH = 3, 3
NUM_INNER = (A**DEPTH - 1) // (A - 1)
NUM_NODES = (A ** (DEPTH + 1) - 1) // (A - 1)


class Games(NamedTuple):
  """Games `[G]` over nodes `[M]`.

  Attributes:
    player: who moves, `[G, M]`.
    reward: of the move that leads to a node, to whoever made it, `[G, M]`.
    terminal: True where the game is over, `[G, M]`.
    invalid: `[G, M, A]`.
    value: what the model says of the player to move, `[G, M]`.
    logits: of the model's policy, `[G, M, A]`.
    factor: discount of a move, before the sign, `[G]`.
    names: the action that stands at each place of the policy, `[A]`. Nodes
      are numbered by actions, whatever their places.
  """

  player: np.ndarray
  reward: np.ndarray
  terminal: np.ndarray
  invalid: np.ndarray
  value: np.ndarray
  logits: np.ndarray
  factor: np.ndarray
  names: np.ndarray


def draw(
    seed: int,
    num_games: int,
    *,
    turns: str = "random",
    opinions: float = 0.0,
    factor: float = 1.0,
) -> Games:
  """Draws games.

  Args:
    seed: of the draw.
    num_games: G.
    turns: "alternating", "random" or "alone".
    opinions: scale of values and logits; 0 is a model that knows nothing.
    factor: discount of a move.

  Returns:
    The games. Rewards are multiples of a half, so that moves differ clearly.
  """
  rng = np.random.default_rng(seed)
  shape = (num_games, NUM_NODES)
  depth = np.searchsorted(
      [(A ** (d + 1) - 1) // (A - 1) for d in range(DEPTH)],
      np.arange(NUM_NODES),
      side="right",
  )
  player = {
      "alternating": np.broadcast_to(depth % 2, shape),
      "random": rng.integers(0, 2, shape),
      "alone": np.zeros(shape, int),
  }[turns]
  terminal = (depth == DEPTH) | (rng.random(shape) < 0.1) & (depth > 1)
  invalid = rng.random((*shape, A)) < 0.25
  # One move is always there.
  some = rng.integers(0, A, shape)
  np.put_along_axis(invalid, some[..., None], False, axis=-1)
  return Games(
      player=np.int32(player),
      reward=np.float32(rng.integers(-2, 3, shape) / 2),
      terminal=terminal,
      invalid=invalid & ~terminal[..., None],
      # What a model says of a game that is over must not be heard.
      value=np.float32(
          np.where(terminal, 10.0, opinions * rng.normal(size=shape))
      ),
      logits=np.float32(opinions * rng.normal(size=(*shape, A))),
      factor=np.full(num_games, factor, np.float32),
      names=np.arange(A),
  )


def root(games: Games, rows: np.ndarray | None = None) -> Position:
  """The first positions of the games, or of those in `rows`."""
  rows = np.arange(len(games.player)) if rows is None else np.asarray(rows)
  zeros = jnp.zeros(len(rows))
  state = jnp.asarray(rows), jnp.zeros(len(rows), jnp.int32)
  return _position(games, state, zeros, zeros + 1.0)


def step(games: Games, action, state) -> Position:
  """The recurrent function; a game that is over stays where it is."""
  game, node = state
  over = jnp.asarray(games.terminal)[game, node]
  move = jnp.asarray(games.names)[action]
  after = jnp.where(over, node, node * A + 1 + move)
  player = jnp.asarray(games.player)
  sign = jnp.where(player[game, after] == player[game, node], 1.0, -1.0)
  ends = jnp.asarray(games.terminal)[game, after]
  return _position(
      games,
      (game, after),
      jnp.where(over, 0.0, jnp.asarray(games.reward)[game, after]),
      jnp.where(ends, 0.0, sign * jnp.asarray(games.factor)[game]),
  )


def _position(games, state, reward, discount) -> Position:
  game, node = state
  return Position(
      state=state,
      prior_logits=jnp.asarray(games.logits)[game, node][:, games.names],
      invalid=jnp.asarray(games.invalid)[game, node][:, games.names],
      value=jnp.asarray(games.value)[game, node],
      reward=reward,
      discount=discount,
  )


def moves(games: Games, game: int, node: int) -> list[tuple[int, float, float]]:
  """What each valid action leads to: its child, reward and discount."""
  if games.terminal[game, node]:
    return []
  found = []
  for action in np.flatnonzero(~games.invalid[game, node]):
    child = node * A + 1 + int(action)
    same = games.player[game, child] == games.player[game, node]
    sign = 1.0 if same else -1.0
    goes_on = not games.terminal[game, child]
    discount = sign * float(games.factor[game]) if goes_on else 0.0
    found.append((child, float(games.reward[game, child]), discount))
  return found


def minimax(games: Games, game: int, node: int = 0) -> float:
  """Value of a node for the player to move, both playing perfectly."""
  return max(
      (
          reward + discount * minimax(games, game, child)
          for child, reward, discount in moves(games, game, node)
      ),
      default=0.0,
  )


def forced(games: Games) -> Games:
  """The same games with one move below the root, and a model that knows all.

  Whatever a search tries, it finds every action of the root worth the same.
  """
  first = np.argmin(games.invalid, axis=-1)  # The first that is valid.
  only = np.arange(A) != first[..., None]
  only[:, 0] = games.invalid[:, 0]
  games = games._replace(invalid=only & ~games.terminal[..., None])
  value = [
      [minimax(games, game, node) for node in range(NUM_NODES)]
      for game in range(len(games.player))
  ]
  # What a model says of a game that is over must still not be heard.
  return games._replace(
      value=np.where(games.terminal, games.value, np.float32(value))
  )


def worths(games: Games, game: int) -> np.ndarray:
  """What perfect play gets from each action of the root, `[A]`.

  It is -inf where an action is invalid.
  """
  found = np.full(A, -np.inf)
  for child, reward, discount in moves(games, game, 0):
    found[child - 1] = reward + discount * minimax(games, game, child)
  return found


def bounds(games: Games, game: int, node: int = 0) -> tuple[float, float]:
  """Least and largest of all returns that a search could see from a node.

  A line may be followed to its end, or be left at any node for its value.
  """
  low = high = float(games.value[game, node])
  for child, reward, discount in moves(games, game, node):
    ends = [reward + discount * x for x in bounds(games, game, child)]
    low, high = min(low, *ends), max(high, *ends)
  return low, high
