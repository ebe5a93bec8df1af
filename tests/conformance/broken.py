"""What has the bugs of peers, which the tests must tell from what is right.

Each wraps a search, targets or a replay that is right, or what they are given.
"""

from conformance import games as games_lib
from conformance.subject import (
    CHANCE_SEARCHES,
    REPLAYS,
    SEARCHES,
    Search,
)
from conformance.subject import (
    TARGETS as RIGHT_TARGETS,
)
import jax
import jax.numpy as jnp

RIGHT = SEARCHES["mctx_puct"]


def _batch_statistics(x):
  """Values are scaled by what all games of the batch have seen."""
  return x._replace(value=x.value / (1.0 + jnp.max(jnp.abs(x.value))))


def _neighbour(x):
  """Games get the value of the game beside them."""
  return x._replace(value=jnp.roll(x.value, 1))


def _values_alternate(x):
  return x._replace(discount=-jnp.abs(x.discount))


def _values_keep_their_sign(x):
  return x._replace(discount=jnp.abs(x.discount))


def _reward_of_the_other(x):
  return x._replace(reward=-x.reward)


def _ends_are_passed(x):
  return x._replace(discount=jnp.where(x.discount == 0, -1.0, x.discount))


_CHANGES = (
    _batch_statistics,
    _neighbour,
    _values_alternate,
    _values_keep_their_sign,
    _reward_of_the_other,
    _ends_are_passed,
)


def _recurrent(params, action, state):
  """The right one, and then one of the changes: one program for all."""
  games, change = params
  return jax.lax.switch(change, _CHANGES, games_lib.step(games, action, state))


def _with(change) -> Search:
  """The right search over a recurrent function that `change` spoils."""

  def search(rng_key, games, root, unused_recurrent, *args, **kwargs):
    params = games, jnp.int32(_CHANGES.index(change))
    return RIGHT(rng_key, params, root, _recurrent, *args, **kwargs)

  return search


def _illegal_moves_keep_mass(rng_key, params, root, *args, **kwargs):
  root = root._replace(invalid=jnp.zeros_like(root.invalid))
  return RIGHT(rng_key, params, root, *args, **kwargs)


def _weights_of_slots(rng_key, params, root, *args, **kwargs):
  """The policy is over the valid moves in their order, not over actions."""
  found = RIGHT(rng_key, params, root, *args, **kwargs)
  order = jnp.argsort(root.invalid, axis=-1, stable=True)
  weights = jnp.take_along_axis(found.action_weights, order, axis=-1)
  return found._replace(action_weights=weights)


BATCH = {
    "statistics of the batch": _with(_batch_statistics),
    "value of a neighbour": _with(_neighbour),
}
SIGNS = {
    "values always alternate": _with(_values_alternate),
    "values never alternate": _with(_values_keep_their_sign),
    "reward of the other player": _with(_reward_of_the_other),
}
ENDS = {"an end is passed over": _with(_ends_are_passed)}
SLOTS = {
    "illegal moves keep mass": _illegal_moves_keep_mass,
    "weights of slots": _weights_of_slots,
}


def _with_chance(*, of_after=lambda x: x, of_settle=lambda x: x):
  """A right search with chance, over functions that are spoiled."""

  def search(rng_key, params, root, after, settle, num_simulations):
    def spoiled_after(params, action, state):
      return of_after(after(params, action, state))

    def spoiled_settle(params, outcome, state):
      return of_settle(settle(params, outcome, state))

    return CHANCE_SEARCHES["mulearn"](
        rng_key, params, root, spoiled_after, spoiled_settle, num_simulations
    )

  return search


CHANCE = {
    "an outcome is a time step": _with_chance(
        of_after=lambda x: x._replace(discount=0.8 * x.discount)
    ),
    "chance takes the likeliest outcome": _with_chance(
        of_after=lambda x: x._replace(
            prior_logits=100.0
            * jax.nn.one_hot(
                jnp.argmax(x.prior_logits, -1), x.prior_logits.shape[-1]
            )
        )
    ),
    "an outcome passes the turn": _with_chance(
        of_settle=lambda x: x._replace(discount=-x.discount)
    ),
}


def _spoiled_targets(change):
  def targets(reward, discount, value, truncated, num_steps):
    moves = change(*map(jnp.asarray, (reward, discount, value, truncated)))
    return RIGHT_TARGETS["mulearn"](*moves, num_steps)

  return targets


TARGETS = {
    "the reward of an end is lost": _spoiled_targets(
        lambda r, d, v, t: (jnp.where(d == 0, 0.0, r), d, v, t)
    ),
    "a cut is an end": _spoiled_targets(
        lambda r, d, v, t: (r, jnp.where(t, 0.0, d), v, jnp.zeros_like(t))
    ),
    "a cut is passed over": _spoiled_targets(
        lambda r, d, v, t: (r, d, v, jnp.zeros_like(t))
    ),
    "the value of another move": _spoiled_targets(
        lambda r, d, v, t: (r, d, jnp.roll(v, 1, axis=1), t)
    ),
    "players always alternate": _spoiled_targets(
        lambda r, d, v, t: (r, -jnp.abs(d), v, t)
    ),
}


def _replay_of_other_moves(*arguments):
  """Values are those of the move before."""
  right = REPLAYS["mulearn"](*arguments)

  def sample(memory, key):
    moves = right.sample(memory, key)
    return moves._replace(value=jnp.roll(moves.value, 1, axis=1))

  return right._replace(sample=sample)


def _replay_that_grows(*arguments):
  """Every move that was ever added is kept."""
  right = REPLAYS["mulearn"](*arguments)
  return right._replace(
      init=lambda: (right.init(), ()),
      add=lambda memory, moves: (
          right.add(memory[0], moves),
          (*memory[1], moves),
      ),
      sample=lambda memory, key: right.sample(memory[0], key),
  )


REPLAY = {
    "values of other moves": _replay_of_other_moves,
    "all that ever was": _replay_that_grows,
}
