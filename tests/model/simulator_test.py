"""AlphaZero's model: signs, ends, and the same search as bare mctx."""

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest

from mulearn.act.board_agent import BoardSettings
from mulearn.model.base import mask_logits
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib

LINES = ((), (4,), (0, 3, 1, 4), (0, 4, 8, 1), (4, 0, 8, 1, 3))


@pytest.fixture
def settings(board_config):
  return BoardSettings.from_config(board_config("simulator"))


def test_a_win_is_the_movers_and_ends_the_game(
    settings, make_board_networks, board_states
):
  model = settings.model(make_board_networks("simulator"))
  states = board_states((0, 3, 1, 4), (0, 3, 1, 4))
  node = model.step(jax.random.key(0), states, jnp.array([2, 8]))
  np.testing.assert_array_equal(node.reward, [1.0, 0.0])
  np.testing.assert_array_equal(node.discount, [0.0, -1.0])
  assert node.value[0] == 0.0 and node.value[1] != 0.0
  # Whatever is played after the end, nothing comes of it.
  after = model.step(jax.random.key(0), node.state, jnp.array([5, 5]))
  assert after.reward[0] == 0.0 and after.discount[0] == 0.0


def test_the_slots_are_the_actions_and_taken_cells_are_invalid(
    settings, make_board_networks, board_states
):
  node = settings.root(
      make_board_networks("simulator"), jax.random.key(0), board_states((4, 0))
  )
  assert node.actions is None  # Slots are the squares.
  np.testing.assert_array_equal(np.flatnonzero(node.invalid[0]), [0, 4])


def _bare(settings, networks, rng_key, states, *, num_simulations):
  """The same search, written for mctx alone: no nodes, no slots."""
  game = settings.environment

  def judge(state):
    planes = jax.vmap(game.observation)(state)
    logits, value = networks.predict(networks.represent(planes))
    logits = mask_logits(logits, jax.vmap(game.invalid)(state))
    return logits, settings.support.to_scalar(value)

  def recurrent_fn(unused_params, unused_key, action, state):
    state = jax.vmap(game.step)(state, action)
    logits, value = judge(state)
    over = jax.vmap(game.terminated)(state)
    output = mctx.RecurrentFnOutput(
        reward=jax.vmap(game.reward)(state),
        discount=jnp.where(over, 0.0, -1.0),
        prior_logits=logits,
        value=jnp.where(over, 0.0, value),
    )
    return output, state

  logits, value = judge(states)
  search = plan_lib.POLICIES[settings.search.policy](settings.search)
  return search(
      (),
      rng_key,
      mctx.RootFnOutput(prior_logits=logits, value=value, embedding=states),
      recurrent_fn,
      num_simulations=num_simulations,
      invalid_actions=jax.vmap(game.invalid)(states),
  )


@pytest.mark.parametrize("policy", ["gumbel", "puct"])
def test_with_all_actions_as_slots_it_is_mctx_for_the_same_keys(
    policy, board_config, make_board_networks, board_states
):
  config = board_config("simulator")
  search = type(config.search)(policy=policy, max_considered=9)
  config = type(config)(env=config.env, model=config.model, search=search)
  config.learn.discount = 1.0
  settings = BoardSettings.from_config(config)
  networks, states = make_board_networks("simulator"), board_states(*LINES)
  key = jax.random.key(5)
  plan = jax.jit(
      lambda key, states: settings.plan(
          networks, key, states, num_simulations=24, deterministic=False,
          mesh=make_mesh(jax.devices()[:1]),
      )
  )(key, states)  # fmt: skip
  # `plan` gives search its second key, and each shard a part of that.
  search_key = jax.random.fold_in(jax.random.split(key)[1], 0)
  bare = jax.jit(
      lambda key, states: _bare(
          settings, networks, key, states, num_simulations=24
      )
  )(search_key, states)
  np.testing.assert_array_equal(plan.slot, bare.action)
  np.testing.assert_array_equal(plan.action, bare.action)
  for name in ("children_visits", "children_index", "node_visits"):
    np.testing.assert_array_equal(
        getattr(plan.tree, name), getattr(bare.search_tree, name)
    )
  np.testing.assert_allclose(
      plan.tree.node_values, bare.search_tree.node_values, atol=1e-6
  )
  np.testing.assert_allclose(plan.policy, bare.action_weights, atol=1e-6)
