"""Visits of PUCT beside the regularised policy that they approximate.

Grill et al. 2020, "Monte-Carlo tree search as regularized policy optimization",
https://arxiv.org/abs/2007.12509: how far visits are from the policy that they
stand for, and what is lost by learning from them while they are few. On bandits of
one level with known values, with the solver that search uses.
"""

import argparse
import functools
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.config import SearchConfig
from mulearn.evaluate import curves
from mulearn.model.bandit import Bandit
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.search import regularized
from mulearn.types import Array

NUM_ACTIONS = (4, 16, 82)
FEW, C = 16, 1.25
# Value lost by visits after 16 simulations; measured before, not published.
ASKED = {4: 0.028, 16: 0.146, 82: 0.363}


def bandits(num_problems: int, num_actions: int) -> Bandit:
  """Random bandits: values even in [0, 1], the policy's logits normal."""
  q_key, logits_key = jax.random.split(jax.random.key(num_actions))
  shape = (num_problems, num_actions)
  return Bandit(
      jax.random.uniform(q_key, shape), jax.random.normal(logits_key, shape)
  )


@functools.partial(jax.jit, static_argnames=("num_visits", "c"))
def follow(bandit: Bandit, *, num_visits: int, c: float) -> dict[str, Array]:
  """Lets PUCT choose among arms whose values it knows.

  `argmax_a q(a) + c prior(a) sqrt(1 + N) / (1 + n(a))`, in which mctx counts the
  visit of the node itself.

  Args:
    bandit: G problems.
    num_visits: T.
    c: PUCT's constant.

  Returns:
    After each visit: `distance`, the largest over arms between visits and
    regularised policy, `[T, G]`; and of both the value, `visits` and `policy`,
    `[T, G]`.
  """
  prior, q_values = jax.nn.softmax(bandit.logits), bandit.rewards
  num_problems, num_actions = q_values.shape

  def visit(counts: Array, done: Array) -> tuple[Array, dict[str, Array]]:
    bonus = c * prior * jnp.sqrt(1.0 + done) / (1.0 + counts)
    chosen = jnp.argmax(q_values + bonus, axis=-1)
    counts = counts.at[jnp.arange(num_problems), chosen].add(1.0)
    weight = regularized.multiplier(done + 1.0, num_actions, c)
    solved = regularized.solve(q_values, prior, jnp.full(num_problems, weight))
    visits = regularized.empirical(counts)
    return counts, {
        "distance": jnp.max(jnp.abs(visits - solved), axis=-1),
        "visits": jnp.sum(visits * q_values, axis=-1),
        "policy": jnp.sum(solved * q_values, axis=-1),
    }

  start = jnp.zeros_like(q_values)
  return jax.lax.scan(visit, start, jnp.arange(num_visits, dtype=float))[1]


@jax.jit
def search(bandit: Bandit) -> dict[str, Array]:
  """Reads both policies from PUCT's trees after few simulations.

  The search is the agents' own, told the values of arms that it has not tried.

  Args:
    bandit: G problems.

  Returns:
    The value of `visits` and of the regularised `policy`, `[G]`.
  """

  def known(tree, node):
    row, _ = tree.embeddings
    return bandit.rewards[row[node]]

  num_problems, num_actions = bandit.rewards.shape
  rows = jnp.arange(num_problems)
  rng_key = jax.random.key(0)
  plan = plan_lib.plan(
      bandit,
      rng_key,
      bandit.root(rng_key, rows, jnp.zeros((num_problems, num_actions))),
      search=plan_lib.with_policy(
          plan_lib.puct(
              SearchConfig(max_depth=1), deterministic=True, qtransform=known
          ),
          functools.partial(regularized.root_policies, qtransform=known),
      ),
      num_simulations=FEW,
      mesh=make_mesh(jax.devices()[:1]),
  )
  visits = regularized.empirical(plan.tree.children_visits[:, 0])
  return {
      "visits": jnp.sum(visits * bandit.rewards, axis=-1),
      "policy": jnp.sum(plan.policy * bandit.rewards, axis=-1),
  }


