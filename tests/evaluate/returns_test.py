"""What episodes return: counted as the rules pay, and cut at the limit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.config import Config
from mulearn.env.games import make_environment
from mulearn.evaluate import returns
from mulearn.evaluate.examiners import EXAMINERS
from mulearn.types import Plan


@dataclasses.dataclass
class _Pusher:
  """Pushes the cart always to the right, or with the lean of the pole."""

  config: Config
  follows: bool

  @property
  def environment(self):
    return make_environment("cartpole")

  def plan(self, rng_key, state):
    del rng_key
    seen = jax.vmap(self.environment.observation)(state)
    lean = (
        seen @ jnp.array([0.1, 0.2, 1.0, 1.0]) if self.follows else seen[:, 0]
    )
    action = jnp.where(self.follows, lean > 0, True).astype(jnp.int32)
    return Plan(action, action, None, None, None, None)


def _examine(follows, step_limit=60):
  config = Config()
  config.env.step_limit = step_limit
  return returns.examine(_Pusher(config, follows), jax.random.key(0), 8)


def test_a_pole_that_nobody_holds_falls_in_nine_or_ten_steps():
  found = _examine(follows=False)
  assert 8.0 <= found["least_return"] <= found["mean_return"] <= 11.0
  # Each step pays 1, and none after the end.
  assert found["mean_return"] == found["mean_length"]
  assert 0.0 < found["return_error"] < 1.0


def test_a_pole_that_is_held_earns_the_limit():
  found = _examine(follows=True)
  assert found["mean_return"] == found["least_return"] == 60.0
  np.testing.assert_equal(found["return_error"], 0.0)


def test_the_score_of_a_game_is_what_its_examiner_finds():
  assert EXAMINERS["cartpole"] is returns.examine
