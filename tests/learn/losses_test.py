"""The loss, term by term: what it teaches, and what it must leave alone."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.config import LearnConfig
from mulearn.learn import losses
from mulearn.learn.targets import make_targets
from mulearn.model.support import Support
from mulearn.prior.fusion import gated

CONFIG = LearnConfig(unroll_steps=2, td_steps=2, discount=0.9)
SUPPORT = Support(11, 2.0)
TERMS = (
    "policy",
    "value",
    "reward",
    "continues",
    "prior",
    "admissible",
    "gate",
)


@functools.partial(jax.jit, static_argnames="config")
def _gradient(networks, table, vocabulary, batch, turn, config=CONFIG):
  targets = make_targets(
      batch, discount=config.discount, unroll_steps=2, td_steps=2
  )
  weights = jnp.ones(batch.reward.shape[0])
  return jax.grad(losses.world_loss, has_aux=True)(
      networks, table, vocabulary, batch, targets, weights, turn,
      config=config, support=SUPPORT, fusion=gated,
  )  # fmt: skip


@pytest.fixture
def gradient(make_networks, phrases):
  """(batch) -> gradient and metrics of networks with opinions."""
  networks = make_networks()

  def compute(batch, config=CONFIG, turn=0, networks=networks):
    return _gradient(networks, *phrases.arrays(), batch, turn, config=config)

  return compute


def _moved(gradient):
  """Names of the parameters that have a gradient."""
  return {
      jax.tree_util.keystr(path[:1], simple=True)
      for path, g in jax.tree_util.tree_leaves_with_path(gradient)
      if np.asarray(g).any()
  }


def test_unroll_is_a_line_of_single_moves(make_networks, make_batch, phrases):
  batch, networks = make_batch(), make_networks()
  table, _ = phrases.arrays()
  start = jax.tree.map(lambda x: x[:, 0], batch.observation)
  latent = networks.represent(table, start)
  actions = jax.tree.map(lambda x: x[:, :3], batch.action)
  latents, rewards, continues = losses.unroll(networks, table, latent, actions)
  np.testing.assert_array_equal(latents[:, 0], latent)
  for k in range(3):
    action = jax.tree.map(lambda x, k=k: x[:, k], actions)
    latent, reward, goes_on = networks.dynamics(table, latent, action)
    np.testing.assert_allclose(latents[:, k + 1], latent, atol=1e-5)
    np.testing.assert_allclose(rewards[:, k], reward, atol=1e-4)
    np.testing.assert_allclose(continues[:, k], goes_on, atol=1e-4)


def test_loss_is_the_sum_of_its_terms(gradient, make_batch):
  grads, metrics = gradient(make_batch())
  terms = [metrics[f"loss/{name}"] for name in TERMS]
  np.testing.assert_allclose(metrics["loss"], sum(terms), rtol=1e-6)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  assert metrics["value_error"].shape == (6,)


def test_policy_term_by_hand(make_networks, make_batch, phrases, gradient):
  batch, networks = make_batch(), make_networks()
  table, _ = phrases.arrays()
  start = jax.tree.map(lambda x: x[:, 0], batch.observation)
  actions = jax.tree.map(lambda x: x[:, :2], batch.action)
  latents, *_ = losses.unroll(
      networks, table, networks.represent(table, start), actions
  )
  total = 0.0
  for i in range(6):
    for t in range(3):
      valid = np.flatnonzero(~batch.invalid[i, t])
      logits = networks.policy_logits(
          table, latents[i, t], batch.observation.commands[i, t],
          batch.observation.tried[i, t],
      )[valid]  # fmt: skip
      total -= batch.policy[i, t, valid] @ jax.nn.log_softmax(logits)
  _, metrics = gradient(batch)
  np.testing.assert_allclose(metrics["loss/policy"], total / 18, rtol=1e-4)


def test_flat_prior_teaches_neither_prior_head_nor_trust(gradient, make_batch):
  batch = make_batch()
  shape = batch.prior_logits.shape
  flat = np.zeros(shape, np.float32)
  held_out = np.ones(shape[:2], bool)
  batch = batch._replace(prior_logits=flat, held_out=held_out)
  grads, metrics = gradient(batch)
  assert metrics["loss/prior"] == 0.0 and metrics["loss/gate"] != 0.0
  assert not {"prior", "gate"} & _moved(grads)


def test_prior_head_leaves_the_trunk_alone(gradient, make_batch):
  """Other targets for the prior head: the rest has the same gradient."""
  batch = make_batch()
  flat = np.zeros_like(batch.prior_logits)
  grads = [
      gradient(batch._replace(prior_logits=prior))[0]
      for prior in (batch.prior_logits, flat)
  ]
  assert "prior" in _moved(grads[0]) and "prior" not in _moved(grads[1])
  for g in grads:
    g.prior = None
  for x, y in zip(*map(jax.tree.leaves, grads), strict=True):
    np.testing.assert_array_equal(x, y)


def test_language_model_changes_nothing_that_both_runs_share(
    make_networks, gradient, make_batch
):
  """With trust 0, gradients of the world do not depend on the prior."""
  batch = make_batch(held_out=np.arange(30).reshape(6, 5) % 10 < 5)
  other = batch._replace(
      prior_logits=np.zeros_like(batch.prior_logits),
      action=batch.action._replace(prior=np.zeros_like(batch.action.prior)),
  )
  networks = make_networks(trust=0.0)
  one, _ = gradient(batch, networks=networks)
  two, _ = gradient(other, networks=networks)
  for grads in (one, two):
    grads.prior = grads.gate = None
  for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
    np.testing.assert_array_equal(x, y)


def test_held_out_games_teach_no_policy_and_alone_the_trust(
    gradient, make_batch
):
  batch = make_batch()
  held_out = np.zeros(batch.reward.shape, bool)
  grads, metrics = gradient(batch)
  assert "policy" in _moved(grads) and "gate" not in _moved(grads)
  assert metrics["loss/gate"] == 0.0
  grads, metrics = gradient(batch._replace(held_out=~held_out))
  assert "policy" not in _moved(grads) and "gate" in _moved(grads)
  assert metrics["loss/policy"] == 0.0
  assert "value" in _moved(grads)  # The world is learned from them, too.

  # A mixed batch: the gate is fitted on the mean over its held-out games.
  held_out[:2] = True
  mixed, _ = gradient(batch._replace(held_out=held_out))
  first = jax.tree.map(lambda x: np.concatenate([x[:2]] * 3), batch)
  alone, _ = gradient(first._replace(held_out=np.ones_like(held_out)))
  np.testing.assert_allclose(mixed.gate[...], alone.gate[...], rtol=1e-4)


def test_gate_term_by_hand():
  """The improvement that the fused policy would get, in held-out games."""
  probs = np.array([[0.5, 0.25, 0.25], [0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
  improvement = np.array([[1.0, -2.0, 4.0], [9.0, 9.0, 9.0], [0.0, 1.0, 7.0]])
  invalid = np.array([[False] * 3, [False, False, True], [False, False, True]])
  log_probs = np.log(np.maximum(probs, 1e-30))
  for held_out, expected in (
      ([True, False, True], -(1.0 + 0.3) / 2.0),
      ([True, False, False], -1.0),
      ([False, False, False], 0.0),
  ):
    loss = losses._gate_loss(
        log_probs, improvement, np.array(held_out), invalid
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)

  # What all slots gain alike says nothing of the two experts.
  def gradient(constant):
    return jax.grad(
        lambda x: losses._gate_loss(
            jax.nn.log_softmax(x), improvement + constant,
            np.ones(3, bool), np.zeros((3, 3), bool),
        )
    )(jnp.asarray(log_probs[[0, 2, 2]], jnp.float32))  # fmt: skip

  np.testing.assert_allclose(gradient(0.0), gradient(5.0), atol=1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_trust_follows_success(gradient, make_batch, sign):
  """Search raises what the prior likes and lowers the rest, or the reverse."""
  batch = make_batch(held_out=np.ones((6, 5), bool))
  prior = np.where(batch.invalid, np.nan, batch.prior_logits)
  liked = prior == np.nanmax(prior, axis=-1, keepdims=True)
  raised = np.where(liked, sign, -sign) * ~batch.invalid
  batch = batch._replace(improvement=np.float32(raised))
  grads, _ = gradient(batch)
  assert sign * grads.gate[...] < 0.0  # Descent raises it where it pays.


def test_nothing_behind_a_cut_is_taught(gradient, make_batch):
  """Whatever is stored behind the cut, the gradient is the same."""
  batch = make_batch()
  cut = np.zeros((6, 5), bool)
  cut[:, 0] = True
  grads = []
  for seed in (1, 2):
    other = make_batch(seed=seed)
    spliced = jax.tree.map(
        lambda x, y: np.concatenate([x[:, :1], y[:, 1:]], axis=1), batch, other
    )
    ended = np.ones((6, 5), np.float32)
    ended[:, 2] = seed - 1.0  # One of the games behind it ends, one does not.
    grads.append(gradient(spliced._replace(truncated=cut, discount=ended))[0])
  for x, y in zip(*map(jax.tree.leaves, grads), strict=True):
    np.testing.assert_allclose(x, y, atol=1e-6)


def test_behind_an_end_only_nothingness_is_taught(gradient, make_batch):
  batch = make_batch()
  ended = np.ones((6, 5), np.float32)
  ended[:, 0] = 0.0
  metrics = []
  for seed in (1, 2):
    other = make_batch(seed=seed)
    spliced = jax.tree.map(
        lambda x, y: np.concatenate([x[:, :1], y[:, 1:]], axis=1), batch, other
    )
    # What is done behind the end matters to the unroll; keep it the same.
    spliced = spliced._replace(discount=ended, action=batch.action)
    metrics.append(gradient(spliced)[1])
  for name in metrics[0]:
    np.testing.assert_allclose(metrics[0][name], metrics[1][name], atol=1e-6)


def test_admissible_term_by_hand(make_networks, make_batch, phrases):
  """Over its four turns, a plain binary cross-entropy over the vocabulary."""
  networks, batch = make_networks(), make_batch()
  table, vocabulary = phrases.arrays()
  # One command of the cellar is not known yet, but admissible there.
  unknown = int(batch.observation.commands.max())
  vocabulary = vocabulary.at[unknown].set(False)
  commands = batch.observation.commands[:, :3]
  latents = jax.random.normal(jax.random.key(0), (6, 2, 16))
  term = jax.jit(losses._admissible_loss)
  turns = [
      term(networks, table, vocabulary, latents, commands, jnp.int32(turn))
      for turn in range(8)
  ]
  np.testing.assert_array_equal(turns[:4], turns[4:])
  before = np.stack([np.isin(np.arange(64), row[0]) for row in commands])
  logits = np.asarray(
      networks.admissible_logits(table, latents, before[:, None]), np.float64
  )
  expected = np.zeros((6, 2))
  for i in range(6):
    for t in range(2):
      own = set(commands[i, t + 1]) - {0}
      for p in set(np.flatnonzero(vocabulary)) | own:
        x = logits[i, t, p] if p in own else -logits[i, t, p]
        expected[i, t] += np.log1p(np.exp(-x)) / 8
  np.testing.assert_allclose(np.mean(turns[:4], axis=0), expected, rtol=1e-4)


def test_consistency_pulls_imagined_to_seen(gradient, make_batch):
  config = dataclasses.replace(CONFIG, consistency_weight=1.0)
  grads, metrics = gradient(make_batch(), config=config)
  assert 0.0 < metrics["loss/consistency"] < 2.0
  assert "predictor" in _moved(grads)


def test_consistency_is_a_cosine_and_does_not_move_what_is_real():
  imagined = jnp.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
  real = jnp.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
  found = losses.consistency(imagined, real)
  np.testing.assert_allclose(found, [0.0, 1.0, 2.0], atol=1e-6)
  pull = jax.grad(lambda x, y: losses.consistency(x, y).sum(), argnums=(0, 1))
  moved, still = pull(imagined, real)
  assert np.abs(moved[1]).max() > 0.1 and not np.any(still)


def test_one_batch_can_be_learned_by_heart(make_networks, make_batch, phrases):
  batch, networks = make_batch(), make_networks()
  table, vocabulary = phrases.arrays()

  history = []
  for step in range(160):
    grads, metrics = _gradient(networks, table, vocabulary, batch, step)
    networks = jax.tree.map(lambda p, g: p - 0.03 * g, networks, grads)
    history.append({k: float(v) for k, v in metrics.items() if v.ndim == 0})
  for name in ("policy", "value", "reward", "continues", "prior", "admissible"):
    terms = [h[f"loss/{name}"] for h in history]
    assert np.mean(terms[-4:]) < np.mean(terms[:4]), name
  assert np.mean([h["loss"] for h in history[-4:]]) < 0.7 * history[0]["loss"]
