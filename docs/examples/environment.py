"""A new board game, from its rules to an agent that plays it perfectly.

Nim with one heap: a move takes one, two or three stones, and whoever takes the
last has won. Who leaves a multiple of four wins.
"""

import pathlib
import tempfile
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mulearn import board_train
from mulearn.config import Config
from mulearn.env import board, symmetry
from mulearn.evaluate import examiners, solver

HEAP = 10


class NimState(NamedTuple):
  """A position.

  Attributes:
    stones: left in the heap, int32 `[]`.
    player: whose turn it is, 0 or 1, int32 `[]`.
    reward: what the last move gave to who made it, float32 `[]`.
  """

  stones: jax.Array
  player: jax.Array
  reward: jax.Array


class Nim:
  """A two-player game; see `mulearn.env.base.Environment`."""

  num_players = 2
  num_actions = 3  # Action `a` takes `a + 1` stones.
  observation_shape = (1, HEAP + 1, 1)  # Height, width, planes.

  def init(self, rng_key: jax.Array) -> NimState:
    """The full heap; the key decides who is called player 0."""
    player = jax.random.bernoulli(rng_key).astype(jnp.int32)
    return NimState(jnp.int32(HEAP), player, jnp.float32(0.0))

  def step(self, state: NimState, action: jax.Array) -> NimState:
    """Takes `action + 1` stones; a finished game stays as it is."""
    over = self.terminated(state)
    stones = jnp.maximum(state.stones - action - 1, 0)
    return NimState(
        stones=jnp.where(over, state.stones, stones),
        player=jnp.where(over, state.player, 1 - state.player),
        reward=jnp.where(~over & (stones == 0), 1.0, 0.0),
    )

  def observation(self, state: NimState) -> jax.Array:
    """How many stones are left, one-hot, bool `[1, HEAP + 1, 1]`."""
    return (jnp.arange(HEAP + 1) == state.stones)[None, :, None]

  def invalid(self, state: NimState) -> jax.Array:
    """Bool `[3]`; all False once it is over, so that a policy has mass."""
    return (jnp.arange(3) >= state.stones) & ~self.terminated(state)

  def reward(self, state: NimState) -> jax.Array:
    """What the last step gave to the player who made it."""
    return state.reward

  def terminated(self, state: NimState) -> jax.Array:
    """The heap is empty."""
    return state.stones == 0

  def current_player(self, state: NimState) -> jax.Array:
    """Whose turn it is."""
    return state.player


def table() -> solver.Table:
  """Perfect play: each heap, reached by taking single stones, solved."""
  heaps = np.arange(HEAP, 0, -1)
  value = np.where(heaps % 4 == 0, -1, 1)
  takes = np.arange(1, 4)
  wins = (heaps[:, None] - takes) % 4 == 0
  legal = takes <= heaps[:, None]
  taken = np.arange(HEAP - 1) < (HEAP - heaps)[:, None]
  return solver.Table(
      moves=np.where(taken, 0, -1),
      value=value,
      optimal=legal & np.where(value[:, None] == 1, wins, True),
      num_terminal=1,
  )


# The places where a game is named. In a copy of mulearn, write it into them.
board.GAMES["nim"] = Nim
symmetry.SYMMETRIES["nim"] = symmetry.identity(1, HEAP + 1, Nim.num_actions)
examiners.EXAMINERS["nim"] = lambda agent, rng_key: solver.examine(
    agent, table(), rng_key
)


def get_config() -> Config:
  """An experiment's `config.py` has this function."""
  config = Config(num_steps=2048, eval_every=1024)
  config.env.name = "nim"
  config.env.step_limit = HEAP
  config.env.num_lanes = 32
  config.model.kind = "simulator"  # AlphaZero; "world" is MuZero.
  config.model.width = 16
  config.model.num_bins = 11
  config.model.max_return = 1.0
  config.search.num_simulations = config.search.num_eval_simulations = 8
  config.search.max_considered = 3
  config.self_play.num_plies = 4
  config.self_play.opening_plies = 4
  config.replay.capacity = 1024
  config.replay.batch_size = 32
  config.replay.min_size = 128
  config.learn.unroll_steps = 0
  config.learn.td_steps = 4
  config.learn.discount = 1.0
  config.learn.explored_below = 0.5
  config.learn.updates_per_env_step = 1 / 16
  config.learn.learning_rate = 1e-2
  return config


def main() -> None:
  """Trains in seconds, and says how many moves are right."""
  with tempfile.TemporaryDirectory() as workdir:
    results = board_train.run_experiment(get_config(), pathlib.Path(workdir))
  for point in (results["curve"][0], results["final"]):
    print(
        f"{point['env_steps']} moves played: the bare policy is right in "
        f"{point['policy_rate']:.0%}, search in {point['optimal_rate']:.0%}"
    )


if __name__ == "__main__":
  main()
