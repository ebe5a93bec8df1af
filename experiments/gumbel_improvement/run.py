"""How much Gumbel search improves a policy, on bandits that are known.

Danihelka et al. 2022, "Policy improvement by planning with Gumbel",
https://openreview.net/forum?id=bERaNdoegnO: example 1, and the random bandits of
mctx's `policy_improvement_demo` with the demo's own random numbers. Searched are
models of `mulearn.model`, by the search that agents use.
"""

import argparse
import functools
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import mctx
import numpy as np

from mulearn.config import SearchConfig
from mulearn.evaluate import curves
from mulearn.model.bandit import Bandit
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.search import recurrent

NUM_ACTIONS, BATCH, SEED = 82, 256, 42
SIMULATIONS = (2, 4, 8, 16, 32, 64)
# What the demo of mctx 0.0.71 prints: of the action, and of its weights.
PRINTED = {
    2: (0.163, 0.104), 4: (0.276, 0.112), 8: (0.314, 0.140),
    16: (0.314, 0.192), 32: (0.321, 0.205), 64: (0.348, 0.248),
}  # fmt: skip


@functools.partial(jax.jit, static_argnames="num_draws")
def example(rng_key: jax.Array, *, num_draws: int) -> dict[str, jax.Array]:
  """Example 1: two simulations of three arms.

  Args:
    rng_key: consumed.
    num_draws: of the Gumbel noise, B.

  Returns:
    Worth of the searched arm, of the arm that the same noise draws from the
    policy, and of the policy that search returns, each `[B]`.
  """
  bandit = Bandit(
      jnp.array([[0.0, 0.0, 1.0]]), jnp.log(jnp.array([[0.5, 0.3, 0.2]]))
  )
  rows = jnp.zeros(num_draws, jnp.int32)
  plan = plan_lib.plan(
      bandit,
      rng_key,
      bandit.root(rng_key, rows, jnp.zeros((num_draws, 3))),
      search=plan_lib.gumbel(SearchConfig(max_considered=3, value_scale=1.0)),
      num_simulations=2,
      mesh=make_mesh(jax.devices()[:1]),
  )
  noise = plan.tree.extra_data.root_gumbel
  drawn = jnp.argmax(noise + bandit.logits, axis=-1)
  return {
      "action": bandit.rewards[0, plan.action],
      "drawn": bandit.rewards[0, drawn],
      "weights": plan.policy @ bandit.rewards[0],
  }


