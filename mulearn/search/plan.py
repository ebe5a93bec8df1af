"""Thinking: one search a real position, inside `shard_map` over the batch.

Left to the compiler, a search sharded over a mesh meets in every simulation;
inside `shard_map` it never does. A replicated key would give every shard the
same Gumbel noise, so the shard's index is folded into it.
"""

from collections.abc import Callable
import functools
import math

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
import mctx
import numpy as np

from mulearn.config import SearchConfig
from mulearn.model.base import Model
from mulearn.parallel.mesh import AxisName
from mulearn.search import recurrent, regularized, simulations
from mulearn.types import Array, Node, Plan

SearchFn = Callable[..., mctx.PolicyOutput]
# (tree of one root, node) -> a Q-value for each slot `[K]`, tried or not.
QTransform = Callable[[mctx.Tree, Array], Array]
# Trees of roots `[B]` -> policies over their slots `[B, K]`.
PolicyFn = Callable[[mctx.Tree], Array]
# (rng_key, tree of one root, node, depth) -> a slot.
SelectFn = Callable[..., Array]


def as_it_is(select: SelectFn) -> SelectFn:
  """Where every node is a decision."""
  return select


def gumbel(
    config: SearchConfig,
    *,
    deterministic: bool = False,
    qtransform: QTransform | None = None,
    interior: Callable[[SelectFn], SelectFn] = as_it_is,
) -> SearchFn:
  """Gumbel MuZero: sequential halving, completed Q-values as the target.

  Danihelka et al. 2022, "Policy improvement by planning with Gumbel",
  https://openreview.net/forum?id=bERaNdoegnO.

  Args:
    config: simulations apart, the numbers of the search.
    deterministic: no Gumbel noise at the root, for evaluation.
    qtransform: completes and scales the Q-values of a node; by the mixed value
      and the config's scale if None.
    interior: changes the choice below the root, such as
      `chance.let_chance_choose`.

  Returns:
    A search with mctx's arguments.
  """
  scale_of_evaluation = config.eval_value_scale or config.value_scale
  if qtransform is None:
    qtransform = functools.partial(
        mctx.qtransform_completed_by_mix_value,
        value_scale=scale_of_evaluation
        if deterministic
        else config.value_scale,
        rescale_values=config.rescale_values,
    )

  def search(params, rng_key, root, recurrent_fn, *, num_simulations, **more):
    select_root = functools.partial(
        mctx.gumbel_muzero_root_action_selection,
        num_simulations=num_simulations,
        max_num_considered_actions=config.max_considered,
        qtransform=qtransform,
    )
    select_interior = interior(
        functools.partial(
            mctx.gumbel_muzero_interior_action_selection, qtransform=qtransform
        )
    )
    return mctx.gumbel_muzero_policy(
        params,
        rng_key,
        root,
        recurrent_fn,
        num_simulations=num_simulations,
        max_depth=config.max_depth,
        loop_fn=simulations.make_loop(
            params,
            recurrent_fn,
            select_root=select_root,
            select_interior=select_interior,
            max_depth=config.max_depth,
        ),
        qtransform=qtransform,
        max_num_considered_actions=config.max_considered,
        gumbel_scale=0.0 if deterministic else 1.0,
        **more,
    )

  return search


def puct(
    config: SearchConfig,
    *,
    deterministic: bool = False,
    qtransform: QTransform = mctx.qtransform_by_parent_and_siblings,
    interior: Callable[[SelectFn], SelectFn] = as_it_is,
) -> SearchFn:
  """MuZero's own search: PUCT, Dirichlet noise, visit counts as the target.

  Schrittwieser et al. 2020, "Mastering Atari, Go, chess and shogi by planning
  with a learned model", https://arxiv.org/abs/1911.08265.

  Args:
    config: simulations apart, the numbers of the search.
    deterministic: no noise, and the most visited slot is played.
    qtransform: scales the Q-values of a node.
    interior: changes the choice below the root; see `gumbel`.

  Returns:
    A search with mctx's arguments.
  """
  select = functools.partial(
      mctx.muzero_action_selection, qtransform=qtransform
  )

  def search(params, rng_key, root, recurrent_fn, **more):
    return mctx.muzero_policy(
        params,
        rng_key,
        root,
        recurrent_fn,
        max_depth=config.max_depth,
        loop_fn=simulations.make_loop(
            params,
            recurrent_fn,
            select_root=functools.partial(select, depth=0),
            select_interior=interior(select),
            max_depth=config.max_depth,
        ),
        qtransform=qtransform,
        dirichlet_fraction=0.0 if deterministic else 0.25,
        temperature=0.0 if deterministic else 1.0,
        **more,
    )

  return search


