"""What is held to the list of peers' bugs: searches, a target, a replay.

Each is a small protocol of arrays, so that another library's can be put in the
place of ours: write an adapter, and name it when the tests are run,

  CONFORMANCE_SEARCH=my_package.adapter:search python -m pytest tests/conformance

(`CONFORMANCE_CHANCE_SEARCH`, `CONFORMANCE_TARGETS`, `CONFORMANCE_REPLAY`
likewise). mctx by itself stands beside ours, which is held equal to it.
"""

from collections.abc import Callable
import dataclasses
import functools
import importlib
import os
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import mctx

from mulearn.config import ReplayConfig, SearchConfig
from mulearn.learn.targets import n_step_return
from mulearn.model.chance import Alternating
from mulearn.parallel.mesh import make_mesh
from mulearn.replay.buffer import make_replay
from mulearn.search import chance
from mulearn.search import plan as plan_lib
from mulearn.types import Array, Node, PyTree, Trajectory

CONFIG = SearchConfig(max_considered=8, max_depth=12)
CHANCE_CONFIG = SearchConfig(max_considered=8, max_depth=12, value_scale=0.3)


class Position(NamedTuple):
  """What a search is told of a position; rows are games that are independent.

  Attributes:
    state: handed back to the recurrent function, a pytree of `[B, ...]`.
    prior_logits: `[B, A]`.
    invalid: True where an action may not be chosen, `[B, A]`.
    value: of the position for the player to move, `[B]`.
    reward: of the move that led here, to the player who made it, `[B]`.
    discount: 0 where that move ended the game, negative where the turn passed
      to the opponent, `[B]`.
  """

  state: PyTree
  prior_logits: Array
  invalid: Array
  value: Array
  reward: Array
  discount: Array


class Searched(NamedTuple):
  """The answer of a search.

  Attributes:
    action: to be played, `[B]`.
    action_weights: the policy that is learned from, `[B, A]`.
    value: of the root, as it is learned from, `[B]`.
    visits: of the root's actions, `[B, A]`.
  """

  action: Array
  action_weights: Array
  value: Array
  visits: Array


# (params, action `[B]`, state) -> the positions that follow.
Recurrent = Callable[[PyTree, Array, PyTree], Position]


class Search(Protocol):
  """Searches a batch of positions."""

  def __call__(
      self,
      rng_key: Array,
      params: PyTree,
      root: Position,
      recurrent: Recurrent,
      num_simulations: int,
      explore: bool = False,
  ) -> Searched:
    """`explore`: with the noise of self-play; else a function of the root."""


class ChanceSearch(Protocol):
  """Searches a batch of decisions that chance answers.

  `after` leads from a decision to what chance then decides: the prior of that
  position is the log-odds of C outcomes, `[B, C]`, and its value is for the
  player who decided. `settle` leads from there to the next decision. One action
  and its outcome are one time step: rewards and discounts are those of `settle`.
  """

  def __call__(
      self,
      rng_key: Array,
      params: PyTree,
      root: Position,
      after: Recurrent,
      settle: Recurrent,
      num_simulations: int,
  ) -> Searched:
    """Without noise."""


class Targets(Protocol):
  """The n-step returns `[B, T - n]` of sequences `[B, T]`.

  Entry `t` is a move: its reward, its discount (0: the game ended with it), the
  searched value of the position before it, whether the game was cut after it.
  No position behind a cut is known: a return ends there in the value before it.
  """

  def __call__(
      self,
      reward: Array,
      discount: Array,
      value: Array,
      truncated: Array,
      num_steps: int,
  ) -> Array:
    ...


class ReplayFns(NamedTuple):
  """A replay of one lane.

  Attributes:
    init: () -> memory.
    add: memory, `Trajectory` `[1, T]` -> memory.
    sample: memory, rng_key -> sequences, a `Trajectory` `[B, length]`.
  """

  init: Callable[[], PyTree]
  add: Callable[[PyTree, Trajectory], PyTree]
  sample: Callable[[PyTree, Array], Trajectory]


_STATIC = ("policy", "recurrent", "num_simulations", "explore")


