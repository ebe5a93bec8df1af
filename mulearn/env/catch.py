"""Noisy Catch: two balls fall, the wind blows, and one can be reached.

A game of one player, small enough that the exact worth of every policy is
known. A golden and a plain ball fall a row a move from different columns, and
with each move the wind may blow either of them aside. Whoever runs for the
plain ball is seldom in time for the golden one, which is worth three of it.
After Mnih et al. 2014, "Recurrent models of visual attention",
https://arxiv.org/abs/1406.6247.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ROWS, COLUMNS = 6, 5
# What a ball is worth that lands on the paddle. Little, since the categorical
# values of this library are only then averages of what chance may bring.
GOLD, PLAIN = 0.3, 0.1
WIND = 0.3  # Chance that a ball is blown aside in a move.
_LAST = ROWS - 1
_START = COLUMNS // 2  # Of the paddle.


class CatchState(NamedTuple):
  """A state of `Catch`.

  Attributes:
    gold: column of the golden ball, int32 `[]`.
    plain: column of the plain ball, int32 `[]`.
    paddle: its column, int32 `[]`.
    row: of both balls, 0 at the top, int32 `[]`.
    chance: data of the key that the next step draws from, uint32 `[2]`.
    reward: of the step that led here, float32 `[]`.
  """

  gold: jax.Array
  plain: jax.Array
  paddle: jax.Array
  row: jax.Array
  chance: jax.Array
  reward: jax.Array


class Worth(NamedTuple):
  """What a policy is worth, exactly.

  Attributes:
    action_values: of each action and then of the policy, `[N, A]`, in the
      order of `Catch.positions`.
    mean_return: of a game, by the odds of its start.
  """

  action_values: np.ndarray
  mean_return: float


class Catch:
  """See `base.Environment`. Actions are left, stay and right."""

  num_players = 1
  num_actions = 3
  observation_shape = (ROWS, COLUMNS, 3)

  def init(self, rng_key: jax.Array) -> CatchState:
    """Two columns of the top row, all pairs alike; consumes the key."""
    place_key, chance_key = jax.random.split(rng_key)
    columns = jax.random.permutation(place_key, COLUMNS)
    return CatchState(
        gold=columns[0].astype(jnp.int32),
        plain=columns[1].astype(jnp.int32),
        paddle=jnp.int32(_START),
        row=jnp.int32(0),
        chance=jax.random.key_data(chance_key),
        reward=jnp.float32(0.0),
    )

  def step(self, state: CatchState, action: jax.Array) -> CatchState:
    """Moves the paddle by `action - 1`; then the wind blows."""
    wind_key, chance_key = jax.random.split(
        jax.random.wrap_key_data(state.chance)
    )
    odds = jnp.array([WIND / 2, 1.0 - WIND, WIND / 2])
    wind = jax.random.categorical(wind_key, jnp.log(odds), shape=(2,)) - 1
    gold, plain = _inside(state.gold + wind[0]), _inside(state.plain + wind[1])
    paddle = _inside(state.paddle + action - 1)
    caught = GOLD * (gold == paddle) + PLAIN * (plain == paddle)
    row = state.row + 1
    after = CatchState(
        gold=gold.astype(jnp.int32),
        plain=plain.astype(jnp.int32),
        paddle=paddle.astype(jnp.int32),
        row=row,
        chance=jax.random.key_data(chance_key),
        reward=jnp.where(row == _LAST, caught, 0.0).astype(jnp.float32),
    )
    ended = state._replace(reward=jnp.float32(0.0))
    over = self.terminated(state)
    return jax.tree.map(lambda a, b: jnp.where(over, a, b), ended, after)

  def observation(self, state: CatchState) -> jax.Array:
    """Planes of the golden ball, the plain ball and the paddle."""
    rows = jnp.stack([state.row, state.row, jnp.int32(_LAST)])
    columns = jnp.stack([state.gold, state.plain, state.paddle])
    planes = jnp.zeros(self.observation_shape, bool)
    return planes.at[rows, columns, jnp.arange(3)].set(True)

  def invalid(self, state: CatchState) -> jax.Array:
    """Bool `[A]`: every action may always be chosen."""
    del state
    return jnp.zeros(self.num_actions, bool)

  def reward(self, state: CatchState) -> jax.Array:
    """Float32 `[]`: what the last step gave."""
    return state.reward

  def terminated(self, state: CatchState) -> jax.Array:
    """Bool `[]`: the balls have landed."""
    return state.row == _LAST

  def current_player(self, state: CatchState) -> jax.Array:
    """Int32 `[]`: 0."""
    del state
    return jnp.int32(0)

  def positions(self) -> CatchState:
    """All `N = (ROWS - 1) COLUMNS^3` that call for a decision, `[N]`.

    By row, golden ball, plain ball and paddle, the last of them changing first.
    """
    shape = (_LAST, COLUMNS, COLUMNS, COLUMNS)
    row, gold, plain, paddle = np.indices(shape, np.int32).reshape(4, -1)
    return CatchState(
        gold=jnp.asarray(gold),
        plain=jnp.asarray(plain),
        paddle=jnp.asarray(paddle),
        row=jnp.asarray(row),
        chance=jnp.zeros((len(row), 2), jnp.uint32),
        reward=jnp.zeros(len(row)),
    )

  def worth(self, policy: np.ndarray | None = None) -> Worth:
    """The exact worth of a policy, backwards from the last row.

    Bellman 1957, "Dynamic programming": with `p` the odds of the wind,

      Q(s, a) = sum_s' p(s' | s, a) (R(s') + V(s')),   V = sum_a pi(a | s) Q

    Args:
      policy: chances of each action, `[N, A]`, in the order of `positions`;
        None is the best there is.

    Returns:
      The `Worth`.
    """
    columns = np.arange(COLUMNS)
    blown = np.zeros((COLUMNS, COLUMNS))  # From where, and to where.
    for wind, odds in ((-1, WIND / 2), (0, 1.0 - WIND), (1, WIND / 2)):
      np.add.at(blown, (columns, _inside(columns + wind)), odds)
    gold, plain, paddle = np.indices((COLUMNS,) * 3)
    value = GOLD * (gold == paddle) + PLAIN * (plain == paddle)
    q_values = np.zeros((_LAST, COLUMNS, COLUMNS, COLUMNS, self.num_actions))
    chances = None if policy is None else policy.reshape(q_values.shape)
    for row in reversed(range(_LAST)):
      later = np.einsum("ij,kl,jlp->ikp", blown, blown, value)
      moved = [later[..., _inside(columns + move)] for move in (-1, 0, 1)]
      q_values[row] = np.stack(moved, axis=-1)
      value = (
          q_values[row].max(axis=-1)
          if chances is None
          else np.sum(chances[row] * q_values[row], axis=-1)
      )
    starts = value[:, :, _START][~np.eye(COLUMNS, dtype=bool)]
    return Worth(q_values.reshape(-1, self.num_actions), float(starts.mean()))


def _inside(column):
  """A column of the board: the walls hold balls and paddle."""
  return column.clip(0, COLUMNS - 1)
