"""The optimiser: three groups that do not touch each other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mulearn.config import LearnConfig, PriorConfig
from mulearn.learn.optimizer import label_groups, make_optimizer


@pytest.fixture
def params():
  """One parameter a group stands for them all."""
  return {
      "policy": jnp.array([1.0, -2.0, 0.5]),
      "prior": jnp.array([0.3, 0.1]),
      "gate": jnp.float32(1.2),
  }


def _steps(optimizer, params, gradient, count):
  state = optimizer.init(params)
  update = jax.jit(optimizer.update)
  for _ in range(count):
    updates, state = update(gradient, state, params)
    params = optax.apply_updates(params, updates)
  return params


def _like(params, value):
  return jax.tree.map(lambda x: jnp.full_like(x, value), params)


def _changed(before, after):
  """Names of the first level under which something moved."""
  moved = jax.tree.map(lambda x, y: bool((x != y).any()), before, after)
  return {
      jax.tree_util.keystr(path[:1], simple=True)
      for path, m in jax.tree_util.tree_leaves_with_path(moved)
      if m
  }


def test_every_parameter_has_its_group(make_networks):
  labels = label_groups(make_networks())
  groups = {}
  for path, label in jax.tree_util.tree_leaves_with_path(labels):
    first = jax.tree_util.keystr(path[:1], simple=True)
    groups.setdefault(label, set()).add(first)
  assert groups["prior"] == {"prior"} and groups["gate"] == {"gate"}
  assert {"policy", "value", "fact", "admissible_bias"} <= groups["world"]
  assert groups.keys() == {"world", "prior", "gate"}


def test_gate_is_learned_or_kept(params):
  learn = LearnConfig(warmup_steps=1)
  gradient = _like(params, 1.0)
  learned = make_optimizer(learn, PriorConfig(), 10)
  kept = make_optimizer(learn, PriorConfig(learn_trust=False), 10)
  after = _steps(learned, params, gradient, 3)
  assert float(after["gate"]) == pytest.approx(
      float(params["gate"]) - 3 * 0.02, rel=1e-4
  )
  after = _steps(kept, params, gradient, 3)
  assert "gate" not in _changed(params, after)
  assert "policy" in _changed(params, after)


def test_annealed_trust_ends_at_nothing(params):
  prior = PriorConfig(fusion="annealed", trust=0.8)
  optimizer = make_optimizer(LearnConfig(warmup_steps=1), prior, 8)
  for gradient in (1.0, -1.0):  # Whatever the gradient.
    slope = _like(params, gradient)
    half = _steps(optimizer, params, slope, 4)
    end = _steps(optimizer, params, slope, 8)
    assert float(jax.nn.sigmoid(half["gate"])) == pytest.approx(0.4, rel=1e-4)
    assert float(jax.nn.sigmoid(end["gate"])) < 1e-5


def test_clipping_of_one_group_does_not_reach_the_others(params):
  optimizer = make_optimizer(LearnConfig(warmup_steps=1), PriorConfig(), 10)
  calm = jax.tree.map(lambda x: 0.01 * x, params)
  wild = jax.tree.map(lambda x: x, calm)
  wild["prior"] = _like(wild["prior"], 1e6)
  wild["gate"] = jnp.float32(-1e6)
  results = [_steps(optimizer, params, g, 3) for g in (calm, wild)]
  assert _changed(*results) == {"prior", "gate"}


def test_gradients_are_clipped_by_their_norm(params):
  learn = LearnConfig(warmup_steps=1, max_grad_norm=1e-3, weight_decay=0.0)
  optimizer = make_optimizer(learn, PriorConfig(), 10)
  state = optimizer.init(params)
  _, state = optimizer.update(_like(params, 5.0), state, params)
  moments = [
      s.inner_state[1][0].mu
      for name, s in state.inner_states.items()
      if name == "world"
  ]
  # Adam's first moment after one step is a tenth of the gradient it saw.
  norm = float(optax.global_norm(moments))
  assert norm == pytest.approx(1e-4, rel=1e-3)


def test_rate_warms_up_and_decays(params):
  learn = LearnConfig(warmup_steps=4, weight_decay=0.0)
  optimizer = make_optimizer(learn, PriorConfig(), 40)
  state, update, sizes = optimizer.init(params), jax.jit(optimizer.update), []
  gradient = _like(params, 1e-3)
  for _ in range(41):
    updates, state = update(gradient, state, params)
    sizes.append(float(jnp.abs(updates["policy"][0])))
  assert sizes[0] == 0.0
  assert np.argmax(sizes) in (4, 5)
  np.testing.assert_allclose(max(sizes), 1e-3, rtol=0.02)
  np.testing.assert_allclose(sizes[-1], 1e-4, rtol=0.05)


def test_equal_settings_share_one_optimizer():
  """So that runs share a compiled step, whose settings are static."""
  one = make_optimizer(LearnConfig(), PriorConfig(), 100)
  same = make_optimizer(LearnConfig(), PriorConfig(), 100)
  other = make_optimizer(
      dataclasses.replace(LearnConfig(), learning_rate=1.0), PriorConfig(), 100
  )
  assert one is same and one is not other