@functools.partial(jax.jit, static_argnames=_STATIC)
def _ours(
    rng_key, params, root, recurrent, num_simulations, explore=False, *, policy
):
  plan = plan_lib.plan(
      _World(params, recurrent),
      rng_key,
      _node(root),
      search=plan_lib.POLICIES[policy](CONFIG, deterministic=not explore),
      num_simulations=num_simulations,
      mesh=make_mesh(jax.devices()[:1]),
  )
  return Searched(
      action=plan.action,
      action_weights=plan.policy,
      value=plan_lib.improved_value(plan),
      visits=plan.tree.children_visits[:, 0],
  )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _World:
  """A recurrent function as a model of ours, all actions being slots."""

  params: PyTree
  recurrent: Recurrent = dataclasses.field(metadata={"static": True})

  def step(self, rng_key: Array, state: PyTree, action: Array) -> Node:
    del rng_key
    return _node(self.recurrent(self.params, action, state))


def _node(position: Position) -> Node:
  return Node(actions=None, **position._asdict())


@functools.partial(jax.jit, static_argnames=_STATIC)
def _mctx(
    rng_key, params, root, recurrent, num_simulations, explore=False, *, policy
):
  def step(params, rng_key, action, state):
    del rng_key
    after = recurrent(params, action, state)
    output = mctx.RecurrentFnOutput(
        reward=after.reward,
        discount=after.discount,
        prior_logits=jnp.where(after.invalid, -1e30, after.prior_logits),
        value=after.value,
    )
    return output, after.state

  arguments = {
      "params": params,
      "rng_key": jax.random.fold_in(rng_key, 0),  # That of our first shard.
      "root": mctx.RootFnOutput(
          # mctx masks after it has mixed in Dirichlet noise: unmasked, the
          # policy would leave a share to invalid moves, and more to the noise.
          prior_logits=jnp.where(root.invalid, -1e30, root.prior_logits),
          value=root.value,
          embedding=root.state,
      ),
      "recurrent_fn": step,
      "num_simulations": num_simulations,
      "invalid_actions": root.invalid,
      "max_depth": CONFIG.max_depth,
  }
  if policy == "puct":
    found = mctx.muzero_policy(
        **arguments,
        dirichlet_fraction=0.25 if explore else 0.0,
        temperature=1.0 if explore else 0.0,
    )
  else:
    found = mctx.gumbel_muzero_policy(
        **arguments,
        max_num_considered_actions=CONFIG.max_considered,
        gumbel_scale=1.0 if explore else 0.0,
        qtransform=functools.partial(
            mctx.qtransform_completed_by_mix_value,
            value_scale=CONFIG.value_scale,
            rescale_values=CONFIG.rescale_values,
        ),
    )
  summary = found.search_tree.summary()
  weights = jnp.where(summary.visit_counts > 0, found.action_weights, 0.0)
  value = jnp.sum(weights * summary.qvalues, -1) / jnp.sum(weights, -1)
  return Searched(
      found.action, found.action_weights, value, summary.visit_counts
  )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _ChanceWorld:
  """Two recurrent functions as a `ChanceModel` of ours."""

  params: PyTree
  then: Recurrent = dataclasses.field(metadata={"static": True})
  then_settle: Recurrent = dataclasses.field(metadata={"static": True})

  def root(self, rng_key: Array, observation: Position, prior_logits: Array):
    del rng_key, prior_logits
    return _node(observation)

  def after(self, rng_key: Array, state: PyTree, action: Array) -> Node:
    del rng_key
    return _node(self.then(self.params, action, state))

  def settle(self, rng_key: Array, state: PyTree, outcome: Array) -> Node:
    del rng_key
    return _node(self.then_settle(self.params, outcome, state))


def _num_outcomes(params: PyTree, root: Position, after: Recurrent) -> int:
  actions = jnp.zeros(root.value.shape, jnp.int32)
  return jax.eval_shape(after, params, actions, root.state).invalid.shape[1]


_CHANCE_STATIC = ("after", "settle", "num_simulations")


