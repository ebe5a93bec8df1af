"""Games of one player behind the device-resident contract, by name.

Cart-pole, pendulum and four games of MinAtar, as gymnax writes them (Lange 2022,
https://github.com/RobertTLange/gymnax), pgx's 2048, our own noisy Catch and game of dice. A time
limit is not a way in which a game ends: the loop cuts an episode at
`config.env.step_limit`, and bootstraps there. Freeway has no other end; its
authors' is 2,500 steps.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mulearn.env.base import Environment, PackageNotFoundError
from mulearn.env.catch import Catch
from mulearn.env.chance_game import ChanceGame
from mulearn.env.dice import Dice
from mulearn.env.game_2048 import Game2048


class SoloState(NamedTuple):
  """A state of a `SoloGame`.

  Attributes:
    game: the state as gymnax has it.
    chance: data of the key that the next step draws from, uint32 `[2]`.
    reward: of the step that led here, float32 `[]`.
    terminated: the game is over, bool `[]`.
  """

  game: Any
  chance: jax.Array
  reward: jax.Array
  terminated: jax.Array


class SoloGame:
  """A game of one player; see `base.Environment`.

  What chance decides is drawn from a key that each state carries. Where
  actions are continuous, `action_size` is their number and `num_actions` 0: an
  action is then float32 `[action_size]` in [-1, 1].
  """

  num_players = 1

  def __init__(self, name: str):
    """Makes the game.

    Args:
      name: as gymnax has it.

    Raises:
      PackageNotFoundError: gymnax is not installed.
    """
    make = _gymnax().make
    # A game may be asked for first while a program is traced, and is kept.
    with jax.ensure_compile_time_eval():
      self._game, self._params = make(name)
    actions = self._game.action_space(self._params)
    self.action_size = 0 if hasattr(actions, "n") else actions.shape[0]
    self._scale = 1.0 if not self.action_size else actions.high
    self._num_actions = 0 if self.action_size else int(actions.n)
    view, _ = jax.eval_shape(self._reset, jax.random.key(0))
    self._observation_shape = tuple(view.shape)
    # The planes of MinAtar are 0 or 1, whatever type gymnax gives them.
    self._dtype = jnp.bool_ if len(view.shape) == 3 else jnp.float32

  @property
  def num_actions(self) -> int:
    """A, the number of actions; 0 where they are continuous."""
    return self._num_actions

  @property
  def observation_shape(self) -> tuple[int, ...]:
    """Shape of one observation: numbers, or height, width and planes."""
    return self._observation_shape

  def init(self, rng_key: jax.Array) -> SoloState:
    """Draws an initial state; consumes the key."""
    start_key, chance_key = jax.random.split(rng_key)
    _, game = self._reset(start_key)
    # gymnax begins with Python's numbers and goes on with arrays.
    game = jax.tree.map(jnp.asarray, game)
    return SoloState(
        game=game,
        chance=jax.random.key_data(chance_key),
        reward=jnp.float32(0.0),
        terminated=jnp.bool_(False),
    )

  def step(self, state: SoloState, action: jax.Array) -> SoloState:
    """Plays `action`, an int32 `[]` or float32 `[action_size]`."""
    if self.action_size:
      action = self._scale * jnp.clip(action, -1.0, 1.0)
    step_key, chance_key = jax.random.split(
        jax.random.wrap_key_data(state.chance)
    )
    _, game, reward, over, _ = self._game.step_env(
        step_key, state.game, action, self._params
    )
    after = SoloState(
        game=jax.tree.map(_like, game, state.game),
        chance=jax.random.key_data(chance_key),
        reward=jnp.asarray(reward, jnp.float32).reshape(()),
        terminated=jnp.asarray(over, bool).reshape(()),
    )
    ended = state._replace(reward=jnp.float32(0.0))
    return jax.tree.map(
        lambda a, b: jnp.where(state.terminated, a, b), ended, after
    )

  def observation(self, state: SoloState) -> jax.Array:
    """What the player sees, `observation_shape`."""
    view = self._game.get_obs(state.game, self._params)
    return view.astype(self._dtype)

  def invalid(self, state: SoloState) -> jax.Array:
    """Bool `[A]`: every action may always be chosen."""
    del state
    return jnp.zeros(self._num_actions, bool)

  def reward(self, state: SoloState) -> jax.Array:
    """Float32 `[]`: what the last step gave."""
    return state.reward

  def terminated(self, state: SoloState) -> jax.Array:
    """Bool `[]`: the game is over, and not by a time limit."""
    return state.terminated

  def current_player(self, state: SoloState) -> jax.Array:
    """Int32 `[]`: 0."""
    del state
    return jnp.int32(0)

  def _reset(self, rng_key: jax.Array) -> tuple[jax.Array, Any]:
    return self._game.reset_env(rng_key, self._params)


def _like(x: jax.Array, before: jax.Array) -> jax.Array:
  """An array in the type and shape that it had: a loop must keep both."""
  return jnp.asarray(x, before.dtype).reshape(before.shape)


def _gymnax() -> Any:
  try:
    import gymnax
  except ImportError as error:
    raise PackageNotFoundError(
        "Games of one player need gymnax, which is not installed: give pip"
        " 'mulearn[solo]'. gymnax 1.0.1 needs JAX below 0.12; with a newer"
        f" one (this is {jax.__version__}) boards and text games still run."
    ) from error
  return gymnax


_NOT_OF_GYMNAX: dict[str, Callable[[], Environment]] = {
    "catch": Catch,
    "2048": Game2048,
    "dice": lambda: ChanceGame(Dice(num_turns=3)),
}
GAMES = _NOT_OF_GYMNAX | {
    name: functools.partial(SoloGame, gymnax_name)
    for name, gymnax_name in (
        ("cartpole", "CartPole-v1"),
        ("pendulum", "Pendulum-v1"),
        ("asterix", "Asterix-MinAtar"),
        ("breakout", "Breakout-MinAtar"),
        ("freeway", "Freeway-MinAtar"),
        ("space_invaders", "SpaceInvaders-MinAtar"),
    )
}
