"""A run on a real game: stopping anywhere changes nothing, NaN stops it."""

import dataclasses
import re
import types

import jax
import numpy as np
import pytest

from mulearn import config as c
from mulearn import run as run_lib
from mulearn import train
from mulearn.checkpoint import Checkpointer
from mulearn.env.base import FOLD_SEEDS
from mulearn.keys import Keys
from mulearn.parallel import compilations
from mulearn.parallel.mesh import make_mesh
from mulearn.prior.base import UniformPrior
from mulearn.replay import demonstrations

STEPS, IMITATION = 24, 20


class OpinionatedPrior(UniformPrior):
  """Likes short commands: a prior without a language model."""

  def __call__(self, observations):
    rows = []
    for o in observations:
      scores = -0.2 * np.array([len(command) for command in o.commands])
      rows.append((scores - np.log(np.exp(scores).sum())).astype(np.float32))
    return rows


@pytest.fixture(scope="module")
def config(tiny_config):
  return dataclasses.replace(
      tiny_config,
      seed=3,
      num_steps=STEPS,
      imitation_steps=IMITATION,
      eval_every=8,
      checkpoint_every_seconds=1e9,
      env=c.EnvConfig(
          name="twc",
          params={"numLocations": 1, "numItemsToPutAway": 1},
          step_limit=6,
          num_train_games=6,
          num_dev_games=2,
          num_lanes=2,
          num_eval_lanes=2,
          num_processes=1,
      ),
      model=dataclasses.replace(
          tiny_config.model, num_slots=24, max_facts=32, max_phrases=512
      ),
      learn=dataclasses.replace(tiny_config.learn, updates_per_env_step=1.0),
  )


@pytest.fixture(scope="module")
def pool(config):
  with run_lib.make_pool(config) as games:
    yield games


@pytest.fixture(scope="module")
def gold(config, tmp_path_factory):
  spec, seeds = run_lib.game_spec(config), FOLD_SEEDS["train"][:4]
  directory = demonstrations.write(
      tmp_path_factory.mktemp("gold"),
      demonstrations.collect_gold(spec, "train", seeds),
      provenance=demonstrations.gold_provenance(spec, "train", seeds),
  )
  return demonstrations.read(directory)


@dataclasses.dataclass
class Record:
  """A writer that keeps everything; also counts the calls to `should_stop`."""

  lines: list = dataclasses.field(default_factory=list)
  warnings: list = dataclasses.field(default_factory=list)
  began: tuple = ()
  asked: int = 0

  def write(self, step, values):
    self.lines.append({"step": step, **values})


@pytest.fixture(scope="module")
def learn(pool, embed, gold):
  """(config, directory, record, stop_at) -> a finished run."""

  def start(config, directory, record, stop_at=None):
    def should_stop():
      record.asked += 1
      return record.asked == stop_at

    def begin(run):
      record.began = (int(run.state.step), run.env_steps)
      return train.Hooks(record, should_stop)

    return train.train(
        config,
        directory,
        prior=OpinionatedPrior(),
        embed=embed,
        pool=pool,
        demonstrations=gold,
        begin=begin,
    )

  return start


@pytest.fixture(scope="module")
def whole(config, learn, tmp_path_factory):
  """A run that nobody stopped, what it wrote, and where it is."""
  record, directory = Record(), tmp_path_factory.mktemp("whole")

  def warn(text, *values):
    record.warnings.append(text % values)

  jax.clear_caches()
  counting = compilations.Compilations()
  with counting.during("A run"):
    pass  # Of what comes a second time, it says what was compiled.
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(compilations.logging, "warning", warn)
    with counting.during("A run"):
      run = learn(config, directory, record)
  return run, record, directory


def _assert_equal_runs(actual, expected):
  for part in ("state", "memory"):
    ours = jax.tree.leaves(getattr(actual, part))
    theirs = jax.tree.leaves(getattr(expected, part))
    assert len(ours) == len(theirs) > 2
    for a, b in zip(ours, theirs):
      np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
  assert actual.env_steps == expected.env_steps
  assert actual.curve == expected.curve
  assert actual.trust == expected.trust
  assert actual.actor.save() == expected.actor.save()
  for a, b in zip(
      jax.tree.leaves(actual.agent.phrases.save()),
      jax.tree.leaves(expected.agent.phrases.save()),
  ):
    np.testing.assert_array_equal(a, b)


def test_a_run_learns_and_says_so(whole, config, embed, pool):
  run, record, _ = whole
  assert record.began == (0, 0)
  assert run.env_steps == STEPS
  acts = STEPS // 2
  first = config.replay.min_size // 2  # acts before the first update
  updates = IMITATION + 2 * (acts - first + 1)
  assert int(run.state.step) == updates
  assert [at for at, _ in run.curve] == [0, 8, 16, 24]
  assert len(run.trust) == acts - first + 1
  fresh = run_lib.begin(
      config,
      Keys.from_seed(config.seed).init,
      prior=OpinionatedPrior(),
      embed=embed,
      pool=pool,
  )
  moved = [
      bool((np.asarray(a) != np.asarray(b)).any())
      for a, b in zip(
          jax.tree.leaves(run.state.params), jax.tree.leaves(fresh.state.params)
      )
  ]
  assert np.mean(moved) > 0.8
  steps = [line["step"] for line in record.lines]
  assert steps == sorted(steps) and steps[-1] == updates
  learned = [line for line in record.lines if "loss" in line]
  assert {"loss/policy", "loss/value", "env_steps"} <= set(learned[-1])


