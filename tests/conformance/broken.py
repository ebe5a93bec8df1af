"""Searches with the bugs of peers, which the tests must tell from a right one.

Each wraps the recurrent function or the answer of a search that is right.
"""

from conformance import games as games_lib
from conformance.subject import SEARCHES, Search
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
