"""Search over a few sampled actions, where there are a thousand.

Hubert et al. 2021, "Learning and planning in complex action spaces",
https://arxiv.org/abs/2104.06303. With all actions in the sample it has to be the
search that does not sample; with few it still has to learn the best of 1,024
actions, which is known here by looking at all of them.
"""

import argparse
import functools
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mulearn.config import SearchConfig
from mulearn.env.games import make_environment
from mulearn.evaluate import arena, curves
from mulearn.evaluate.playouts import PlayoutModel
from mulearn.model import sampled
from mulearn.model.bandit import Bandit
from mulearn.parallel.mesh import make_mesh
from mulearn.search import plan as plan_lib
from mulearn.types import Array

NUM_BITS, LANES, SIMULATIONS, SEEDS = 10, 8, 8, range(3)
SAMPLES = (4, 16)
ALL = 2**NUM_BITS
_BITS = (np.arange(ALL)[:, None] >> np.arange(NUM_BITS)) & 1


def same_trees() -> dict[str, float]:
  """Hex 3x3 by random playouts: how far a sample of all 9 actions is from all.

  Returns:
    The largest difference of visits, values and priors over all nodes.
  """
  game = make_environment("hex_3")
  rng_key = jax.random.key(0)
  states = arena.openings(game, rng_key, 8, 2)
  plain = PlayoutModel(game)

  @functools.partial(jax.jit, static_argnames="is_sampled")
  def trees(*, is_sampled):
    full = sampled.WithoutReplacement(game.num_actions)
    model = sampled.Sampled(plain, full) if is_sampled else plain
    return plan_lib.plan(
        model,
        rng_key,
        model.root(rng_key, states, jnp.zeros((8, game.num_actions))),
        search=plan_lib.gumbel(SearchConfig(max_considered=16)),
        num_simulations=32,
        mesh=make_mesh(jax.devices()[:1]),
    ).tree

  one, other = trees(is_sampled=False), trees(is_sampled=True)
  return {
      name: float(jnp.max(jnp.abs(getattr(one, name) - getattr(other, name))))
      for name in ("children_visits", "node_values", "children_prior_logits")
  }


def rewards(seed: int) -> Array:
  """of all actions `[1024]`, from 0 to 1: random pairs of bits that pay or cost."""
  weights = np.random.default_rng(seed).normal(size=(NUM_BITS, NUM_BITS))
  worth = np.einsum("ai,ij,aj->a", _BITS, np.triu(weights), _BITS)
  worth -= worth.min()
  return jnp.asarray(worth / worth.max(), jnp.float32)


@functools.partial(jax.jit, static_argnames=("num_samples", "num_steps"))
def learn(
    worth: Array, rng_key: Array, *, num_samples: int, num_steps: int
) -> dict[str, Array]:
  """Policy iteration: search, and learn what search prefers.

  The policy decides about each bit by itself, `log pi(a) = bits(a) . theta`.

  Args:
    worth: of all actions, `[1024]`.
    rng_key: consumed.
    num_samples: K of a root.
    num_steps: T, of Adam.

  Returns:
    The expected worth of the policy, and the worth of its likeliest action, `[T]`.
  """
  bits, rows = jnp.asarray(_BITS, jnp.float32), jnp.zeros(LANES, jnp.int32)
  optimizer = optax.adam(0.1)
  search = plan_lib.gumbel(
      SearchConfig(max_considered=min(SIMULATIONS, num_samples), max_depth=1)
  )

  def step(carry, rng_key):
    theta, state = carry
    root_key, plan_key = jax.random.split(rng_key)
    model = sampled.Sampled(
        Bandit(worth[None], (bits @ theta)[None]),
        sampled.WithoutReplacement(num_samples),
    )
    root = model.root(root_key, rows, jnp.zeros((LANES, ALL)))
    plan = plan_lib.plan(
        model,
        plan_key,
        root,
        search=search,
        num_simulations=SIMULATIONS,
        mesh=make_mesh(jax.devices()[:1]),
    )

    def loss(theta):
      log_policy = jax.nn.log_softmax(bits @ theta)[root.actions]
      return -jnp.mean(jnp.sum(plan.policy * log_policy, axis=-1))

    updates, state = optimizer.update(jax.grad(loss)(theta), state)
    theta = optax.apply_updates(theta, updates)
    policy = jax.nn.softmax(bits @ theta)
    return (theta, state), {
        "expected": policy @ worth,
        "likeliest": worth[jnp.argmax(policy)],
    }

  theta = jnp.zeros(NUM_BITS)
  keys = jax.random.split(rng_key, num_steps)
  return jax.lax.scan(step, (theta, optimizer.init(theta)), keys)[1]


def measure(num_steps: int) -> dict[str, object]:
  """All figures of the page."""
  rows = []
  for num_samples in SAMPLES:
    runs = [
        jax.device_get(
            learn(
                rewards(seed),
                jax.random.key(seed),
                num_samples=num_samples,
                num_steps=num_steps,
            )
        )
        for seed in SEEDS
    ]
    rows.append(
        {"samples": num_samples}
        | {
            name: [run[name].tolist() for run in runs]
            for name in ("expected", "likeliest")
        }
    )
  return {"same_trees": same_trees(), "rows": rows}


def draw(path_png: pathlib.Path, rows: list[dict]) -> None:
  """Draws the expected worth of the policy as it learns.

  Args:
    path_png: the picture; an SVG is written beside it.
    rows: of `measure`.
  """
  figure, (axes,) = curves.make_panels(1, 4.6, 3.0)
  size = curves.FONT_SIZE
  for i, row in enumerate(rows):
    found, colour = np.array(row["expected"]), curves.COLOURS[i]
    steps = np.arange(1, found.shape[1] + 1)
    axes.plot(steps, found.T, color=colour, linewidth=0.4, alpha=0.5)
    axes.plot(
        steps, found.mean(axis=0), color=colour, linewidth=1.7,
        label=f"{row['samples']} samples of 1,024",
    )  # fmt: skip
  axes.set_ylim(0.4, 1.01)
  axes.set_xlabel("steps", fontsize=size)
  axes.set_ylabel("worth of the policy, best is 1", fontsize=size)
  axes.legend(fontsize=size - 1, frameon=False, loc="lower right")
  curves.finish_axes(axes)
  curves.save(figure, path_png)


def parser() -> argparse.ArgumentParser:
  """The arguments of the command."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--steps", type=int, default=150)
  options.add_argument("--out", type=pathlib.Path, required=True)
  return options


def main(arguments: list[str] | None = None) -> None:
  """Measures, prints the table, and writes results.json and a picture."""
  options = parser().parse_args(arguments)
  start = time.monotonic()
  results = measure(options.steps) | {"seconds": time.monotonic() - start}
  options.out.mkdir(parents=True, exist_ok=True)
  path = options.out / "results.json"
  path.write_text(json.dumps(results) + "\n")
  draw(options.out / "learning.png", results["rows"])
  print(results["same_trees"])
  for row in results["rows"]:
    last = {
        name: [round(run[-1], 3) for run in row[name]]
        for name in ("expected", "likeliest")
    }
    print(row["samples"], last)


if __name__ == "__main__":
  main()
