"""Runs that learn from games of others: nothing is played, and they learn."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.unplugged import config as shipped
from experiments.unplugged import make_data
from mulearn import board_run, board_train, train
from mulearn.learn import learners
from mulearn.replay import buffer, demonstrations, recorded
from mulearn.replay.buffer import replay_of

_NUM_GAMES = 24


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  """A small data set, made as the experiment makes its own."""
  path = tmp_path_factory.mktemp("unplugged") / "data"
  games = list(make_data.play(_NUM_GAMES, seed=3))
  return demonstrations.write(
      path,
      games,
      provenance=make_data.provenance(games, seed=3),
      layout=recorded.layout(games[0].observation[0]),
  )


def _config(arm, data):
  """The arm, with two rounds of two updates."""
  config = shipped.get_config(arm)
  config.num_steps, config.eval_every = 32, 16
  config.checkpoint_every_seconds = 0.0
  config.env.num_lanes, config.self_play.num_plies = 4, 4
  config.model.width, config.model.num_bins = 8, 5
  config.search.num_simulations = config.search.num_eval_simulations = 2
  config.replay = dataclasses.replace(
      config.replay, data=str(data), capacity=256, batch_size=4, min_size=16
  )
  config.learn.updates_per_env_step = 1 / 8
  return config


class _Nowhere:
  """Writes nothing."""

  def write(self, step, values):
    del step, values


def _train(config, workdir, stop_at=None):
  rounds = itertools.count(1)
  hooks = train.Hooks(_Nowhere(), lambda: next(rounds) == stop_at)
  return board_train.train(config, workdir, begin=lambda _: hooks)


def _equal(a, b):
  np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_the_data_set_is_what_its_card_says(data):
  source = demonstrations.read(data, layout=recorded.layout())
  stored = [source[i] for i in range(len(source))]
  again = list(make_data.play(_NUM_GAMES, seed=3))
  assert make_data.digest(stored) == make_data.digest(again)
  assert (
      f'"sha256": "{make_data.digest(stored)}"'
      in (data / "provenance.json").read_text()
  )
  other = list(make_data.play(_NUM_GAMES, seed=4))
  assert make_data.digest(stored) != make_data.digest(other)


def test_the_player_runs_for_the_plain_ball_and_strays():
  games = list(make_data.play(300, seed=0))
  rows, columns, _ = games[0].observation.shape[1:]
  where = np.argmax(
      np.stack([g.observation[:-1].any(axis=1) for g in games]), axis=2
  )  # Columns of gold, plain and paddle, [games, moves, 3].
  action = np.stack([g.action for g in games])
  chase = np.sign(where[..., 1] - where[..., 2]) + 1
  share = (action == chase).mean(axis=1)
  assert share.mean() == pytest.approx(0.5 + 0.5 / 3, abs=0.05)
  assert (share == 1.0).sum() > 30 and (share < 0.5).sum() > 60
  assert (rows, columns) == games[0].observation.shape[1:3]


# All have been run whole; the other two are the first with fewer moves unrolled.
@pytest.mark.parametrize("arm", ["bc_5", "crr", "reanalyse"])
def test_an_arm_learns_and_plays_nothing(arm, data, tmp_path):
  """Two rounds, examined; one is stopped, and goes on to the same bits."""
  config = _config(arm, data)
  key = jax.random.key(0)
  before = jax.tree.map(np.asarray, board_run.begin(config, key, key).memory)
  run = _train(config, tmp_path / "whole")
  assert run.env_steps == 32 and int(run.state.step) == 4
  assert len(run.curve) == 3 and 0.0 <= run.curve[-1]["mean_return"] <= 0.4
  assert int(buffer.num_moves(run.memory)) == 5 * _NUM_GAMES
  # What was seen, done and earned stays; what is taught of it may not.
  for name in ("observation", "action", "reward", "discount"):
    _equal(
        getattr(run.memory.experience, name), getattr(before.experience, name)
    )
  changed = np.asarray(run.memory.experience.value) != before.experience.value
  assert changed.any() == (arm in ("crr", "reanalyse"))
  assert (np.asarray(run.lanes.ply) == 0).all()
  if arm != "reanalyse":
    return
  with pytest.raises(train.Interrupted):
    _train(config, tmp_path / "parts", stop_at=1)
  rest = _train(config, tmp_path / "parts")
  jax.tree.map(_equal, (run.state, run.memory), (rest.state, rest.memory))


def test_with_no_gradient_of_imagined_moves_the_latent_is_of_the_root(data):
  """`bc_0`: the model learns, but the board is read as if there were none."""
  config = _config("bc_0", data)
  config.learn = dataclasses.replace(
      config.learn, value_weight=0.0, consistency_weight=0.0
  )
  key = jax.random.key(0)
  run = board_run.begin(config, key, key)
  learner, replay = board_run.learner_of(config), replay_of(config)
  moves = replay.sample(run.memory, key).trajectory
  # The root teaches nothing, and the imagined position alone all there is.
  first = jnp.arange(moves.policy.shape[1])[:, None] == 0
  moves = moves._replace(policy=jnp.where(first, 0.0, moves.policy))

  def pull(share):
    config.learn = dataclasses.replace(config.learn, unroll_gradient=share)
    one = dataclasses.replace(learner, config=config.learn)
    loss = one.objective(run.state, moves, jnp.ones(4))
    networks = jax.tree.map(lambda x: x + 0.01, run.state.params)
    return jax.jit(jax.grad(loss, has_aux=True))(networks)[0]

  stopped, handed_on = pull(0.0), pull(0.5)
  assert not np.asarray(stopped.read.kernel[...]).any()
  assert np.asarray(handed_on.read.kernel[...]).any()
  assert np.asarray(stopped.move_in.kernel[...]).any()


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"model.kind": "ppo"}, "learns from its own games alone"),
        ({"learn.teacher": "nobody"}, "must be search or critic"),
        ({"replay.reanalysed_per_env_step": 0.0}, "that are looked at again"),
        ({"model.kind": "simulator"}, "replay holds no more than the view"),
    ],
)
def test_a_config_that_cannot_be_says_so(changes, says):
  config = shipped.get_config("crr")
  if "ppo" in changes.values():
    config.replay.reanalysed_per_env_step = 0.0
  for name, value in changes.items():
    part, field = name.split(".")
    setattr(getattr(config, part), field, value)
  with pytest.raises(ValueError, match=says):
    learners.check(config)


def test_no_data_set_is_one_clear_error(tmp_path):
  key = jax.random.key(0)
  with pytest.raises(FileNotFoundError, match="holds no dataset"):
    board_run.begin(_config("bc_1", tmp_path / "none"), key, key)
