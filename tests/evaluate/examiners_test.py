"""An agent of a game that nobody has solved is judged by its games."""

import jax
import jax.numpy as jnp
import pytest

from mulearn.env.hex import Hex
from mulearn.evaluate import examiners
from mulearn.evaluate import hex as hex_lib
from mulearn.types import Node, Plan


class _Agent:
  """Searches perfectly; its bare policy likes the last free cell."""

  environment = Hex(3)

  def __init__(self):
    self._perfect = hex_lib.perfect_player(self.environment)

  def plan(self, rng_key, state, num_simulations=None):
    action = self._perfect(rng_key, state)
    return Plan(action, action, None, None, None, None)

  def glance(self, state):
    invalid = jax.vmap(self.environment.invalid)(state)
    likes = jnp.broadcast_to(jnp.arange(9.0), invalid.shape)
    return Node(state, None, likes, invalid, None, None, None)


def test_points_are_those_of_the_games():
  """Against random play, which needs no search to be compiled."""
  found = examiners.by_opponent(
      _Agent(), jax.random.key(0), num_playouts=0, num_pairs=64
  )
  assert found["points"] > 0.85 > 0.75 > found["policy_points"] > 0.25
  for name in ("othello", "go_9x9", "gardner_chess"):
    assert examiners.EXAMINERS[name].keywords["num_playouts"] == 0


def test_each_line_is_judged_by_its_measure():
  assert examiners.measure_of({"optimal_rate": 1.0, "env_steps": 3}) == (
      "optimal_rate"
  )
  assert examiners.measure_of({"mean_return": 2.0}) == "mean_return"
  with pytest.raises(ValueError, match="found loss/value, of which"):
    examiners.measure_of({"loss/value": 1.0})
  # What is solved is held against its solution.
  by_opponent = {
      name
      for name, examine in examiners.EXAMINERS.items()
      if examine is examiners.by_opponent
  }
  assert by_opponent == {f"hex_{size}" for size in range(5, 12)}