def measure(num_problems: int, num_visits: int) -> list[dict]:
  """All figures of the page.

  Args:
    num_problems: for each number of arms.
    num_visits: of each problem.

  Returns:
    A row for each number of arms.
  """
  rows = []
  for num_actions in NUM_ACTIONS:
    bandit = bandits(num_problems, num_actions)
    found = jax.device_get(follow(bandit, num_visits=num_visits, c=C))
    bound = (num_actions - 1) / (num_actions + 1.0 + np.arange(num_visits))
    lost = found["policy"] - found["visits"]
    tree = {name: float(x.mean()) for name, x in search(bandit).items()}
    other = follow(bandit, num_visits=FEW, c=1.0)
    rows.append(
        {
            "num_actions": num_actions,
            "problems": num_problems,
            "bound": bound.tolist(),
            "distance": found["distance"].max(axis=1).tolist(),
            "violations": int((found["distance"] > bound[:, None]).sum()),
            "checked": int(found["distance"].size),
            "lost": lost.mean(axis=1).tolist(),
            "standard_error": float(
                lost[FEW - 1].std() / np.sqrt(num_problems)
            ),
            "value_at_16": {
                name: float(found[name][FEW - 1].mean())
                for name in ("visits", "policy")
            },
            "value_at_16_searched": tree,
            "lost_with_c_1": float(
                (other["policy"] - other["visits"])[-1].mean()
            ),
        }
    )
  return rows


def draw(path_png: pathlib.Path, rows: list[dict]) -> None:
  """Draws what visits lose, and how far they are from what they stand for.

  Args:
    path_png: the picture; an SVG is written beside it.
    rows: of `measure`.
  """
  figure, (left, right) = curves.make_panels(2, 6.8, 2.9)
  right.sharey = None
  for i, row in enumerate(rows):
    colour, arms = curves.COLOURS[i], f"{row['num_actions']} arms"
    visits = np.arange(1, len(row["lost"]) + 1)
    left.plot(visits, row["lost"], color=colour, label=arms)
    left.plot(
        [FEW], [ASKED[row["num_actions"]]], "o", color=colour,
        markerfacecolor="none", markersize=8,
    )  # fmt: skip
    right.plot(visits, row["distance"], color=colour, label=arms)
    right.plot(visits, row["bound"], color=colour, linestyle=(0, (3, 2)))
  size = curves.FONT_SIZE
  left.set_ylabel("value lost by learning from visits", fontsize=size)
  right.set_ylabel("largest distance, dashed: bound", fontsize=size)
  right.tick_params(labelleft=True)
  for axes in (left, right):
    axes.set_xscale("log", base=2)
    ticks = [4**i for i in range(5)]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("simulations", fontsize=size)
    axes.legend(fontsize=size - 1, frameon=False)
    curves.finish_axes(axes)
  curves.save(figure, path_png)


def parser() -> argparse.ArgumentParser:
  """The arguments of the command."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--problems", type=int, default=4096)
  options.add_argument("--visits", type=int, default=256)
  options.add_argument("--out", type=pathlib.Path, required=True)
  return options


def main(arguments: list[str] | None = None) -> None:
  """Measures, prints the table, and writes results.json and a picture."""
  options = parser().parse_args(arguments)
  start = time.monotonic()
  rows = measure(options.problems, options.visits)
  results = {"c": C, "rows": rows, "seconds": time.monotonic() - start}
  options.out.mkdir(parents=True, exist_ok=True)
  path = options.out / "results.json"
  path.write_text(json.dumps(results, indent=1) + "\n")
  draw(options.out / "visits.png", rows)
  for row in rows:
    print(
        row["num_actions"], row["violations"], "of", row["checked"],
        f"lost {row['lost'][FEW - 1]:.4f} asked {ASKED[row['num_actions']]}",
        f"c=1: {row['lost_with_c_1']:.4f}", row["value_at_16"],
        row["value_at_16_searched"],
    )  # fmt: skip


if __name__ == "__main__":
  main()
