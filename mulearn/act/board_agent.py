"""The agent of a board: networks, model and search as one thing that plans.

The kinds of model differ in what they read at the root and in nothing else: the
rules need the state, a learned world the view of it. Games of one player
are boards, too; a baseline plays without a search (`act.bare`).
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.act import bare
from mulearn.config import Config, SearchConfig, choose
from mulearn.env.base import Environment
from mulearn.env.games import make_environment
from mulearn.env.symmetry import SYMMETRIES
from mulearn.model import board_windows
from mulearn.model.base import Model
from mulearn.model.board_networks import (
    ContinuousImaginer,
    Imaginer,
    Predictor,
    with_kernels_in,
)
from mulearn.model.board_world import BoardObservation, BoardWorldModel
from mulearn.model.chance import Alternating
from mulearn.model.chance_networks import ChanceImaginer
from mulearn.model.chance_world import ChanceWorldModel
from mulearn.model.every_way import EveryWay
from mulearn.model.sampled_world import SampledWorldModel
from mulearn.model.simulator import SimulatorModel
from mulearn.model.support import Support
from mulearn.parallel.mesh import AxisName, make_mesh
from mulearn.search import chance
from mulearn.search import plan as plan_lib
from mulearn.types import Array, Node, Plan, PyTree

PlanFn = Callable[[Array, PyTree], Plan]


@dataclasses.dataclass(frozen=True)
class BoardSettings:
  """What the compiled programs of a board depend on, compared by value.

  Attributes:
    environment: the rules.
    kind: of the model: "simulator", "world", "stochastic", "sampled", or a
      baseline.
    support: of the categorical values.
    discount: of one move.
    search: the numbers of search.
    dtype: of the networks' matrices while searching.
    epsilon: how often the boldest lane of a baseline strays.
    num_samples: K of kind "sampled".
    temperature: of its proposal.
    symmetries: name of the game whose symmetries are all judged; "" for the
      position alone.
  """

  environment: Environment
  kind: str
  support: Support
  discount: float
  search: SearchConfig
  dtype: str
  epsilon: float
  num_samples: int
  temperature: float
  symmetries: str = ""

  @classmethod
  def from_config(
      cls, config: Config, *, evaluates: bool = False
  ) -> "BoardSettings":
    """The settings of a run, where it plays or where it is evaluated."""
    return cls(
        environment=make_environment(config.env.name),
        kind=config.model.kind,
        support=Support.from_config(config.model),
        discount=config.learn.discount,
        search=config.search,
        dtype=config.model.dtype,
        epsilon=config.self_play.epsilon,
        num_samples=config.model.num_samples,
        temperature=config.model.proposal_temperature,
        symmetries=config.env.name
        if evaluates and config.search.eval_symmetries
        else "",
    )

  def model(self, networks: Predictor) -> Model:
    """The model that these parameters make."""
    networks = with_kernels_in(networks, self.dtype)
    networks = board_windows.spread_out(networks)
    if isinstance(networks, ContinuousImaginer):
      return SampledWorldModel(
          networks,
          self.support,
          self.discount,
          self.num_samples,
          self.temperature,
      )
    judge: Any = networks
    if self.symmetries:
      judge = EveryWay(networks, SYMMETRIES[self.symmetries])
    if not isinstance(networks, Imaginer):
      return SimulatorModel(
          judge, self.environment, self.support, self.discount
      )
    turn = 1.0 if self.environment.num_players == 1 else -1.0
    rest = self.support, self.discount, turn
    if not isinstance(networks, ChanceImaginer):
      return BoardWorldModel(judge, *rest)
    num_slots = max(self.environment.num_actions, networks.num_codes)
    return Alternating(ChanceWorldModel(networks, *rest), num_slots)

  def root(self, networks: Predictor, rng_key: Array, state: PyTree) -> Node:
    """The nodes of environment states `[B]`, with no prior but the head."""
    planes = jax.vmap(self.environment.observation)(state)
    invalid = jax.vmap(self.environment.invalid)(state)
    is_world = isinstance(networks, Imaginer)
    observation = BoardObservation(planes, invalid) if is_world else state
    prior_logits = jnp.zeros(invalid.shape)
    return self.model(networks).root(rng_key, observation, prior_logits)

  def without_chance(self, root: Node) -> Node:
    """A root without the slots that only chance below it needs."""
    if self.kind != "stochastic":
      return root
    own = self.environment.num_actions
    return root._replace(
        prior_logits=root.prior_logits[:, :own], invalid=root.invalid[:, :own]
    )

  def plan(
      self,
      networks: Predictor,
      rng_key: Array,
      state: PyTree,
      *,
      num_simulations: int,
      deterministic: bool,
      mesh: jax.sharding.Mesh | None,
      axis: AxisName = "data",
  ) -> Plan:
    """Searches from environment states `[B]`, B divisible by the mesh.

    No mesh where the caller is inside a `shard_map` over it; `axis` then counts
    the shards.
    """
    root_key, search_key = jax.random.split(rng_key)
    root = self.root(networks, root_key, state)
    return self.plan_from(
        networks,
        search_key,
        root,
        num_simulations=num_simulations,
        deterministic=deterministic,
        mesh=mesh,
        axis=axis,
    )

  def plan_from(
      self,
      networks: Predictor,
      rng_key: Array,
      root: Node,
      *,
      num_simulations: int,
      deterministic: bool,
      mesh: jax.sharding.Mesh | None,
      axis: AxisName = "data",
  ) -> Plan:
    """Searches from the nodes of real positions `[B]`, as `plan` does."""
    if self.kind in bare.RULES:
      return bare.RULES[self.kind](rng_key, root, deterministic, self.epsilon)
    has_chance = self.kind == "stochastic"
    search = choose(plan_lib.POLICIES, "search.policy", self.search.policy)(
        self.search,
        deterministic=deterministic,
        interior=chance.let_chance_choose if has_chance else plan_lib.as_it_is,
    )
    plan = (
        functools.partial(plan_lib.plan_shard, axis=axis)
        if mesh is None
        else functools.partial(plan_lib.plan, mesh=mesh)
    )
    found = plan(
        self.model(networks),
        rng_key,
        root,
        search=search,
        num_simulations=num_simulations,
    )
    if not has_chance:
      return found
    # Below the root chance may need more slots than there are actions.
    own = self.environment.num_actions
    return found._replace(
        policy=found.policy[:, :own], improvement=found.improvement[:, :own]
    )


@dataclasses.dataclass
class BoardAgent:
  """Plans for environment states.

  Attributes:
    config: of the run.
    networks: the parameters.
    mesh: the devices that search is spread over.
  """

  config: Config
  networks: Predictor
  mesh: jax.sharding.Mesh = dataclasses.field(default_factory=make_mesh)

  @property
  def environment(self) -> Environment:
    """The rules of the game that the agent plays."""
    return make_environment(self.config.env.name)

  def plan(
      self,
      rng_key: Array,
      state: PyTree,
      num_simulations: int | None = None,
      *,
      deterministic: bool = True,
  ) -> Plan:
    """Searches from each state.

    Args:
      rng_key: consumed.
      state: of the environment, `[B, ...]`, any B.
      num_simulations: of each search; the config's for evaluation if None.
      deterministic: no exploration noise at the root.

    Returns:
      The `Plan`: `action` `[B]`, `policy` `[B, A]`, and `value` `[B]`, what
      that policy is worth (`search.plan.improved_value`).

    Raises:
      ValueError: `num_simulations` is below 1.
    """
    if num_simulations is None:
      num_simulations = self.config.search.num_eval_simulations
    if num_simulations < 1:
      raise ValueError(
          f"num_simulations is {num_simulations}; a search has at least 1. What"
          " the networks say without one is `agent.glance(state)`."
      )
    size, shards = _batch_size(state), self.mesh.shape["data"]
    # Every shard searches as many: the last row fills up.
    rows = np.minimum(np.arange(-(-size // shards) * shards), size - 1)
    plan = _plan(
        self.networks,
        rng_key,
        jax.tree.map(lambda x: x[rows], state),
        settings=BoardSettings.from_config(
            self.config, evaluates=deterministic
        ),
        num_simulations=num_simulations,
        deterministic=deterministic,
        mesh=self.mesh,
    )
    return jax.tree.map(lambda x: x[:size], plan)

  def glance(self, state: PyTree) -> Node:
    """What the networks say of states `[B, ...]` without search."""
    settings = BoardSettings.from_config(self.config)
    return _glance(self.networks, state, settings=settings)

  def look_ahead(self, state: PyTree) -> Array:
    """What each action is worth by the model alone, `[B, A]`; see `bare`."""
    settings = BoardSettings.from_config(self.config)
    return _look_ahead(self.networks, state, settings=settings)


def _batch_size(state: PyTree) -> int:
  return jax.tree.leaves(state)[0].shape[0]


@functools.partial(
    jax.jit,
    static_argnames=("settings", "num_simulations", "deterministic", "mesh"),
)
def _plan(networks, rng_key, state, *, settings, **how) -> Plan:
  plan = settings.plan(networks, rng_key, state, **how)
  return plan._replace(value=plan_lib.improved_value(plan))


@functools.partial(jax.jit, static_argnames="settings")
def _glance(networks, state, *, settings) -> Node:
  root = settings.root(networks, jax.random.key(0), state)
  return settings.without_chance(root)


@functools.partial(jax.jit, static_argnames="settings")
def _look_ahead(networks, state, *, settings) -> Array:
  rng_key = jax.random.key(0)
  root = settings.without_chance(settings.root(networks, rng_key, state))
  return bare.look_ahead(settings.model(networks), rng_key, root)
