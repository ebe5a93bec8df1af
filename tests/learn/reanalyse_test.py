"""Reanalyse: drawn moves get a new search, and all else stays as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.act.agent import Agent
from mulearn.config import ReplayConfig
from mulearn.learn import reanalyse as reanalyse_lib
from mulearn.learn.reanalyse import reanalyse
from mulearn.prior.base import UniformPrior
from mulearn.replay import buffer

LANES, HELD, NUM_MOVES = 6, 8, 5
KEY = jax.random.key(4)


@pytest.fixture(params=[False, True], ids=["uniform", "prioritised"])
def memory(make_batch, request):
  """() -> a replay, not full, that holds a batch."""
  replay = buffer.make_replay(
      ReplayConfig(capacity=60, batch_size=4, prioritised=request.param),
      LANES,
      5,
  )
  batch = make_batch(batch=LANES, length=HELD)

  def make():
    example = jax.tree.map(lambda x: jnp.asarray(x[0, 0]), batch)
    return replay.add(replay.init(example), batch)

  return make


@pytest.fixture
def agent(tiny_config, make_networks, phrases):
  return Agent(tiny_config, make_networks(), phrases, UniformPrior())


def _places(memory, num_moves=NUM_MOVES):
  """Which moves the key draws: the lanes and times."""
  draw_key, _ = jax.random.split(KEY)
  return jax.tree.map(
      np.asarray, buffer.draw_places(memory, draw_key, num_moves)
  )


def _search(agent, batch, places):
  """A search of the moves of a batch, with the key of the search."""
  _, search_key = jax.random.split(KEY)
  return agent.search(
      search_key,
      jax.tree.map(lambda x: x[places], batch.observation),
      batch.prior_logits[places],
      num_simulations=agent.config.search.num_simulations,
      deterministic=False,
  )


def test_drawn_moves_get_what_a_search_finds_now(
    agent, memory, make_batch, make_networks
):
  batch = make_batch(batch=LANES, length=HELD)
  places = _places(memory())
  assert len(set(zip(*places))) == NUM_MOVES  # None is drawn twice.
  found = []
  for seed in (0, 7):
    agent.networks = make_networks(seed=seed)
    moves = reanalyse(agent, memory(), KEY, num_moves=NUM_MOVES).experience
    plan = _search(agent, batch, places)
    np.testing.assert_allclose(moves.policy[places], plan.policy, atol=1e-5)
    np.testing.assert_allclose(moves.value[places], plan.value, atol=1e-5)
    np.testing.assert_allclose(
        moves.improvement[places], plan.improvement, atol=1e-3
    )
    found.append(np.asarray(moves.policy[places]))
    assert np.abs(found[-1] - batch.policy[places]).max(axis=1).min() > 1e-3
    np.testing.assert_allclose(found[-1].sum(axis=1), 1.0, rtol=1e-5)
    assert not found[-1][batch.invalid[places]].any()
  assert np.abs(found[0] - found[1]).max() > 1e-3


def test_all_else_stays_as_it_was(agent, memory):
  before = jax.tree.map(np.array, memory())
  places = _places(before)
  after = jax.tree.map(
      np.array, reanalyse(agent, memory(), KEY, num_moves=NUM_MOVES)
  )
  for name in ("policy", "improvement", "value"):
    old, new = (getattr(m.experience, name) for m in (before, after))
    assert (old[places] != new[places]).any()
    old[places] = new[places]
  # The moves drawn aside, not one bit of the memory has changed.
  for x, y in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
    np.testing.assert_array_equal(x, y)


def test_more_moves_than_are_held_can_be_drawn(agent, memory):
  before = np.array(memory().experience.policy)
  after = reanalyse(agent, memory(), KEY, num_moves=400).experience.policy
  changed = (np.asarray(after) != before).any(axis=-1)
  np.testing.assert_array_equal(changed, [[True] * HELD + [False] * 2] * LANES)


def test_many_moves_are_searched_in_batches(memory, monkeypatch):
  """And each gets its own answer: 31 in batches of 8, the last filled up."""
  sizes = []

  def search(rng_key, moves):
    sizes.append(moves.value.shape[0])
    return {"value": moves.value + moves.reward + 1.0}

  whole = reanalyse_lib.refresh(memory(), KEY, search=search, num_moves=31)
  monkeypatch.setattr(reanalyse_lib, "_AT_ONCE", 8)
  parts = reanalyse_lib.refresh(memory(), KEY, search=search, num_moves=31)
  assert sizes == [31, 8]
  jax.tree.map(np.testing.assert_array_equal, whole, parts)
  changed = np.asarray(parts.experience.value != memory().experience.value)
  drawn = np.zeros_like(changed)
  drawn[_places(memory(), 31)] = True
  np.testing.assert_array_equal(changed, drawn)


def test_the_key_decides(agent, memory):
  def policies(seed):
    key = jax.random.key(seed)
    found = reanalyse(agent, memory(), key, num_moves=NUM_MOVES)
    return np.asarray(found.experience.policy)

  np.testing.assert_array_equal(policies(0), policies(0))
  assert (policies(0) != policies(1)).any()


def test_the_language_model_is_not_asked_again(agent, memory):
  class Silent:

    def __call__(self, observations):
      raise AssertionError("The prior was asked.")

  expected = reanalyse(agent, memory(), KEY, num_moves=NUM_MOVES)
  agent.prior = Silent()
  found = reanalyse(agent, memory(), KEY, num_moves=NUM_MOVES)
  np.testing.assert_array_equal(
      found.experience.policy, expected.experience.policy
  )
