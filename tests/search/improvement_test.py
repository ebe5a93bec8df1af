"""Gumbel search improves the policy, for every draw of its noise.

Danihelka et al. 2022, https://openreview.net/forum?id=bERaNdoegnO, example 1
and section 3: with two simulations of three actions, the best of the two that
the prior likes most has value 0, and sampling from the prior .2.
"""

import functools

import jax
import jax.numpy as jnp

from mulearn.config import SearchConfig
from mulearn.model.bandit import Bandit
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib

Q = jnp.array([0.0, 0.0, 1.0])
PI = jnp.array([0.5, 0.3, 0.2])


@functools.partial(jax.jit, static_argnames=("batch", "num_simulations"))
def _draws(q, pi, batch, num_simulations, key):
  """Values of what search chose, and of what its noise alone would choose."""
  bandit = Bandit(q[None], jnp.log(pi)[None])
  rows = jnp.zeros(batch, jnp.int32)
  root = bandit.root(key, rows, jnp.zeros((batch, q.size)))
  config = SearchConfig(max_considered=q.size, value_scale=1.0)
  plan = plan_lib.plan(
      bandit,
      key,
      root,
      search=plan_lib.gumbel(config),
      num_simulations=num_simulations,
      mesh=make_mesh(jax.devices()[:1]),
  )
  noise = plan.tree.extra_data.root_gumbel
  drawn = jnp.argmax(noise + jnp.log(pi), axis=-1)
  return q[plan.action], q[drawn], plan.policy


def test_two_simulations_of_three_actions():
  chosen, drawn, policy = _draws(Q, PI, 20_000, 2, jax.random.key(0))
  # P(best among the first two drawn) = .2 + .5 .2/.5 + .3 .2/.7.
  assert abs(chosen.mean() - 0.4857) < 0.01
  assert abs(drawn.mean() - 0.2) < 0.01
  assert (chosen - drawn).min() >= 0.0
  # The policy to be learned is better than the prior, too.
  assert float((policy @ Q).mean()) > 0.2


def test_no_draw_is_made_worse():
  q = jax.random.uniform(jax.random.key(1), (9,))
  pi = jax.nn.softmax(2.0 * jax.random.normal(jax.random.key(2), (9,)))
  chosen, drawn, _ = _draws(q, pi, 2_000, 6, jax.random.key(3))
  assert (chosen - drawn).min() >= 0.0
  assert (chosen - drawn).mean() > 0.05
