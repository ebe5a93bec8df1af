"""Fusion rules: normalised, exact where they must be, and ordered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.prior.fusion import RULES, gated, trust_to_gate

HEAD = jnp.array([[0.3, -1.7, 0.0, 2.0], [5.0, -5.0, 0.1, 0.2]])
PRIOR = jax.nn.log_softmax(jnp.array([[1.0, 0.0, -3.0, 2.0], [-6.0, 1, 1, 1]]))
FLAT = jnp.zeros_like(HEAD)
LOWEST = jnp.finfo(jnp.float32).min


def _gate(trust):
  return jnp.float32(trust_to_gate(trust))


@pytest.mark.parametrize("trust", [0.0, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_normalised(name, trust):
  probs = np.exp(RULES[name](HEAD, PRIOR, _gate(trust)))
  np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_masked_slots_get_nothing(name):
  head = HEAD.at[:, 1].set(LOWEST)
  prior = PRIOR.at[:, 1].set(LOWEST if name == "annealed" else 0.0)
  log_probs = RULES[name](head, prior, _gate(0.5))
  probs = np.exp(log_probs)
  assert not np.isnan(log_probs).any()
  assert (probs[:, 1] < 1e-30).all()
  np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("trust", [0.0, 0.1, 0.5, 0.77, 1.0])
def test_flat_prior_changes_nothing_to_the_last_bit(trust):
  bare = jnp.log(jax.nn.softmax(HEAD))
  np.testing.assert_array_equal(gated(HEAD, FLAT, _gate(trust)), bare)
  for name in ("product", "exponent"):
    np.testing.assert_array_equal(
        RULES[name](HEAD, FLAT, _gate(trust)), jax.nn.log_softmax(HEAD)
    )


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
def test_no_trust_is_no_prior_to_the_last_bit(scale):
  bare = jnp.log(jax.nn.softmax(HEAD))
  np.testing.assert_array_equal(gated(HEAD, scale * PRIOR, _gate(0.0)), bare)


def test_gate_of_a_flat_prior_has_no_gradient():
  target = jnp.array([0.1, 0.2, 0.3, 0.4])

  def loss(gate, prior):
    return -jnp.sum(target * gated(HEAD, prior, gate))

  assert jax.grad(loss)(0.3, FLAT) == 0.0
  assert jax.grad(loss)(0.3, PRIOR) != 0.0


def test_gated_by_hand():
  head = jnp.log(jnp.array([0.5, 0.3, 0.2]))
  prior = jnp.log(jnp.array([0.1, 0.1, 0.8]))
  # Product: (.05, .03, .16) / .24.
  expected = 0.75 * np.array([0.5, 0.3, 0.2])
  expected += 0.25 * np.array([0.05, 0.03, 0.16]) / 0.24
  probs = jnp.exp(gated(head, prior, _gate(0.25)))
  np.testing.assert_allclose(probs, expected, rtol=1e-5)
  mixed = jnp.exp(RULES["annealed"](head, prior, _gate(0.25)))
  np.testing.assert_allclose(mixed, [0.4, 0.25, 0.35], rtol=1e-5)
  # 2 w = 1/2: (.5 sqrt .1, .3 sqrt .1, .2 sqrt .8), normalised.
  root = np.array([0.5 * 0.1**0.5, 0.3 * 0.1**0.5, 0.2 * 0.8**0.5])
  powered = jnp.exp(RULES["exponent"](head, prior, _gate(0.25)))
  np.testing.assert_allclose(powered, root / root.sum(), rtol=1e-5)


def test_rules_are_ordered_as_in_the_design():
  """32 actions, a head that knows nothing: mass of the one good action."""
  head, gate = jnp.zeros(32), _gate(0.5)

  def mass(offset):
    prior = jax.nn.log_softmax(jnp.zeros(32).at[7].set(offset))
    return {
        name: float(jnp.exp(rule(head, prior, gate)[7]))
        for name, rule in RULES.items()
    }

  right, wrong = mass(3.0), mass(-6.0)
  assert right["product"] > right["gated"] > right["head"]
  # A prior that hates the best action: only a mixture keeps it in reach.
  assert wrong["gated"] > 0.4 * wrong["head"] > 50 * wrong["product"]
  assert wrong["annealed"] > 0.4 * wrong["head"]
  # Once the head knows, it is heard in spite of the prior.
  head = head.at[7].set(6.0)
  learned = mass(-6.0)
  assert learned["gated"] > 0.4 > 0.1 > learned["product"]


@pytest.mark.parametrize("trust", [0.0, 0.25, 0.5, 1.0])
def test_trust_becomes_its_gate(trust):
  gate = trust_to_gate(trust)
  assert np.isfinite(gate)
  weight = float(jax.nn.sigmoid(jnp.float32(gate)))
  if trust in (0.0, 1.0):
    assert weight == trust
  assert weight == pytest.approx(trust)


@pytest.mark.parametrize("trust", [-0.1, 1.5])
def test_impossible_trust_is_refused(trust):
  with pytest.raises(ValueError, match=f"trust is {trust}"):
    trust_to_gate(trust)
