"""A round of a board: what is searched again is what was seen."""

import jax
from jax.sharding import PartitionSpec
import numpy as np
import pytest

from mulearn import board_run
from mulearn.learn import board_round
from mulearn.model.board_world import BoardObservation
from mulearn.replay import buffer
from mulearn.replay.buffer import replay_of
from mulearn.search.plan import improved_value
from mulearn.types import Trajectory

KEY = jax.random.key(7)
FIELDS = ("policy", "improvement", "value")


@pytest.fixture(scope="module")
def config(board_config):
  return board_config("world")


def _filled(config, rounds=1):
  """A run that has played a few rounds and not yet learned."""
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  for i in range(rounds):
    board_run.play_and_learn(run, jax.random.key(i), KEY, num_updates=0)
  return run


def _program(run, **changes):
  return board_round.Program(
      **{
          "settings": board_run.BoardSettings.from_config(run.config),
          "self_play": run.config.self_play,
          "num_simulations": 4,
          "step_limit": 9,
          "replay": replay_of(run.config),
          "num_updates": 1,
          "num_reanalysed": 8,
          "mesh": run.agent.mesh,
      }
      | changes
  )


def test_a_stored_move_is_searched_as_its_position_was(
    config, make_board_networks, board_states
):
  run, networks = _filled(config), make_board_networks("world")
  program = _program(run)
  states = board_states((), (4,), (4, 0, 8), (1, 2, 3, 4))
  game = program.settings.environment
  zeros = np.zeros(4, np.float32)
  moves = Trajectory(
      observation=jax.vmap(game.observation)(states),
      invalid=jax.vmap(game.invalid)(states),
      prior_logits=np.zeros((4, 9), np.float32),
      policy=None, improvement=None, action=None, held_out=None,
      value=zeros, reward=zeros, discount=zeros, truncated=zeros > 0,
  )  # fmt: skip
  search_again = jax.shard_map(
      program.search_again,
      mesh=program.mesh,
      in_specs=PartitionSpec(),
      out_specs=PartitionSpec(),
      check_vma=False,
  )
  found = jax.jit(search_again)(networks, KEY, moves)
  plan = program.settings.plan(
      networks,
      KEY,
      states,
      num_simulations=4,
      deterministic=False,
      mesh=program.mesh,
  )
  np.testing.assert_allclose(found["policy"], plan.policy, atol=1e-5)
  np.testing.assert_allclose(found["improvement"], plan.improvement, atol=1e-3)
  np.testing.assert_allclose(found["value"], improved_value(plan), atol=1e-5)
  assert not np.asarray(found["policy"])[np.asarray(moves.invalid)].any()
  assert BoardObservation(moves.observation, moves.invalid).planes.ndim == 4


def _reanalysed(config, networks, num_reanalysed):
  """The moves of a memory before and after a round that learns nothing."""
  run = _filled(config, rounds=2)
  before = jax.tree.map(np.array, run.memory.experience)
  program = _program(run, num_updates=0, num_reanalysed=num_reanalysed)
  state = jax.tree.map(lambda x: x + 0, run.state)
  state = board_run.TrainState(
      jax.tree.map(lambda x: x + 0, networks), state.opt_state, state.step
  )
  learner = board_round.Static(board_run.learner_of(config))
  _, memory, _, _ = board_round.play_round(
      state, run.memory, run.lanes, KEY, KEY, program=program, learner=learner
  )
  held = int(buffer.num_moves(memory)) // config.env.num_lanes
  return before, jax.tree.map(np.array, memory.experience), held


def test_a_round_refreshes_stored_moves_and_nothing_else(
    config, make_board_networks
):
  networks = make_board_networks("world")
  before, after, held = _reanalysed(config, networks, 400)
  before_none, plain, _ = _reanalysed(config, networks, 0)
  jax.tree.map(np.testing.assert_array_equal, before, before_none)
  old = held - config.self_play.num_plies  # Moves a lane before this round.
  for name in Trajectory._fields:
    refreshed, stored = getattr(after, name), getattr(plain, name)
    if name not in FIELDS:
      np.testing.assert_array_equal(refreshed, stored)
      continue
    changed = refreshed != stored
    changed = changed.reshape(*changed.shape[:2], -1).any(axis=-1)
    # 400 draws of 48 moves leave few out; nothing beyond them is touched.
    assert changed[:, :old].mean() > 0.8 and not changed[:, held:].any()
  np.testing.assert_allclose(after.policy[:, :held].sum(-1), 1.0, rtol=1e-5)
  assert not after.policy[after.invalid].any()


def test_the_newest_networks_find_something_else(config, make_board_networks):
  one, two = (
      _reanalysed(config, make_board_networks("world", seed), 400)[1]
      for seed in (0, 5)
  )
  assert np.abs(one.policy[:, :8] - two.policy[:, :8]).max() > 1e-3
