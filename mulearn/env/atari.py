"""Atari 2600 behind the device-resident contract: the emulator's state travels.

A lane holds all that the emulator is, as bytes. A step hands them to an emulator
on the host and takes them back (`jax.pure_callback`), so that a game is a pure
function of its state like any other here: it can be saved, and continued to the
last bit. ale-py's vector environment shows the same screens, but keeps its games
to itself. Bellemare et al. 2013, "The arcade learning environment",
https://doi.org/10.1613/jair.3912.

The rules are those that Machado et al. 2018, "Revisiting the arcade learning
environment", https://arxiv.org/abs/1709.06009, recommend: at each frame the last
action sticks with a chance of one quarter; a game begins without idle moves and
is over when all lives are lost, not with the first; rewards are points, not
clipped. An action lasts four frames, of the last two the brighter is seen, in
grey, and a view is the last four of those.
"""

from collections.abc import Callable
import functools
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env.base import Environment, PackageNotFoundError

SKIP = 4  # Frames that an action lasts.
STICKS = 0.25  # Chance, at each frame, that the last action goes on.
STACK = 4  # Pictures that a view is made of.
SIDE = 96  # Of a picture, in pixels; an agent's networks halve it four times.
_SCREEN = (210, 160)
_STATE_BYTES = 16_384  # A game of 8 KiB takes 14,463, with its length before.
_LENGTH_BYTES = 4

# The 26 games of the Atari 100k benchmark (Kaiser et al. 2020,
# https://arxiv.org/abs/1903.00374).
ROMS = (
    "alien", "amidar", "assault", "asterix", "bank_heist", "battle_zone",
    "boxing", "breakout", "chopper_command", "crazy_climber", "demon_attack",
    "freeway", "frostbite", "gopher", "hero", "jamesbond", "kangaroo", "krull",
    "kung_fu_master", "ms_pacman", "pong", "private_eye", "qbert",
    "road_runner", "seaquest", "up_n_down",
)  # fmt: skip


class AtariState(NamedTuple):
  """A state of an `AtariGame`.

  Attributes:
    emulator: its bytes, their number before them, uint8 `[16384]`.
    pictures: the last four, the newest last, uint8 `[96, 96, 4]`.
    action: the last that was executed, and may stick, int32 `[]`.
    chance: data of the key that the next step draws from, uint32 `[2]`.
    reward: points of the step that led here, float32 `[]`.
    terminated: the game is over, bool `[]`.
  """

  emulator: jax.Array
  pictures: jax.Array
  action: jax.Array
  chance: jax.Array
  reward: jax.Array
  terminated: jax.Array


class AtariGame:
  """A game of one player; see `base.Environment`."""

  num_players = 1
  observation_shape = (SIDE, SIDE, STACK)

  def __init__(self, rom: str):
    """Switches the game on.

    Args:
      rom: as ale-py names it, such as "pong".

    Raises:
      PackageNotFoundError: ale-py is not installed.
      ValueError: it has no such game.
    """
    self._console = _Console(rom)
    self.num_actions = len(self._console.actions)
    emulator, screen = self._console.start()
    with jax.ensure_compile_time_eval():  # Maybe asked for in a trace.
      picture = np.asarray(_shrink(jnp.asarray(screen)))
    self._emulator = emulator
    self._pictures = np.repeat(picture[..., None], STACK, axis=-1)

  def init(self, rng_key: jax.Array) -> AtariState:
    """The one initial state; the key is for the chance that follows."""
    return AtariState(
        emulator=jnp.asarray(self._emulator),
        pictures=jnp.asarray(self._pictures),
        action=jnp.int32(0),
        chance=jax.random.key_data(rng_key),
        reward=jnp.float32(0.0),
        terminated=jnp.bool_(False),
    )

  def step(self, state: AtariState, action: jax.Array) -> AtariState:
    """Plays `action`, an int32 `[]`, for four frames; at times it sticks."""
    stick_key, chance_key = jax.random.split(
        jax.random.wrap_key_data(state.chance)
    )
    sticks = jax.random.bernoulli(stick_key, STICKS, (SKIP,))
    frames, now = [], state.action
    for stick in sticks:
      now = jnp.where(stick, now, jnp.asarray(action, jnp.int32))
      frames.append(now)
    emulator, screen, reward, over = jax.pure_callback(
        self._console.step,
        (
            jax.ShapeDtypeStruct((_STATE_BYTES,), jnp.uint8),
            jax.ShapeDtypeStruct(_SCREEN, jnp.uint8),
            jax.ShapeDtypeStruct((), jnp.float32),
            jax.ShapeDtypeStruct((), jnp.bool_),
        ),
        state.emulator,
        jnp.stack(frames),
        state.terminated,
        vmap_method="broadcast_all",
    )
    newest = _shrink(screen)[..., None]
    after = AtariState(
        emulator=emulator,
        pictures=jnp.concatenate([state.pictures[..., 1:], newest], axis=-1),
        action=now,
        chance=jax.random.key_data(chance_key),
        reward=reward,
        terminated=over,
    )
    ended = state._replace(reward=jnp.float32(0.0))
    return jax.tree.map(
        lambda a, b: jnp.where(state.terminated, a, b), ended, after
    )

  def observation(self, state: AtariState) -> jax.Array:
    """The last four pictures, uint8 `[96, 96, 4]`."""
    return state.pictures

  def invalid(self, state: AtariState) -> jax.Array:
    """Bool `[A]`: every action may always be chosen."""
    del state
    return jnp.zeros(self.num_actions, bool)

  def reward(self, state: AtariState) -> jax.Array:
    """Float32 `[]`: points of the last step."""
    return state.reward

  def terminated(self, state: AtariState) -> jax.Array:
    """Bool `[]`: all lives are lost, or the game is over otherwise."""
    return state.terminated

  def current_player(self, state: AtariState) -> jax.Array:
    """Int32 `[]`: 0."""
    del state
    return jnp.int32(0)