def test_each_program_is_compiled_once(whole):
  """And not again for what it returned itself, of another type or place."""
  _, record, _ = whole
  warnings = " ".join(record.warnings)
  counts = dict(re.findall(r"(\w+)\)? \((\d+)\)", warnings))
  assert counts["learn_from_batch"] == counts["learn_from_replay"] == "1"
  assert counts["search_batch"] == "2"  # To act, and to be evaluated.


@pytest.mark.parametrize("stop_at", [1, 4, 10])
def test_stopped_and_continued_is_the_same_to_the_last_bit(
    whole, config, learn, tmp_path, stop_at
):
  # Asked twice while imitating, then once an act: in the imitation, before the
  # first update from the replay, and after it.
  expected, full, _ = whole
  first, second = Record(), Record()
  with pytest.raises(train.Interrupted):
    learn(config, tmp_path, first, stop_at)
  run = learn(config, tmp_path, second)
  assert second.began != (0, 0)
  _assert_equal_runs(run, expected)
  assert first.lines + second.lines == full.lines


def test_killed_again_and_again_is_the_same(whole, config, learn, tmp_path):
  """What a kill leaves is an old checkpoint; the steps after it come again."""
  expected, full, _ = whole
  with pytest.raises(train.Interrupted):
    learn(config, tmp_path, Record(), stop_at=6)
  checkpoints = Checkpointer(tmp_path / "checkpoints")
  before = checkpoints.latest_step()
  lost = Record()

  def die(unused_step, unused_values):
    lost.lines.append(unused_values)
    if len(lost.lines) == 4:
      raise KeyboardInterrupt  # At once: nothing is saved.

  lost.write = die
  with pytest.raises(KeyboardInterrupt):
    learn(config, tmp_path, lost)
  assert checkpoints.latest_step() == before
  _assert_equal_runs(learn(config, tmp_path, Record()), expected)


def test_a_finished_run_is_only_read(whole, config, learn):
  expected, _, directory = whole
  record = Record()
  run = learn(config, directory, record)
  assert record.lines == []
  _assert_equal_runs(run, expected)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_one(
    config, pool, embed, learn, tmp_path, monkeypatch
):
  def explode(state, *args, **kwargs):
    state, metrics = sound(state, *args, **kwargs)
    if int(state.step) > 13:  # Looked at after 10 steps, and after 20.
      nan = jax.tree.map(lambda x: x * np.float32("nan"), state.params)
      state = dataclasses.replace(state, params=nan)
      metrics = metrics | {"loss/value": np.float32("nan")}
    return state, metrics

  sound = train.learn_from_batch
  monkeypatch.setattr(train, "learn_from_batch", explode)
  often = dataclasses.replace(config, checkpoint_every_seconds=0.0)
  with pytest.raises(FloatingPointError) as error:
    learn(often, tmp_path, Record())
  assert "loss/value" in str(error.value)
  assert "learning_rate" in str(error.value)
  # Whatever was saved was looked at.
  run = run_lib.begin(
      config, jax.random.key(0), prior=UniformPrior(), embed=embed, pool=pool
  )
  assert run.restore(Checkpointer(tmp_path / "checkpoints"))
  assert int(run.state.step) == 10
  for leaf in jax.tree.leaves(run.state.params):
    assert np.isfinite(np.asarray(leaf)).all()


@pytest.mark.parametrize(
    "ratio, num_moves", [(0.0, None), (0.5, 1), (1.0, 2), (2.5, 5)]
)
def test_as_many_moves_are_searched_again_as_the_ratio_asks(
    config, monkeypatch, ratio, num_moves
):
  calls = []

  def note(agent, memory, rng_key, *, num_moves):
    calls.append((agent, memory, num_moves))
    return "new"

  monkeypatch.setattr(train, "reanalyse", note)
  run = types.SimpleNamespace(
      config=_reanalysing(config, ratio),
      actor=types.SimpleNamespace(num_lanes=2),
      agent=types.SimpleNamespace(mesh=make_mesh()),
      memory="old",
  )
  train._reanalyse(run, jax.random.key(0))
  if num_moves is None:
    assert not calls and run.memory == "old"
  else:
    assert calls == [(run.agent, "old", num_moves)] and run.memory == "new"


def test_devices_that_cannot_share_what_is_searched_again_are_refused(config):
  assert run_lib.reanalysed_per_act(_reanalysing(config, 2.0), 4) == 4
  with pytest.raises(ValueError, match="4 devices cannot share evenly"):
    run_lib.reanalysed_per_act(_reanalysing(config, 1.0), 4)


def _reanalysing(config, ratio):
  replay = dataclasses.replace(config.replay, reanalysed_per_env_step=ratio)
  return dataclasses.replace(config, replay=replay)


def test_a_run_that_reanalyses_goes_on_to_the_last_bit(
    whole, config, learn, tmp_path
):
  plain, _, _ = whole
  config = _reanalysing(config, 1.0)
  slow = dataclasses.replace(config.learn, target_decay=0.9)
  config = dataclasses.replace(config, learn=slow)
  record, first, second = Record(), Record(), Record()
  expected = learn(config, tmp_path / "whole", record)
  with pytest.raises(train.Interrupted):
    learn(config, tmp_path / "cut", first, stop_at=10)
  assert len(first.lines) < len(record.lines)
  run = learn(config, tmp_path / "cut", second)
  assert second.began != (0, 0)
  _assert_equal_runs(run, expected)
  assert first.lines + second.lines == record.lines
  # It costs no game and no optimiser step, and it changes what is learned.
  assert run.env_steps == plain.env_steps
  assert int(run.state.step) == int(plain.state.step)
  policies = [np.asarray(r.memory.experience.policy) for r in (run, plain)]
  assert (policies[0] != policies[1]).any()