@functools.partial(jax.jit, static_argnames="num_simulations")
def improve(
    rng_key: jax.Array, *, num_simulations: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """Searches the random bandits of mctx's demo, with its search settings.

  Args:
    rng_key: split as the demo does, so that all draws are the same.
    num_simulations: of a search.

  Returns:
    The key of the next batch, and what was gained: `action`, the searched arm
    over the arm that the same noise draws from the policy; `weights`, the policy
    that search returns over the one that entered; each `[B]`.
  """
  rng_key, logits_key, q_key, search_key = jax.random.split(rng_key, 4)
  shape, rows = (BATCH, NUM_ACTIONS), jnp.arange(BATCH)
  logits = jax.random.normal(logits_key, shape)
  bandit = Bandit(jax.random.uniform(q_key, shape), logits)
  root = bandit.root(search_key, rows, jnp.zeros(shape))
  search = plan_lib.gumbel(
      SearchConfig(max_considered=16, max_depth=num_simulations),
      # The value of the policy is known: nothing needs to be mixed.
      qtransform=functools.partial(
          mctx.qtransform_completed_by_mix_value, use_mixed_value=False
      ),
  )
  output = search(
      bandit,
      search_key,
      recurrent.root_output(root),
      recurrent.recurrent_fn,
      num_simulations=num_simulations,
      invalid_actions=root.invalid,
  )
  noise = output.search_tree.extra_data.root_gumbel
  drawn = jnp.argmax(noise + logits, axis=-1)
  after = jnp.sum(output.action_weights * bandit.rewards, axis=-1)
  return rng_key, {
      "action": bandit.rewards[rows, output.action]
      - bandit.rewards[rows, drawn],
      "weights": after - root.value,
  }


def measure(num_draws: int, num_batches: int) -> dict[str, object]:
  """All figures of the page.

  Args:
    num_draws: of example 1.
    num_batches: of each row of the table; the first is the demo's.

  Returns:
    What `results/results.json` holds.
  """
  at_once = min(num_draws, 10_000)
  batches = [
      jax.device_get(example(jax.random.key(seed), num_draws=at_once))
      for seed in range(num_draws // at_once)
  ]
  found = jax.tree.map(lambda *x: np.concatenate(x), *batches)
  rows = []
  for num_simulations in SIMULATIONS:
    rng_key, gains = jax.random.key(SEED), {"action": [], "weights": []}
    for _ in range(num_batches):
      rng_key, one = improve(rng_key, num_simulations=num_simulations)
      for name, gain in gains.items():
        gain.append(np.asarray(one[name]))
    rows.append(
        {"num_simulations": num_simulations}
        | {name: _summary(gain) for name, gain in gains.items()}
    )
  lead = found["action"] - found["drawn"]
  return {
      "example": {name: float(x.mean()) for name, x in found.items()}
      | {"draws": num_draws, "least_lead": float(lead.min())},
      "improvement": rows,
  }


def _summary(gains: list[np.ndarray]) -> dict[str, float]:
  every = np.concatenate(gains)
  return {
      "first_batch": float(gains[0].mean()),
      "mean": float(every.mean()),
      "standard_error": float(every.std() / np.sqrt(every.size)),
      "min": float(every.min()),
      "problems": every.size,
  }


def draw(path_png: pathlib.Path, rows: list[dict]) -> None:
  """Draws the table: ours as lines with intervals, what the demo prints as dots.

  Args:
    path_png: the picture; an SVG is written beside it.
    rows: of `measure`.
  """
  figure, (axes,) = curves.make_panels(1, 4.6, 3.0)
  budgets = [row["num_simulations"] for row in rows]
  names = {"action": "searched action", "weights": "policy to be learned"}
  for i, (name, words) in enumerate(names.items()):
    colour = curves.COLOURS[i]
    mean = np.array([row[name]["mean"] for row in rows])
    half = 1.96 * np.array([row[name]["standard_error"] for row in rows])
    axes.fill_between(
        budgets, mean - half, mean + half, color=colour, alpha=0.3, linewidth=0
    )
    problems = rows[0][name]["problems"]
    axes.plot(
        budgets, mean, color=colour, label=f"{words}, {problems:,} problems"
    )
    axes.plot(
        budgets, [row[name]["first_batch"] for row in rows], "x",
        color=colour, markersize=6, label=f"the demo's {BATCH}",
    )  # fmt: skip
    axes.plot(
        budgets, [PRINTED[n][i] for n in budgets], "o", color=colour,
        markerfacecolor="none", markersize=9, label="as mctx prints them",
    )  # fmt: skip
  axes.set_xscale("log", base=2)
  axes.set_xticks(budgets, [str(n) for n in budgets])
  axes.set_ylim(0.0, 0.4)
  size = curves.FONT_SIZE
  axes.set_xlabel("simulations, of 82 actions", fontsize=size)
  axes.set_ylabel("gained over the policy", fontsize=size)
  axes.legend(
      fontsize=size - 2, frameon=False, ncol=2,
      loc="lower center", bbox_to_anchor=(0.5, 1.0),
  )  # fmt: skip
  curves.finish_axes(axes)
  curves.save(figure, path_png)


def parser() -> argparse.ArgumentParser:
  """The arguments of the command."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument(
      "--draws", type=int, default=200_000, help="of example 1"
  )
  options.add_argument("--batches", type=int, default=64, help="of a row")
  options.add_argument("--out", type=pathlib.Path, required=True)
  return options


def main(arguments: list[str] | None = None) -> None:
  """Measures, prints the table, and writes results.json and a picture."""
  options = parser().parse_args(arguments)
  start = time.monotonic()
  results = measure(options.draws, options.batches)
  results["seconds"] = time.monotonic() - start
  options.out.mkdir(parents=True, exist_ok=True)
  path = options.out / "results.json"
  path.write_text(json.dumps(results, indent=1) + "\n")
  draw(options.out / "improvement.png", results["improvement"])
  print(results["example"])
  for row in results["improvement"]:
    n = row["num_simulations"]
    print(n, *(
        f"{name} {row[name]['first_batch']:.3f} printed {printed:.3f}"
        f" mean {row[name]['mean']:.4f} min {row[name]['min']:.4f};"
        for name, printed in zip(("action", "weights"), PRINTED[n])
    ))  # fmt: skip


if __name__ == "__main__":
  main()
