"""Self-play: who moves, who wins, where games end, and that no lane waits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act import self_play
from mulearn.act.board_agent import BoardSettings
from mulearn.config import SelfPlayConfig
from mulearn.env.games import make_environment
from mulearn.parallel.mesh import make_mesh

GAME = make_environment("tic_tac_toe")
LANES, PLIES = 6, 24


def _play(
    settings, networks, *, step_limit=9, key=0, num_random=None, **changes
):
  config = SelfPlayConfig(num_plies=PLIES, **changes)

  @jax.jit
  def run(rng_key):
    start_key, play_key = jax.random.split(rng_key)

    def plan(rng_key, state):
      return settings.plan(
          networks, rng_key, state, num_simulations=4, deterministic=False,
          mesh=make_mesh(jax.devices()[:1]),
      )  # fmt: skip

    lanes = self_play.start(GAME, start_key, LANES, config)
    if num_random is not None:
      lanes = lanes._replace(num_random=jnp.full(LANES, num_random))
    return self_play.play(
        lanes,
        play_key,
        plan=plan,
        environment=GAME,
        step_limit=step_limit,
        config=config,
    )

  return jax.tree.map(np.asarray, run(jax.random.key(key)))


@pytest.fixture(scope="module")
def settings(board_config):
  return BoardSettings.from_config(board_config("simulator"))


@pytest.fixture(scope="module")
def games(settings, make_board_networks):
  return _play(settings, make_board_networks("simulator"))


def test_what_is_stored_are_games_by_the_rules(games):
  """Every move played again from the start: boards, turns, ends, rewards."""
  _, moves, counts = games
  step, ended = jax.jit(GAME.step), 0
  for lane in range(LANES):
    state = GAME.init(jax.random.key(0))
    for t in range(PLIES):
      np.testing.assert_array_equal(
          moves.observation[lane, t], GAME.observation(state)
      )
      np.testing.assert_array_equal(moves.invalid[lane, t], GAME.invalid(state))
      action = moves.action[lane, t]
      assert not moves.invalid[lane, t, action]
      state = step(state, action)
      over = bool(GAME.terminated(state))
      assert moves.discount[lane, t] == (0.0 if over else -1.0)
      assert moves.reward[lane, t] == GAME.reward(state)
      assert moves.reward[lane, t] == 0.0 or over
      assert not moves.truncated[lane, t]
      if over:  # The next move is the first of another game.
        ended += 1
        state = GAME.init(jax.random.key(0))
  assert counts["games"] == ended > LANES
  assert counts["cut"] == 0


def test_the_policy_is_over_legal_moves(games):
  _, moves, _ = games
  np.testing.assert_allclose(moves.policy.sum(axis=-1), 1.0, atol=1e-5)
  assert (moves.policy[moves.invalid] == 0.0).all()


def test_a_game_is_cut_at_the_step_limit_and_the_lane_goes_on(
    settings, make_board_networks
):
  lanes, moves, counts = _play(
      settings, make_board_networks("simulator"), step_limit=3
  )
  expected = np.arange(PLIES) % 3 == 2  # No game ends in three moves.
  np.testing.assert_array_equal(moves.truncated, np.tile(expected, (LANES, 1)))
  assert (moves.discount == -1.0).all()
  stones = moves.observation.sum(axis=(2, 3, 4))
  np.testing.assert_array_equal(
      stones, np.tile(np.arange(PLIES) % 3, (LANES, 1))
  )
  assert (lanes.ply == 0).all()
  assert counts["cut"] == counts["games"] == LANES * PLIES / 3


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_openings_are_random_as_often_as_was_asked(
    settings, make_board_networks, rate
):
  """Without openings and temperature the searched move is what is played."""
  networks = make_board_networks("simulator")
  networks.policy.kernel[...] *= 0.0
  networks.policy.bias[...] = jnp.where(jnp.arange(9) == 4, 100.0, 0.0)
  _, moves, _ = _play(
      settings, networks, opening_rate=rate, opening_plies=1,
      temperature_plies=0,
  )  # fmt: skip
  first = moves.observation.sum(axis=(2, 3, 4)) == 0
  centre = (moves.action[first] == 4).mean()
  assert centre == 1.0 if rate == 0.0 else centre < 0.5


def test_lanes_open_differently_and_as_long_as_was_asked():
  config = SelfPlayConfig(opening_rate=0.5, opening_plies=3)
  lanes = self_play.start(GAME, jax.random.key(0), 4000, config)
  counts = np.bincount(lanes.num_random, minlength=4) / 4000
  np.testing.assert_allclose(counts, [0.5, 1 / 6, 1 / 6, 1 / 6], atol=0.03)
  none = SelfPlayConfig(opening_rate=1.0, opening_plies=0)
  assert not self_play.start(GAME, jax.random.key(0), 9, none).num_random.any()


@pytest.mark.parametrize("exponent", [-1.0, 1.0, 2.0])
def test_long_openings_are_as_common_as_was_asked(exponent):
  config = SelfPlayConfig(
      opening_rate=1.0, opening_plies=3, opening_exponent=exponent
  )
  lanes = self_play.start(GAME, jax.random.key(0), 4000, config)
  chances = np.arange(1, 4) ** exponent
  np.testing.assert_allclose(
      np.bincount(lanes.num_random, minlength=4)[1:] / 4000,
      chances / chances.sum(),
      atol=0.03,
  )


def test_openings_at_once_are_games_that_nobody_has_won():
  config = SelfPlayConfig(
      opening_rate=0.9, opening_plies=9, openings_at_once=True
  )
  start = jax.jit(lambda key: self_play.start(GAME, key, 4000, config))
  lanes = start(jax.random.key(0))
  planes = np.asarray(jax.vmap(GAME.observation)(lanes.state))
  np.testing.assert_array_equal(planes.sum(axis=(1, 2, 3)), lanes.ply)
  assert not jax.vmap(GAME.terminated)(lanes.state).any()
  assert not lanes.num_random.any()  # What is left is played.
  shares = np.bincount(lanes.ply, minlength=10) / 4000
  # Eight stones that end nothing are not always to be had; nine never are.
  np.testing.assert_allclose(shares[:6], 0.1, atol=0.02)
  assert shares[9] == 0.0 and shares[6:].sum() > 0.35
  once = planes[lanes.ply == 1].sum(axis=(0, 3)).ravel()
  np.testing.assert_allclose(once / once.sum(), 1 / 9, atol=0.05)


def test_of_openings_at_once_nothing_is_remembered(
    settings, make_board_networks
):
  """All that is stored was searched: here, for the centre before all else."""
  networks = make_board_networks("simulator")
  networks.policy.kernel[...] *= 0.0
  networks.policy.bias[...] = jnp.where(jnp.arange(9) == 4, 100.0, 0.0)
  how = dict(opening_rate=1.0, opening_plies=4, temperature_plies=0)
  shares = []
  for at_once in (True, False):
    _, moves, _ = _play(settings, networks, openings_at_once=at_once, **how)
    is_free = ~moves.invalid[..., 4]
    shares.append((moves.action[is_free] == 4).mean())
  assert shares[0] == 1.0 and shares[1] < 0.7
