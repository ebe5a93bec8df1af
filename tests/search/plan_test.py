"""Search over slots: equivalences, and the same program on eight devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import SearchConfig
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Node

A = 5
CONFIG = SearchConfig(max_considered=4, max_depth=4)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class World:
  """A random world whose state is a seed; actions are ids `10..10 + A`.

  Where `permuted`, every node deals its actions to slots in an order of its
  own; the game is the same.
  """

  scale: jax.Array
  permuted: bool = dataclasses.field(metadata={"static": True})

  def node(self, seed):
    """The node of seeds `[B]`."""

    def draw(seed):
      key = jax.random.key(seed)
      order = jax.random.permutation(jax.random.fold_in(key, 1), A)
      return jax.random.normal(key, (A + 4,)), order

    draws, order = jax.vmap(draw)(seed)
    if not self.permuted:
      order = jnp.broadcast_to(jnp.arange(A), order.shape)
    logits, rest = draws[:, :A], draws[:, A:]
    invalid = (logits > 1.0).at[:, 0].set(False)
    return Node(
        state=seed,
        actions=10 + order,
        prior_logits=jnp.take_along_axis(logits, order, 1),
        invalid=jnp.take_along_axis(invalid, order, 1),
        value=self.scale * rest[:, 0],
        reward=self.scale * rest[:, 1],
        discount=jnp.where(rest[:, 2] > 1.0, 0.0, 0.9),
    )

  def step(self, rng_key, state, action):
    del rng_key
    return self.node((state * 31 + action * 7 + 1) % 100_003)


@functools.partial(
    jax.jit,
    static_argnames=("permuted", "policy", "deterministic", "mesh", "config"),
)
def _plan(
    seeds, rng_key, *, permuted=False, policy="gumbel", deterministic=True,
    mesh=None, config=CONFIG,
):  # fmt: skip
  world = World(jnp.float32(1.0), permuted)
  return plan_lib.plan(
      world,
      rng_key,
      world.node(seeds),
      search=plan_lib.POLICIES[policy](config, deterministic=deterministic),
      num_simulations=16,
      mesh=mesh or make_mesh(jax.devices()[:1]),
  )


SEEDS = jnp.arange(8) * 17 + 3
KEY = jax.random.key(2)


def _visits(plan):
  return np.asarray(plan.tree.children_visits)


def test_order_of_slots_does_not_matter():
  """Slot and action ids differ at every node; the search is the same."""
  plain, mixed = (_plan(SEEDS, KEY, permuted=p) for p in (False, True))
  world = World(jnp.float32(1.0), True)
  order = np.asarray(world.node(SEEDS).actions) - 10
  assert (order != np.arange(A)).any()
  np.testing.assert_array_equal(plain.action, mixed.action)
  np.testing.assert_array_equal(plain.action, plain.slot + 10)
  assert (np.asarray(mixed.slot) + 10 != np.asarray(mixed.action)).any()
  np.testing.assert_allclose(
      np.take_along_axis(np.asarray(plain.policy), order, 1),
      mixed.policy,
      atol=1e-5,
  )
  np.testing.assert_allclose(plain.value, mixed.value, atol=1e-5)
  np.testing.assert_array_equal(
      np.take_along_axis(_visits(plain)[:, 0], order, 1), _visits(mixed)[:, 0]
  )


@pytest.mark.parametrize("policy", plan_lib.POLICIES)
def test_invalid_slots_have_no_mass_and_no_visits(policy):
  plan = _plan(SEEDS, KEY, policy=policy, deterministic=False)
  world = World(jnp.float32(1.0), False)
  invalid = np.asarray(world.node(SEEDS).invalid)
  assert invalid.any()
  assert (np.asarray(plan.policy)[invalid] == 0.0).all()
  np.testing.assert_allclose(plan.policy.sum(-1), 1.0, rtol=1e-5)
  assert not invalid[np.arange(8), plan.slot].any()
  # Also below the root, wherever search has been.
  states, _ = plan.tree.embeddings
  for node in range(17):
    there = np.asarray(world.node(states[:, node]).invalid)
    reached = np.asarray(plan.tree.node_visits[:, node] > 0)
    assert not (_visits(plan)[:, node][there & reached[:, None]]).any()


@pytest.mark.parametrize("deterministic", [True, False])
def test_values_have_a_scale_of_their_own_in_evaluation(deterministic):
  loud = dataclasses.replace(CONFIG, value_scale=10 * CONFIG.value_scale)
  both = dataclasses.replace(CONFIG, eval_value_scale=loud.value_scale)
  quiet, loud, both = (
      _plan(SEEDS, KEY, deterministic=deterministic, config=config).policy
      for config in (CONFIG, loud, both)
  )
  assert not np.allclose(quiet, loud)
  np.testing.assert_array_equal(both, loud if deterministic else quiet)


def test_improvement_is_what_search_added_to_the_prior():
  world = World(jnp.ones(()), False)
  seeds = SEEDS
  root, plan = world.node(seeds), _plan(seeds, jax.random.key(0))
  valid = ~np.asarray(root.invalid)
  improved = np.asarray(plan.improvement)
  assert (improved[~valid] == 0).all()
  # The prior times what search says is the policy.
  logits = jnp.where(root.invalid, -jnp.inf, root.prior_logits) + improved
  likely = valid & (np.asarray(plan.policy) > 1e-4)
  np.testing.assert_allclose(
      np.asarray(jax.nn.softmax(logits))[likely],
      np.asarray(plan.policy)[likely],
      rtol=0.02,
  )
  assert np.ptp(improved[0][valid[0]]) > 0.1


def test_eight_devices(run_on_devices):
  """See `_on_eight_devices`, which needs a process of its own."""
  assert run_on_devices(8, __file__) == "passed"


def _on_eight_devices():
  """Sharded = unsharded; other noise on every shard; no collectives."""
  mesh, one = make_mesh(), make_mesh(jax.devices()[:1])
  assert mesh.shape["data"] == 8
  seeds = jnp.arange(16) * 17 + 3
  for x, y in zip(
      jax.tree.leaves(_plan(seeds, KEY, mesh=mesh)),
      jax.tree.leaves(_plan(seeds, KEY, mesh=one)),
  ):
    if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      np.testing.assert_allclose(x, y, atol=1e-6)

  # Equal roots on all shards: only the noise tells them apart.
  same = jax.device_put(jnp.full(16, 3), jax.NamedSharding(mesh, jax.P("data")))
  arguments = {"deterministic": False, "mesh": mesh}
  plan = _plan(same, KEY, **arguments)
  noise = plan.tree.extra_data.root_gumbel.reshape(8, -1)
  assert len(np.unique(noise, axis=0)) == 8, noise

  text = _plan.lower(same, KEY, **arguments).compile().as_text()
  for collective in (
      "all-reduce", "all-gather", "collective-permute", "all-to-all",
      "reduce-scatter",
  ):  # fmt: skip
    assert collective not in text, collective
  print("passed")


if __name__ == "__main__":
  _on_eight_devices()
