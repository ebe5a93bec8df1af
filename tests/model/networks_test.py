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
  return networks.policy_logits(table, latent, seen.commands, seen.tried)


def _action(seen, slots):
  """The commands in slots `[B]`, without an opinion of the language model."""
  numbers = jax.tree.map(np.asarray, seen)
  flat = np.zeros(seen.commands.shape, np.float32)
  return take_action(numbers, flat, np.array(slots))


def test_order_of_facts_and_commands_does_not_matter(
    make_networks, phrases, known_rooms
):
  table, seen = _read(phrases, known_rooms)
  order = np.array([3, 1, 0, 7, 2, 6, 5, 4])
  mixed = seen._replace(
      facts=seen.facts[:, order],
      roles=seen.roles[:, order],
      commands=seen.commands[:, order],
      tried=seen.tried[:, order],
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


def test_an_untrained_head_prefers_what_was_not_tried(
    tiny_config, phrases, known_rooms
):
  """By far, and among the others it has no opinion."""
  table, seen = _read(phrases, known_rooms)
  networks = agent.make_networks(tiny_config, jax.random.key(3))
  latent = networks.represent(table, seen)
  logits = np.asarray(_policy(networks, table, latent, seen))
  for i, room in enumerate(known_rooms):
    tried, *others = np.asarray(jax.nn.softmax(logits[i, : len(room.commands)]))
    assert tried < 0.01
    np.testing.assert_allclose(others, (1.0 - tried) / len(others), rtol=1e-5)
  # What the language model would say knows of no attempts.
  says = networks.prior_logits(table, latent, seen.commands)
  assert not np.asarray(says).any()


def test_a_second_attempt_by_hand(make_networks, phrases, known_rooms):
  """What it is worth depends on the command and on the state."""
  table, seen = _read(phrases, known_rooms)
  networks = make_networks()
  latent = networks.represent(table, seen)
  commands = seen.commands
  worth = [
      networks.policy_logits(table, latent, commands, jnp.full((3, 8), tried))
      for tried in (0.0, 1.0)
  ]
  worth = np.asarray(worth[1] - worth[0])
  head = networks.policy
  for i in range(3):
    for k in range(2):
      state = head.again.kernel[...][:, 0] @ latent[i] + head.again.bias[0]
      command = head.phrase_again.kernel[...][:, 0] @ table[commands[i, k]]
      np.testing.assert_allclose(worth[i, k], state + command, rtol=1e-3)
  assert worth[:, :2].std(axis=0).min() > 1e-3
  assert worth[:, :2].std(axis=1).min() > 1e-3
  assert worth.max() < 0.0


def test_a_second_attempt_can_be_learned_to_be_good(
    tiny_config, phrases, known_rooms
):
  """For one command and not for others: the aversion is where it begins."""
  table, seen = _read(phrases, known_rooms)
  networks = agent.make_networks(tiny_config, jax.random.key(3))
  latent = networks.represent(table, seen)
  every = jnp.ones((3, 8))

  def loss(networks):
    logits = networks.policy_logits(table, latent, seen.commands, every)
    return -jax.nn.log_softmax(logits[:, :2])[:, 0].mean()

  def again(networks):
    return networks.policy.phrase_again.kernel[...]

  gradient = jax.grad(loss)(networks)
  assert np.abs(again(gradient)).max() > 1e-3
  assert not np.asarray(again(networks)).any()


def test_dynamics_knows_a_second_attempt(make_networks, phrases, rooms):
  """It leads elsewhere, and where to depends on the command."""
  table, seen = _read(phrases, rooms)
  networks = make_networks()
  latent = networks.represent(table, seen)
  moved = []
  for slots in ((0, 0, 0), (1, 1, 1)):
    first = _action(seen, slots)
    assert not first.tried.any()
    once = networks.dynamics(table, latent, first)
    twice = networks.dynamics(
        table, latent, first._replace(tried=np.ones(3, np.float32))
    )
    for x, y in zip(once, twice):  # Latent, reward, and whether it goes on.
      assert float(jnp.abs(x - y).max(axis=-1).min()) > 1e-3
    moved.append(np.asarray(twice[0] - once[0]))
  assert np.abs(moved[0] - moved[1]).max() > 1e-2
  # The term is silent where nothing was tried.
  networks.action_again.kernel[...] *= 3.0
  for x, y in zip(networks.dynamics(table, latent, first), once):
    np.testing.assert_array_equal(x, y)


def test_dynamics_multiplies_state_and_command(make_networks, phrases, rooms):
  """With all that is added silenced, the sign of a factor matters, of two not.

  A sum of a term of the state and one of the command cannot tell whether the
  thing named is the thing carried.
  """
  table, seen = _read(phrases, rooms)
  networks = make_networks()
  latent = networks.represent(table, seen)
  action = _action(seen, (0, 1, 1))
  for part in (networks.dynamics_in, networks.action):
    part.kernel[...], part.bias[...] = (
        jnp.zeros_like(part.kernel[...]),
        jnp.zeros_like(part.bias[...]),
    )
  rewards = []
  for part in (
      None,
      networks.compare_latent,
      networks.compare_action,
  ):
    if part is not None:
      part.kernel[...] *= -1.0
      part.bias[...] *= -1.0
    rewards.append(np.asarray(networks.dynamics(table, latent, action)[1]))
  np.testing.assert_array_equal(rewards[2], rewards[0])
  assert np.abs(rewards[1] - rewards[0]).max(axis=-1).min() > 1e-3


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