def regularized_policy(
    config: SearchConfig,
    *,
    deterministic: bool = False,
    interior: Callable[[SelectFn], SelectFn] = as_it_is,
) -> SearchFn:
  """PUCT's regularised policy in place of its visits, wherever there is one.

  Slots are drawn from it in the tree, the move is drawn from it, and it is the
  target: the variant ALL of Grill et al. 2020, "Monte-Carlo tree search as
  regularized policy optimization", https://arxiv.org/abs/2007.12509. There is no
  Dirichlet noise, since what is drawn explores.

  Args:
    config: simulations apart, the numbers of the search.
    deterministic: the likeliest slot is played.
    interior: changes the choice below the root; see `gumbel`.

  Returns:
    A search with mctx's arguments.
  """

  def search(params, rng_key, root, recurrent_fn, *, num_simulations, **more):
    search_key, action_key = jax.random.split(rng_key)
    tree = mctx.search(
        params=params,
        rng_key=search_key,
        root=root,
        recurrent_fn=recurrent_fn,
        root_action_selection_fn=regularized.select,
        interior_action_selection_fn=regularized.select,
        num_simulations=num_simulations,
        max_depth=config.max_depth,
        loop_fn=simulations.make_loop(
            params,
            recurrent_fn,
            select_root=regularized.select,
            select_interior=interior(regularized.select),
            max_depth=config.max_depth,
        ),
        **more,
    )
    weights = regularized.root_policies(tree)
    drawn = jax.random.categorical(action_key, jnp.log(weights))
    return mctx.PolicyOutput(
        action=jnp.argmax(weights, axis=-1) if deterministic else drawn,
        action_weights=weights,
        search_tree=tree,
    )

  return search


def with_policy(search: SearchFn, policy: PolicyFn) -> SearchFn:
  """The same search, from whose trees another policy is read.

  Args:
    search: `gumbel(config)`, `puct(config)` or the like.
    policy: what is learned, and drawn from in self-play, such as
      `regularized.root_policies`.

  Returns:
    A search with mctx's arguments.
  """

  def search_and_read(*arguments, **more):
    output = search(*arguments, **more)
    return output.replace(action_weights=policy(output.search_tree))

  return search_and_read


POLICIES = {
    "gumbel": gumbel,
    "puct": puct,
    "regularized": regularized_policy,
}


def improved_value(plan: Plan) -> Array:
  """What the improved policy is worth at the root, `[B]`.

  The mean over simulations, `plan.value`, includes those that tried bad moves
  on purpose; here each visited move counts by the policy that search returns.
  Danihelka et al. 2022, https://openreview.net/forum?id=bERaNdoegnO. Where
  nobody searched there is no tree, and it is `plan.value`.
  """
  tree = plan.tree
  if tree is None:
    return plan.value
  # Where chance has more outcomes than there are actions, slots are left over.
  root = np.s_[:, 0, : plan.policy.shape[1]]
  visited = tree.children_visits[root] > 0
  q_values = (
      tree.children_rewards[root]
      + tree.children_discounts[root] * tree.children_values[root]
  )
  weights = jnp.where(visited, plan.policy, 0.0)
  total = jnp.sum(weights, axis=-1)
  value = jnp.sum(weights * q_values, axis=-1) / jnp.maximum(total, 1e-6)
  return jnp.where(total > 1e-6, value, plan.value)


def plan(
    model: Model,
    rng_key: Array,
    root: Node,
    *,
    search: SearchFn,
    num_simulations: int,
    mesh: Mesh,
) -> Plan:
  """Searches a batch of roots.

  Args:
    model: a pytree with `step`; replicated over the mesh's data axis.
    rng_key: consumed; a different part of it reaches each shard.
    root: the positions, leaves `[B, ...]`; B divisible by the data axis.
    search: `gumbel(config)`, `puct(config)` or the like.
    num_simulations: simulations a root.
    mesh: the mesh of `parallel.mesh.make_mesh`.

  Returns:
    The `Plan` of the batch; invalid slots have no mass in its policy.
  """
  data, everywhere = PartitionSpec("data"), PartitionSpec()
  search_shard = functools.partial(
      plan_shard, search=search, num_simulations=num_simulations
  )
  return jax.shard_map(
      search_shard,
      mesh=mesh,
      in_specs=(everywhere, everywhere, data),
      out_specs=data,
      check_vma=False,
  )(model, rng_key, root)


@jax.named_scope("search")  # By this name a compiled program shows it.
def plan_shard(
    model: Model,
    rng_key: Array,
    root: Node,
    *,
    search: SearchFn,
    num_simulations: int,
    axis: AxisName = "data",
) -> Plan:
  """`plan` for the roots of one shard, inside a `shard_map` over `data`.

  Args:
    model: see `plan`.
    rng_key: see `plan`; the index of the shard is folded into it.
    root: the positions of this shard.
    search: see `plan`.
    num_simulations: simulations a root.
    axis: by which shards are counted, see `parallel.mesh.shard_key`.

  Returns:
    The `Plan` of the shard.
  """
  rng_key = jax.random.fold_in(rng_key, jax.lax.axis_index(axis))
  output = search(
      model,
      rng_key,
      recurrent.root_output(root),
      recurrent.recurrent_fn,
      num_simulations=num_simulations,
      invalid_actions=root.invalid,
  )
  policy = jnp.where(root.invalid, 0.0, output.action_weights)
  return Plan(
      slot=output.action,
      action=recurrent.select_action(root.actions, output.action),
      policy=policy,
      improvement=_improvement(policy, root),
      value=output.search_tree.node_values[:, 0],
      tree=output.search_tree,
      actions=root.actions,
  )


def _improvement(policy: Array, root: Node) -> Array:
  """Log-ratio of the search policy to the root's prior, `[B, K]`.

  With Gumbel it is the scaled completed Q-value less a constant. A mass below
  1e-4 counts as 1e-4 in both, as that of a slot that PUCT never visited.
  """
  prior = jax.nn.log_softmax(
      jnp.where(root.invalid, -jnp.inf, root.prior_logits)
  )
  least = math.log(1e-4)
  ratio = jnp.maximum(jnp.log(policy), least) - jnp.maximum(prior, least)
  return jnp.where(root.invalid, 0.0, ratio)
