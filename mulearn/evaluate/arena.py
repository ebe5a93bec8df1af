"""Matches between players of a board game, on the device, in batches.

Two players meet in pairs of games from one random opening, each to move first
in one of them, so that neither the colour nor a lucky opening decides.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.base import Environment
from mulearn.evaluate import ratings as ratings_lib
from mulearn.evaluate.players import Player
from mulearn.evaluate.ratings import Rating, Score
from mulearn.parallel import hosts
from mulearn.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Tournament:
  """Everybody against everybody.

  Attributes:
    names: of the players.
    anchor: the name of the one whose rating is 0.
    scores: of player i against player j at `(i, j)`, `i < j`.
    ratings: of each player by name.
  """

  names: tuple[str, ...]
  anchor: str
  scores: dict[tuple[int, int], Score]
  ratings: dict[str, Rating]

  def score(self, player: int, opponent: int) -> Score:
    """What one player made of its match against another."""
    if player < opponent:
      return self.scores[player, opponent]
    return self.scores[opponent, player].reversed()


@functools.partial(jax.jit, static_argnames=("environment", "num", "num_plies"))
def openings(
    environment: Environment, rng_key: Array, num: int, num_plies: int
) -> PyTree:
  """Draws positions after random moves, at which the game goes on.

  Args:
    environment: the rules.
    rng_key: consumed.
    num: N, positions.
    num_plies: random moves; fewer where the next one would end the game.

  Returns:
    States `[N, ...]`.
  """
  start_key, move_key = jax.random.split(rng_key)
  states = jax.vmap(environment.init)(jax.random.split(start_key, num))

  def move(states: PyTree, rng_key: Array) -> tuple[PyTree, None]:
    invalid = jax.vmap(environment.invalid)(states)
    action = jax.random.categorical(rng_key, jnp.where(invalid, -jnp.inf, 0.0))
    after = jax.vmap(environment.step)(states, action)
    over = jax.vmap(environment.terminated)(after)
    choose = functools.partial(jax.vmap(jax.lax.select), over)
    return jax.tree.map(choose, states, after), None

  return jax.lax.scan(move, states, jax.random.split(move_key, num_plies))[0]


def match(
    environment: Environment,
    a: Player,
    b: Player,
    rng_key: Array,
    *,
    num_pairs: int,
    opening_plies: int,
) -> Score:
  """Plays colour-reversed pairs of games between two players.

  Several processes share the pairs, and all get what came of them.

  Args:
    environment: the rules, of two players who move in turn.
    a: the one whose points are counted.
    b: its opponent.
    rng_key: consumed; it decides the openings and what the players draw.
    num_pairs: N, pairs of games.
    opening_plies: random moves that both games of a pair begin with.

  Returns:
    The `Score` of `a`.

  Raises:
    ValueError: `num_pairs` is less than 1, a player chose an illegal move, or
      the players do not move in turn.
  """
  if num_pairs < 1:
    raise ValueError(f"num_pairs is {num_pairs}; at least 1 is needed.")
  opening_key, play_key = jax.random.split(rng_key)
  states = openings(environment, opening_key, num_pairs, opening_plies)
  mine = hosts.rows_for(num_pairs)
  states = jax.tree.map(lambda x: x[mine], states)
  players, games = (a, b), [states, states]  # `a` begins the first of a pair.
  gains = np.zeros((len(mine), 2))
  ply, going_on = 0, True
  while going_on:
    going_on = False
    for game in range(2):
      who = (ply + game) % 2
      key = jax.random.fold_in(play_key, 2 * ply + game)
      action = players[who](key, games[game])
      games[game], gain, alive, wrong = _move(environment, games[game], action)
      _check(wrong, "ab"[who])
      gains[:, game] += np.asarray(gain) * (1 - 2 * who)
      going_on |= bool(alive)
    ply += 1
  gains = hosts.gather({"gains": gains}, num_pairs)["gains"]
  return Score(0.5 * (gains + 1.0))


def tournament(
    environment: Environment,
    players: Mapping[str, Player],
    rng_key: Array,
    *,
    num_pairs: int,
    opening_plies: int,
    anchor: str,
    on_match: Callable[[str, str, Score], None] = lambda *unused: None,
) -> Tournament:
  """Lets everybody play everybody, and rates them.

  Args:
    environment: the rules.
    players: by name.
    rng_key: consumed, one part a match.
    num_pairs: of each match.
    opening_plies: random moves before each pair.
    anchor: name of the player whose rating is 0.
    on_match: told of each match when it is over.

  Returns:
    The `Tournament`.

  Raises:
    ValueError: there are fewer than two players, or none of the anchor's name.
  """
  names = tuple(players)
  if len(names) < 2 or anchor not in names:
    raise ValueError(
        f"The players are {', '.join(names) or 'nobody'} and the anchor is"
        f" {anchor!r}; at least two players are needed, the anchor among them."
    )
  scores = {}
  for i, j in itertools.combinations(range(len(names)), 2):
    scores[i, j] = match(
        environment,
        players[names[i]],
        players[names[j]],
        jax.random.fold_in(rng_key, i * len(names) + j),
        num_pairs=num_pairs,
        opening_plies=opening_plies,
    )
    on_match(names[i], names[j], scores[i, j])
  rated = ratings_lib.rate(scores, len(names), names.index(anchor))
  return Tournament(names, anchor, scores, dict(zip(names, rated, strict=True)))


@functools.partial(jax.jit, static_argnames="environment")
def _move(
    environment: Environment, states: PyTree, action: Array
) -> tuple[PyTree, Array, Array, Array]:
  """One move in every game.

  Returns:
    The next states, what the move gave to the mover `[N]`, whether any game
    goes on `[]`, and how often a move was illegal or changed no turn `[2]`.
  """
  before = ~jax.vmap(environment.terminated)(states)
  invalid = jax.vmap(environment.invalid)(states)
  illegal = jnp.take_along_axis(invalid, action[:, None], axis=1)[:, 0]
  player = jax.vmap(environment.current_player)
  after = jax.vmap(environment.step)(states, action)
  alive = ~jax.vmap(environment.terminated)(after)
  stayed = alive & (player(after) == player(states))
  gain = jax.vmap(environment.reward)(after)
  wrong = jnp.array([jnp.sum(before & illegal), jnp.sum(stayed)])
  return after, gain, jnp.any(alive), wrong


def _check(wrong: Array, player: str) -> None:
  illegal, stayed = (int(x) for x in wrong)
  if illegal:
    raise ValueError(
        f"Player {player} chose an illegal move in {illegal} games; a player"
        " has to choose where environment.invalid is False."
    )
  if stayed:
    raise ValueError(
        f"In {stayed} games a player is to move twice; a match needs a game of"
        " alternating moves."
    )
