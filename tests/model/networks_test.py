"""The networks: what they must not depend on, and what they begin with."""

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.act import agent
from mulearn.model.networks import was_tried
from mulearn.model.phrases import take_action


def _read(phrases, rooms):
  numbers = phrases.observe(rooms)
  return phrases.arrays()[0], jax.tree.map(jnp.asarray, numbers)


def _policy(networks, table, latent, seen):
  return networks.policy_logits(table, latent, seen.commands, seen.history)


def _action(seen, slots):
  """The commands in slots `[B]`, without an opinion of the language model."""
  numbers = jax.tree.map(np.asarray, seen)
  flat = np.zeros(seen.commands.shape, np.float32)
  return take_action(numbers, flat, np.array(slots))


def test_order_of_facts_and_commands_does_not_matter(
    make_networks, phrases, rooms
):
  table, seen = _read(phrases, rooms)
  order = np.array([3, 1, 0, 7, 2, 6, 5, 4])
  mixed = seen._replace(
      facts=seen.facts[:, order],
      roles=seen.roles[:, order],
      commands=seen.commands[:, order],
  )
  networks = make_networks()
  latent = networks.represent(table, seen)
  np.testing.assert_allclose(
      networks.represent(table, mixed), latent, atol=1e-5
  )
  logits = _policy(networks, table, latent, seen)
  mixed_logits = _policy(networks, table, latent, mixed)
  np.testing.assert_allclose(mixed_logits, logits[:, order], atol=1e-5)


def test_padding_does_not_matter(make_networks, phrases, rooms):
  table, seen = _read(phrases, rooms)
  networks = make_networks()
  wide = jax.tree.map(lambda x: jnp.pad(x, ((0, 0), (0, 5))), seen)
  np.testing.assert_allclose(
      networks.represent(table, wide),
      networks.represent(table, seen),
      atol=1e-6,
  )


def test_rows_do_not_see_each_other(make_networks, phrases, rooms):
  table, seen = _read(phrases, rooms)
  networks = make_networks()
  latent = networks.represent(table, seen)
  for i in range(len(rooms)):
    row = jax.tree.map(lambda x, i=i: x[i : i + 1], seen)
    alone = networks.represent(table, row)
    np.testing.assert_allclose(alone, latent[i : i + 1], atol=1e-5)
  assert float(jnp.abs(latent[0] - latent[1]).max()) > 0.1


def test_dynamics_depends_on_the_command(make_networks, phrases, rooms):
  table, seen = _read(phrases, rooms)
  networks = make_networks()
  latent = networks.represent(table, seen)
  action = _action(seen, (0, 0, 0))
  first, reward, goes_on = networks.dynamics(table, latent, action)
  other, *_ = networks.dynamics(table, latent, _action(seen, (1, 1, 1)))
  assert first.shape == latent.shape and goes_on.shape == (3,)
  assert reward.shape == (3, 11)
  assert float(jnp.abs(first - other).max()) > 1e-2


def test_language_models_opinion_is_heard_if_it_is_trusted(
    make_networks, phrases, rooms
):
  table, seen = _read(phrases, rooms)
  action = _action(seen, (0, 0, 0))
  opinion = action._replace(prior=np.full(3, -2.0, np.float32))
  for trust, heard in ((0.0, False), (0.3, True)):
    networks = make_networks(trust=trust)
    latent = networks.represent(table, seen)
    plain, *_ = networks.dynamics(table, latent, action)
    guided, *_ = networks.dynamics(table, latent, opinion)
    assert bool((plain != guided).any()) == heard


def test_repeated_commands_are_recognised():
  commands = jnp.array([[3, 4, 0, 0]])
  history = jnp.array([[0, 0, 4, 9]])
  np.testing.assert_array_equal(was_tried(commands, history), [[0, 1, 0, 0]])


def test_untrained_heads_have_no_opinion(tiny_config, phrases, rooms):
  table, seen = _read(phrases, rooms)
  networks = agent.make_networks(tiny_config, jax.random.key(3))
  latent = networks.represent(table, seen)
  commands = seen.commands
  assert not np.asarray(_policy(networks, table, latent, seen)).any()
  assert not np.asarray(networks.prior_logits(table, latent, commands)).any()
  assert not np.asarray(networks.value_logits(latent)).any()
  _, reward, goes_on = networks.dynamics(
      table, latent, _action(seen, (0, 1, 2))
  )
  assert not np.asarray(reward).any() and not np.asarray(goes_on).any()


def test_prior_head_does_not_shape_the_latent(make_networks, phrases, rooms):
  table, seen = _read(phrases, rooms)

  def opinion(networks):
    latent = networks.represent(table, seen)
    return networks.prior_logits(table, latent, seen.commands).sum()

  gradient = jax.grad(opinion)(make_networks())
  moved = {
      jax.tree_util.keystr(path[:1], simple=True)
      for path, g in jax.tree_util.tree_leaves_with_path(gradient)
      if np.asarray(g).any()
  }
  assert moved == {"prior"}


def test_admissible_logits_by_hand(make_networks, phrases, rooms):
  table, seen = _read(phrases, rooms)
  networks = make_networks()
  latent = networks.represent(table, seen)
  before = jnp.zeros((3, 64), bool).at[1, 6].set(True)
  logits = networks.admissible_logits(table, latent, before)
  assert logits.shape == (3, 64)
  for phrase in (5, 6):
    query = networks.query(latent[1])
    expected = query @ networks.admissible(table[phrase]) / 4.0
    expected += networks.admissible_bias[...]
    if phrase == 6:  # Admissible at the root.
      expected += networks.admissible_still[...]
    np.testing.assert_allclose(logits[1, phrase], expected, rtol=1e-4)
