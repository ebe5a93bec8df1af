"""Our simulations grow the trees of mctx, to the last node."""

import functools

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest

from mulearn.search import simulations

A, B, NUM_SIMULATIONS = 4, 6, 24


# What each node draws: compiled at once, which random numbers are not.
_DRAWS = np.random.default_rng(0).normal(size=(1009, A + 3))


def _draw(seed):
  """Logits, value, reward and discount of nodes `[B]`, by their seed."""
  draws = jnp.asarray(_DRAWS, jnp.float32)[seed]
  discount = jnp.where(draws[:, -1] > 1.0, 0.0, -0.9)
  return draws[:, :A], draws[:, A], draws[:, A + 1], discount


def _recurrent(scale, rng_key, action, seed):
  """A random world that also hears the key it is given."""
  seed = (seed * 31 + action * 7 + 1) % len(_DRAWS)
  logits, value, reward, discount = _draw(seed)
  noise = 0.1 * jax.random.normal(rng_key, value.shape)
  output = mctx.RecurrentFnOutput(
      reward=scale * reward,
      discount=discount,
      prior_logits=logits,
      value=scale * (value + noise),
  )
  return output, seed


@functools.partial(jax.jit, static_argnames=("policy", "with_ours"))
def _search(rng_key, *, policy, max_depth, with_ours):
  seed = jnp.arange(B) * 17 + 3
  logits, value, _, _ = _draw(seed)
  scale = jnp.float32(2.0)
  select = functools.partial(
      mctx.gumbel_muzero_root_action_selection,
      num_simulations=NUM_SIMULATIONS,
      max_num_considered_actions=3,
  )
  policy, select_root, select_interior = {
      "gumbel": (
          functools.partial(
              mctx.gumbel_muzero_policy, max_num_considered_actions=3
          ),
          select,
          mctx.gumbel_muzero_interior_action_selection,
      ),
      "puct": (
          mctx.muzero_policy,
          functools.partial(mctx.muzero_action_selection, depth=0),
          mctx.muzero_action_selection,
      ),
  }[policy]
  loop = simulations.make_loop(
      scale,
      _recurrent,
      select_root=select_root,
      select_interior=select_interior,
      max_depth=max_depth,
  )
  return policy(
      scale,
      rng_key,
      mctx.RootFnOutput(prior_logits=logits, value=value, embedding=seed),
      _recurrent,
      NUM_SIMULATIONS,
      invalid_actions=(logits > 1.0).at[:, 0].set(False),
      max_depth=max_depth,
      loop_fn=loop if with_ours else jax.lax.fori_loop,
  )


@pytest.mark.parametrize("policy", ["gumbel", "puct"])
@pytest.mark.parametrize("max_depth", [1, 3, NUM_SIMULATIONS])
def test_trees_are_those_of_mctx(policy, max_depth):
  """Every array of the tree, where the depth is exhausted and where not."""
  ours, theirs = (
      _search(
          jax.random.key(4), policy=policy, max_depth=max_depth, with_ours=w
      )
      for w in (True, False)
  )
  assert int(theirs.search_tree.node_visits[:, 0].min()) == NUM_SIMULATIONS + 1
  exhausted = int((theirs.search_tree.node_visits == 0).sum()) > 0
  assert exhausted == (max_depth < NUM_SIMULATIONS)
  for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    if jnp.issubdtype(x.dtype, jnp.floating):
      np.testing.assert_allclose(x, y, atol=1e-5)
    else:
      np.testing.assert_array_equal(x, y)