class _Console:
  """One emulator on the host, which plays any number of games in turn."""

  def __init__(self, rom: str):
    self._ale = _ale_py()
    self._ale.ALEInterface.setLoggerMode(self._ale.LoggerMode.Error)
    self._emulator = self._ale.ALEInterface()
    # What sticks is drawn where the rest of chance is, not here.
    self._emulator.setFloat("repeat_action_probability", 0.0)
    self._emulator.setInt("random_seed", 0)
    path = self._ale.roms.get_rom_path(rom)
    if path is None:
      raise ValueError(
          f"ale-py has no game {rom!r}; it names them as"
          f" {', '.join(ROMS[:4])}, ..."
      )
    self._emulator.loadROM(str(path))
    self.actions = self._emulator.getMinimalActionSet()
    # Devices that share a host may call at once.
    self._lock = threading.Lock()

  def start(self) -> tuple[np.ndarray, np.ndarray]:
    """The emulator's bytes and its screen as a game begins."""
    self._emulator.reset_game()
    return self._save(), self._emulator.getScreenGrayscale()

  def step(
      self, emulator: jax.Array, frames: jax.Array, over: jax.Array
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Plays each game `[...]` on; one that is over is left alone.

    Args:
      emulator: bytes, uint8 `[..., 16384]`.
      frames: the action at each frame, int32 `[..., 4]`.
      over: bool `[...]`.

    Returns:
      Bytes, the screen uint8 `[..., 210, 160]`, points float32 `[...]` and
      whether the game is over.
    """
    batch = np.shape(over)
    after = np.array(emulator).reshape(-1, _STATE_BYTES)
    pressed = np.asarray(frames).reshape(-1, SKIP)
    ended = np.array(over).reshape(-1)
    screens = np.zeros((len(after), *_SCREEN), np.uint8)
    points = np.zeros(len(after), np.float32)
    with self._lock:
      for i in np.flatnonzero(~ended):
        after[i], screens[i], points[i], ended[i] = self._play(
            after[i], pressed[i]
        )
    return (
        after.reshape(*batch, _STATE_BYTES),
        screens.reshape(*batch, *_SCREEN),
        points.reshape(batch),
        ended.reshape(batch),
    )

  def _play(
      self, data: np.ndarray, frames: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, float, bool]:
    """Four frames of one game."""
    length = int.from_bytes(data[:_LENGTH_BYTES].tobytes(), "little")
    stored = data[_LENGTH_BYTES : _LENGTH_BYTES + length].tobytes()
    game = self._emulator
    game.restoreState(self._ale.ALEState(stored))
    points, screens = 0.0, []
    for frame in frames:
      points += game.act(self.actions[frame])
      screens.append(game.getScreenGrayscale())
    brighter = np.maximum(screens[-2], screens[-1])
    over = game.game_over(with_truncation=False)
    return self._save(), brighter, points, over

  def _save(self) -> np.ndarray:
    stored = self._emulator.cloneState(include_rng=True).serialize()
    room = _STATE_BYTES - _LENGTH_BYTES
    if len(stored) > room:
      raise ValueError(
          f"The emulator's state takes {len(stored)} bytes, more than the"
          f" {room} kept for it: raise _STATE_BYTES of mulearn/env/atari.py."
      )
    length = len(stored).to_bytes(_LENGTH_BYTES, "little")
    return np.frombuffer((length + stored).ljust(_STATE_BYTES, b"\0"), np.uint8)


def _shrink(screen: jax.Array) -> jax.Array:
  """Screens `[210, 160]` as pictures `[96, 96]`, each pixel an average."""
  picture = jax.image.resize(
      screen.astype(jnp.float32), (SIDE, SIDE), "linear", antialias=True
  )
  return jnp.clip(jnp.round(picture), 0.0, 255.0).astype(jnp.uint8)


def _ale_py() -> Any:
  try:
    import ale_py
    import ale_py.roms
  except ImportError as error:
    raise PackageNotFoundError(
        "Atari games need ale-py, which is not installed: give pip"
        " 'mulearn[atari]'. The games come with it."
    ) from error
  return ale_py


GAMES: dict[str, Callable[[], Environment]] = {
    f"atari_{rom}": functools.partial(AtariGame, rom) for rom in ROMS
}
