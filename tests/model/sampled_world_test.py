"""Sampled MuZero: a node's slots stand for the policy they were drawn for."""

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import ModelConfig, SearchConfig
from mulearn.model.board_networks import ContinuousImaginer
from mulearn.model.board_world import BoardObservation
from mulearn.model.proposal import PROPOSALS
from mulearn.model.sampled_world import SampledWorldModel
from mulearn.model.support import Support
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib

KEY = jax.random.key(1)


def _model(name, *, num_samples, temperature=1.0, action_size=2):
  config = ModelConfig(width=8, num_bins=11, proposal=name, num_action_bins=3)
  networks = ContinuousImaginer(
      config,
      observation_size=4,
      num_actions=action_size,
      rngs=nnx.Rngs(0),
  )
  leaves, structure = jax.tree.flatten(networks)
  keys = jax.random.split(jax.random.key(2), len(leaves))
  leaves = [
      x + 0.2 * jax.random.normal(key, x.shape) for x, key in zip(leaves, keys)
  ]
  networks = jax.tree.unflatten(structure, leaves)
  return SampledWorldModel(
      networks, Support(11, 5.0), 0.9, num_samples, temperature
  )


def _root(model, seen):
  observation = BoardObservation(seen, jnp.zeros((len(seen), 0), bool))
  return model.root(KEY, observation, jnp.zeros((len(seen), 0)))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("name", PROPOSALS)
def test_expectations_are_those_under_the_policy(name, temperature):
  """Whatever the temperature of the proposal, and however many repeat."""
  model = _model(name, num_samples=6, temperature=temperature)
  seen = jnp.tile(jax.random.normal(KEY, (1, 4)), (8000, 1))
  node = jax.jit(_root)(model, seen)
  assert node.actions.shape == (8000, 6, 2)
  weight = jnp.where(node.invalid, 0.0, jnp.exp(node.prior_logits))
  assert bool(node.invalid.any()) == (name == "discretised")

  def quantity(actions):
    return jnp.sin(2.0 * actions[..., 0]) + actions[..., 1] ** 2

  outputs, _ = model.networks.predict(node.state[:1])
  proposal = model.networks.proposal
  many = proposal.sample(jax.random.key(5), outputs, 200_000)
  sums = jnp.sum(weight * quantity(node.actions), axis=-1)
  error = float(sums.std()) / len(sums) ** 0.5
  expected = float(quantity(many).mean())
  assert abs(float(sums.mean()) - expected) < 4 * error + 0.01


def test_actions_lead_to_different_latents_and_rows_do_not_mix():
  model = _model("tanh_gaussian", num_samples=5)
  node = _root(model, jax.random.normal(KEY, (3, 4)))
  some = jnp.array([[0.5, -0.5], [0.5, -0.5], [-1.0, 1.0]])
  after = model.step(KEY, node.state.at[1].set(node.state[0]), some)
  np.testing.assert_allclose(after.state[0], after.state[1], rtol=1e-5)
  alone = model.step(KEY, node.state[:1], some[:1])
  np.testing.assert_allclose(after.state[:1], alone.state, rtol=1e-5)
  other = model.step(KEY, node.state, some.at[0].set(some[2]))
  assert jnp.abs(other.state[0] - after.state[0]).max() > 1e-2
  assert ((after.discount > 0.0) & (after.discount < 0.9)).all()


def test_search_answers_with_an_action_that_was_sampled():
  model = _model("tanh_gaussian", num_samples=5)
  root = _root(model, jax.random.normal(KEY, (4, 4)))
  plan = jax.jit(
      lambda model, root: plan_lib.plan(
          model, KEY, root,
          search=plan_lib.gumbel(SearchConfig(max_considered=5)),
          num_simulations=12, mesh=make_mesh(jax.devices()[:1]),
      )  # fmt: skip
  )(model, root)
  np.testing.assert_array_equal(plan.actions, root.actions)
  rows = jnp.arange(4)
  np.testing.assert_array_equal(plan.action, root.actions[rows, plan.slot])
  assert plan.tree.node_visits.shape == (4, 13)
  # Deeper nodes have slots of their own.
  shown = plan.tree.embeddings[1]
  assert jnp.abs(shown[:, 0] - shown[:, 1]).min() > 0.0
