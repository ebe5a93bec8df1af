"""Atari: the screens of ale-py, as pure functions of a state.

All but one need the extra `atari`, and say so where they are left out.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.env import atari
from mulearn.env.base import PackageNotFoundError


@pytest.fixture(scope="module")
def game() -> atari.AtariGame:
  """Pong."""
  pytest.importorskip("ale_py", reason="needs ale-py, the extra atari")
  return atari.GAMES["atari_pong"]()


@pytest.fixture(scope="module")
def step(game):
  """One compiled step."""
  return jax.jit(game.step)


def test_screens_and_points_are_those_of_the_vector_environment():
  reason = "needs ale-py and gymnasium, the extra atari"
  pytest.importorskip("ale_py", reason=reason)
  pytest.importorskip("gymnasium", reason=reason)
  from ale_py.vector_env import AtariVectorEnv

  vector = AtariVectorEnv(
      "pong", num_envs=1, img_height=210, img_width=160, noop_max=0,
      use_fire_reset=False, reward_clipping=False,
  )  # fmt: skip
  seen, _ = vector.reset(seed=0)
  console = atari._Console("pong")
  assert vector.single_action_space.n == len(console.actions) == 6
  emulator, screen = console.start()
  np.testing.assert_array_equal(seen[0, -1], screen)
  random, total = np.random.default_rng(0), 0.0
  for _ in range(300):
    action = random.integers(6, size=1)
    seen, reward, over, _, _ = vector.step(action)
    emulator, screen, points, ended = console.step(
        emulator, action.repeat(atari.SKIP), np.bool_(False)
    )
    np.testing.assert_array_equal(seen[0, -1], screen)
    assert reward[0] == points and over[0] == ended
    total += points
  assert total < -2  # Something was scored.


def test_games_in_turn_do_not_disturb_each_other(game, step):
  """A batch is its rows, and a state is played on as often as one likes."""
  states = [game.init(jax.random.key(seed)) for seed in range(3)]
  together = jax.tree.map(lambda *x: jnp.stack(x), *states)
  batched = jax.jit(jax.vmap(game.step))
  for t in range(5):
    actions = jnp.array([2, 3, t % 6])
    together = batched(together, actions)
    states = [step(state, a) for state, a in zip(states, actions)]
  for row, state in enumerate(states):
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.tree.map(lambda x, row=row: x[row], together),
        state,
    )
  again, other = step(states[0], 2), step(states[0], 3)
  jax.tree.map(np.testing.assert_array_equal, again, step(states[0], 2))
  assert (again.emulator != other.emulator).any()


def test_a_whole_game_goes_to_21_and_then_stands_still(game):
  def random_play(state, rng_key):
    action = jax.random.randint(rng_key, (), 0, game.num_actions)
    after = game.step(state, action)
    return after, (game.reward(after), game.terminated(after))

  keys = jax.random.split(jax.random.key(0), 1500)
  state, (rewards, over) = jax.jit(
      lambda s: jax.lax.scan(random_play, s, keys)
  )(game.init(jax.random.key(1)))
  assert set(np.unique(rewards)) <= {-1.0, 0.0, 1.0}
  assert (rewards < 0).sum() == 21 and (rewards > 0).sum() < 21
  end = int(np.argmax(over))
  assert rewards[end] == -1 and not over[:end].any() and over[end:].all()
  assert not rewards[end + 1 :].any()
  after = game.step(state, jnp.int32(2))
  jax.tree.map(np.testing.assert_array_equal, after, state)


def test_the_last_action_sticks(game, monkeypatch):
  """At every frame: never, always, or a quarter of the time."""
  start = game.init(jax.random.key(0))
  idle, up = start, start
  for chance, expected in ((0.0, 2), (1.0, 0)):
    monkeypatch.setattr(atari, "STICKS", chance)
    up = game.step(start, jnp.int32(2))
    idle = game.step(start, jnp.int32(0))
    assert up.action == expected
    assert (up.emulator == idle.emulator).all() == (chance == 1.0)
  monkeypatch.undo()
  frames = []
  monkeypatch.setattr(
      jax, "pure_callback",
      lambda unused, shapes, emulator, actions, *_, **__: (
          frames.append(actions),
          [jnp.zeros(s.shape, s.dtype) for s in shapes],
      )[1],
  )  # fmt: skip
  for seed in range(100):
    chance = jax.random.key_data(jax.random.key(seed))
    game.step(start._replace(chance=chance), jnp.int32(2))
  frames = np.array(frames)
  # Idle at frame k where the first k + 1 draws all stick.
  np.testing.assert_allclose(
      (frames == 0).mean(axis=0), 0.25 ** np.arange(1, 5), atol=0.12
  )
  assert (np.diff(frames, axis=1) >= 0).all()


def test_a_view_is_the_last_four_pictures(game, step):
  assert game.observation_shape == (96, 96, 4)
  state = game.init(jax.random.key(0))
  views = [game.observation(state)]
  assert (views[0] == views[0][..., :1]).all()  # Nothing has moved.
  for _ in range(4):
    state = step(state, jnp.int32(2))
    views.append(game.observation(state))
  for before, after in zip(views, views[1:]):
    np.testing.assert_array_equal(before[..., 1:], after[..., :-1])
  assert views[-1].dtype == jnp.uint8 and views[-1].shape == (96, 96, 4)
  assert (views[-1][..., 0] != views[-1][..., -1]).any()
  whole = np.full((210, 160), 87, np.uint8)
  assert (atari._shrink(jnp.asarray(whole)) == 87).all()


def test_every_game_of_the_benchmark_comes_with_the_extra():
  roms = pytest.importorskip(
      "ale_py.roms", reason="needs ale-py, the extra atari"
  )
  assert len(atari.ROMS) == 26 and set(atari.ROMS) <= set(
      roms.get_all_rom_ids()
  )


def test_a_missing_package_is_said_with_its_remedy(monkeypatch):
  monkeypatch.setitem(sys.modules, "ale_py", None)
  with pytest.raises(PackageNotFoundError, match=r"mulearn\[atari\]"):
    atari.GAMES["atari_pong"]()
