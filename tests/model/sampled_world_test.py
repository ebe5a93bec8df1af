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
  noise = np.random.default_rng(2)  # No parameter is left at zero.
  networks = jax.tree.map(
      lambda x: np.float32(x + 0.2 * noise.normal(size=x.shape)), networks
  )
  return SampledWorldModel(
      networks, Support(11, 5.0), 0.9, num_samples, temperature
  )


def _root(model, seen):
  observation = BoardObservation(seen, jnp.zeros((len(seen), 0), bool))
  return model.root(KEY, observation, jnp.zeros((len(seen), 0)))


@pytest.mark.parametrize("name", PROPOSALS)
def test_expectations_are_those_under_the_policy(name):
  """Though the proposal is wider, and some actions are drawn again."""
  model = _model(name, num_samples=6, temperature=2.5)
  seen = np.tile(np.array([[0.5, -1.0, 2.0, 0.1]], np.float32), (8000, 1))

  @jax.jit
  def nodes_and_draws(model, seen):
    node = _root(model, seen)
    outputs, _ = model.networks.predict(node.state[:1])
    proposal = model.networks.proposal
    return node, proposal.sample(jax.random.key(5), outputs, 200_000)

  def quantity(actions):
    return np.sin(2.0 * actions[..., 0]) + actions[..., 1] ** 2

  node, many = jax.device_get(nodes_and_draws(model, seen))
  assert node.actions.shape == (8000, 6, 2)
  assert node.invalid.any() == (name == "discretised")
  weight = np.where(node.invalid, 0.0, np.exp(node.prior_logits))
  sums = np.sum(weight * quantity(node.actions), axis=-1)
  error = sums.std() / len(sums) ** 0.5
  assert abs(sums.mean() - quantity(many).mean()) < 4 * error + 0.01


def test_actions_lead_to_different_latents_and_rows_do_not_mix():
  model = _model("tanh_gaussian", num_samples=5)
  latent = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
  latent[1] = latent[0]
  some = np.array([[0.5, -0.5], [0.5, -0.5], [-1.0, 1.0]], np.float32)
  step = jax.jit(lambda *given: model.step(KEY, *given))
  after = jax.device_get(step(latent, some))
  np.testing.assert_allclose(after.state[0], after.state[1], rtol=1e-5)
  moved = some.copy()
  moved[0] = some[2]
  other = jax.device_get(step(latent, moved))
  np.testing.assert_allclose(other.state[1:], after.state[1:], rtol=1e-5)
  assert np.abs(other.state[0] - after.state[0]).max() > 1e-2
  assert ((after.discount > 0.0) & (after.discount < 0.9)).all()


def test_search_answers_with_an_action_that_was_sampled():
  model = _model("tanh_gaussian", num_samples=5)

  @jax.jit
  def search(model, seen):
    root = _root(model, seen)
    return root, plan_lib.plan(
        model, KEY, root,
        search=plan_lib.gumbel(SearchConfig(max_considered=5)),
        num_simulations=12, mesh=make_mesh(jax.devices()[:1]),
    )  # fmt: skip

  root, plan = jax.device_get(search(model, np.eye(4, dtype=np.float32)))
  np.testing.assert_array_equal(plan.actions, root.actions)
  rows = np.arange(4)
  np.testing.assert_array_equal(plan.action, root.actions[rows, plan.slot])
  # Every node has slots of its own.
  shown = plan.tree.embeddings[1].reshape(4, -1, 2)
  assert all(len(np.unique(row, axis=0)) == 13 * 5 for row in shown)
