"""The seam: a slot means what its own node says, and errors name the field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mulearn.model.base import mask_logits
from mulearn.search import recurrent
from mulearn.types import Node


def _node(**changes):
  fields = {
      "state": jnp.arange(2),
      "actions": {"id": jnp.array([[7, 5, 9], [9, 7, 5]])},
      "prior_logits": jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]),
      "invalid": jnp.array([[False, False, True], [False, False, False]]),
      "value": jnp.zeros(2),
      "reward": jnp.zeros(2),
      "discount": jnp.ones(2),
  }
  return Node(**(fields | changes))


class _Recorder:
  """A model that answers with the action it was asked to take."""

  def step(self, rng_key, state, action):
    del rng_key
    return _node(state=state, reward=1.0 * action["id"])


def test_slots_become_the_actions_of_their_node():
  actions = {"id": jnp.array([[7, 5], [3, 2]]), "wide": jnp.ones((2, 2, 4))}
  chosen = recurrent.select_action(actions, jnp.array([1, 0]))
  np.testing.assert_array_equal(chosen["id"], [5, 3])
  assert chosen["wide"].shape == (2, 4)


def test_step_takes_the_action_of_the_slot():
  embedding = recurrent.root_output(_node()).embedding
  output, embedding = recurrent.recurrent_fn(
      _Recorder(), jax.random.key(0), jnp.array([0, 2]), embedding
  )
  np.testing.assert_array_equal(output.reward, [7.0, 5.0])
  output, _ = recurrent.recurrent_fn(
      _Recorder(), jax.random.key(0), jnp.array([1, 1]), embedding
  )
  np.testing.assert_array_equal(output.reward, [5.0, 7.0])


def test_without_actions_a_slot_is_one():
  slot = jnp.array([1, 0])
  assert recurrent.select_action(None, slot) is slot
  embedding = recurrent.root_output(_node(actions=None)).embedding
  assert embedding[1] is None  # And no tree stores them.


def test_invalid_slots_get_no_prior():
  probs = jax.nn.softmax(recurrent.root_output(_node()).prior_logits)
  expected = np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum()
  np.testing.assert_allclose(probs[0], [*expected, 0.0], rtol=1e-6)
  logits = mask_logits(jnp.zeros((1, 2)), jnp.ones((1, 2), bool))
  assert np.isfinite(logits).all()  # A finished game may have no slots at all.


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"prior_logits": jnp.zeros(2)},
            r"prior_logits and .invalid must be \[",
        ),
        ({"invalid": jnp.zeros((2, 4), bool)}, "invalid must agree"),
        ({"actions": {"id": jnp.zeros((2, 4))}}, "Node.actions must be"),
        ({"actions": {"id": jnp.zeros(3)}}, "Node.actions must be"),
        ({"value": jnp.zeros((2, 1))}, "Node.value, .reward and .discount"),
        ({"reward": jnp.zeros(())}, "Node.value, .reward and .discount"),
        ({"discount": jnp.zeros(3)}, "Node.value, .reward and .discount"),
    ],
)
def test_wrong_field_is_named(changes, message):
  with pytest.raises(AssertionError, match=message):
    recurrent.check_node(_node(**changes))