@functools.partial(jax.jit, static_argnames=_CHANCE_STATIC)
def _ours_with_chance(rng_key, params, root, after, settle, num_simulations):
  num_actions = root.invalid.shape[1]
  num_slots = max(num_actions, _num_outcomes(params, root, after))
  model = Alternating(_ChanceWorld(params, after, settle), num_slots)
  plan = plan_lib.plan(
      model,
      rng_key,
      model.root(rng_key, root, root.prior_logits),
      search=plan_lib.gumbel(
          CHANCE_CONFIG, deterministic=True, interior=chance.let_chance_choose
      ),
      num_simulations=num_simulations,
      mesh=make_mesh(jax.devices()[:1]),
  )
  return Searched(
      action=plan.action,
      action_weights=plan.policy[:, :num_actions],
      value=plan_lib.improved_value(plan),
      visits=plan.tree.children_visits[:, 0, :num_actions],
  )


@functools.partial(jax.jit, static_argnames=_CHANCE_STATIC)
def _mctx_with_chance(rng_key, params, root, after, settle, num_simulations):
  def decide(params, rng_key, action, state):
    del rng_key
    found = after(params, action, state)
    logits = jnp.where(found.invalid, -jnp.inf, found.prior_logits)
    output = mctx.DecisionRecurrentFnOutput(
        chance_logits=logits, afterstate_value=found.value
    )
    return output, found.state

  def answer(params, rng_key, outcome, state):
    del rng_key
    found = settle(params, outcome, state)
    output = mctx.ChanceRecurrentFnOutput(
        action_logits=found.prior_logits,
        value=found.value,
        reward=found.reward,
        discount=found.discount,
    )
    return output, found.state

  found = mctx.stochastic_muzero_policy(
      params,
      rng_key,
      mctx.RootFnOutput(
          prior_logits=root.prior_logits,
          value=root.value,
          embedding=root.state,
      ),
      decide,
      answer,
      num_simulations,
      invalid_actions=root.invalid,
      max_depth=CHANCE_CONFIG.max_depth,
      dirichlet_fraction=0.0,
      temperature=0.0,
  )
  visits = found.search_tree.children_visits[:, 0, : root.invalid.shape[1]]
  return Searched(
      found.action,
      found.action_weights,
      found.search_tree.node_values[:, 0],
      visits,
  )


def _our_targets(reward, discount, value, truncated, num_steps):
  return n_step_return(reward, discount, value, truncated, num_steps=num_steps)


def _our_replay(
    example: Trajectory, capacity: int, length: int, batch_size: int
) -> ReplayFns:
  config = ReplayConfig(capacity=capacity, batch_size=batch_size)
  replay = make_replay(config, 1, length)
  return ReplayFns(
      init=lambda: replay.init(example),
      add=jax.jit(replay.add),
      sample=lambda memory, key: replay.sample(memory, key).trajectory,
  )


def _named(variable: str) -> dict[str, Any]:
  """The adapter that an environment variable names, if it does."""
  if variable not in os.environ:
    return {}
  module, name = os.environ[variable].split(":")
  return {name: getattr(importlib.import_module(module), name)}


BARE_MCTX = ("mctx_gumbel", "mctx_puct")
SEARCHES: dict[str, Search] = {
    "mulearn_gumbel": functools.partial(_ours, policy="gumbel"),
    "mulearn_puct": functools.partial(_ours, policy="puct"),
    "mctx_gumbel": functools.partial(_mctx, policy="gumbel"),
    "mctx_puct": functools.partial(_mctx, policy="puct"),
} | _named("CONFORMANCE_SEARCH")
CHANCE_SEARCHES: dict[str, ChanceSearch] = {
    "mulearn": _ours_with_chance,
    "mctx": _mctx_with_chance,
} | _named("CONFORMANCE_CHANCE_SEARCH")
TARGETS: dict[str, Targets] = {
    "mulearn": _our_targets,
} | _named("CONFORMANCE_TARGETS")
# (example move, capacity, length of a sample, batch size) -> `ReplayFns`.
REPLAYS: dict[str, Callable[..., ReplayFns]] = {
    "mulearn": _our_replay,
} | _named("CONFORMANCE_REPLAY")
