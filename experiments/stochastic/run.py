"""Search with chance nodes, beside everything that chance can do.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned
model", https://openreview.net/forum?id=X6D9bAHhBQ1: actions lead to afterstates,
chance leads on. On a dice game that is small enough for an exact expectimax; the
rules are the model, so that what is measured is search alone.
"""

import argparse
from collections.abc import Callable
import functools
import json
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mctx
import numpy as np

from mulearn.config import SearchConfig
from mulearn.env.dice import Dice, DiceState
from mulearn.evaluate import curves, expectimax
from mulearn.model.chance import Alternating, ChanceRules
from mulearn.parallel.mesh import make_mesh
from mulearn.search import chance
from mulearn.search import plan as plan_lib

TURNS, POTS = (2, 3), range(0, 24)
SIMULATIONS = (50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600)


class Arm(NamedTuple):
  """A way to search.

  Attributes:
    interior: who chooses below the root; see `plan.gumbel`.
    value_scale: of the completed Q-values,
    patience: beside the most visits of an action: together they multiply Q by
      `(patience + visits) * value_scale`.
    most: simulations, beyond which the answer does not change.
  """

  interior: Callable[[plan_lib.SelectFn], plan_lib.SelectFn]
  value_scale: float
  patience: float
  most: int = 25_600


# The third begins as the first, but doubles its trust in Q after 1,000 visits
# of an action in place of 50.
ARMS = {
    "chance by its odds": Arm(chance.let_chance_choose, 0.3, 50.0),
    "chance taken for a player": Arm(plan_lib.as_it_is, 0.3, 50.0, 1600),
    "chance by its odds, patient": Arm(chance.let_chance_choose, 0.015, 1000.0),
}


def positions(game: Dice, num_turns: int) -> DiceState:
  """One position for each pot, `[B]`."""
  states = [game.position(pot, num_turns) for pot in POTS]
  return jax.tree.map(lambda *x: jnp.stack(x), *states)


def search(num_turns: int, num_simulations: int, arm: Arm) -> np.ndarray:
  """Values of the roots `[B]` after a search of each."""
  game = Dice(num_turns)
  states = positions(game, num_turns)
  config = SearchConfig(
      max_depth=2 * num_turns, max_considered=game.num_actions
  )
  qtransform = functools.partial(
      mctx.qtransform_completed_by_mix_value,
      value_scale=arm.value_scale,
      maxvisit_init=arm.patience,
      rescale_values=False,
  )
  model = Alternating(ChanceRules(game), game.num_outcomes)
  rng_key = jax.random.key(0)
  shape = (len(POTS), game.num_actions)
  plan = jax.jit(plan_lib.plan, static_argnames=_STATIC)(
      model,
      rng_key,
      model.root(rng_key, states, jnp.zeros(shape)),
      search=plan_lib.gumbel(
          config,
          deterministic=True,
          qtransform=qtransform,
          interior=arm.interior,
      ),
      num_simulations=num_simulations,
      mesh=make_mesh(jax.devices()[:1]),
  )
  return np.asarray(plan_lib.improved_value(plan))


_STATIC = ("search", "num_simulations", "mesh")


def measure() -> list[dict]:
  """All figures of the page, a row for each number of turns and arm."""
  rows = []
  for num_turns in TURNS:
    game = Dice(num_turns)
    worth = jax.vmap(
        lambda s, g=game, n=num_turns: expectimax.action_values(
            g, s, num_turns=n
        )
    )
    exact = np.asarray(jax.jit(worth)(positions(game, num_turns)).max(axis=-1))
    for name, arm in ARMS.items():
      budgets = [n for n in SIMULATIONS if n <= arm.most]
      found = [search(num_turns, n, arm) for n in budgets]
      errors = [np.abs(values - exact) for values in found]
      rows.append(
          {
              "turns": num_turns,
              "arm": name,
              "simulations": budgets,
              "worst": [float(e.max()) for e in errors],
              "mean": [float(e.mean()) for e in errors],
              "exact": exact.tolist(),
              "values": found[-1].tolist(),
          }
      )
  return rows


def draw(path_png: pathlib.Path, rows: list[dict]) -> None:
  """Draws the worst error of each arm over simulations.

  Args:
    path_png: the picture; an SVG is written beside it.
    rows: of `measure`.
  """
  figure, panels = curves.make_panels(len(TURNS), 6.8, 2.8)
  size = curves.FONT_SIZE
  for axes, num_turns in zip(panels, TURNS):
    mine = [row for row in rows if row["turns"] == num_turns]
    for i, row in enumerate(mine):
      axes.plot(
          row["simulations"], row["worst"], color=curves.COLOURS[i],
          marker=curves.MARKERS[i], markersize=4, label=row["arm"],
      )  # fmt: skip
    axes.axhline(0.02, color=curves.GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(f"{num_turns} turns", fontsize=size)
    axes.set_xlabel("simulations", fontsize=size)
    curves.finish_axes(axes)
  panels[0].set_ylabel("worst error of a root value", fontsize=size)
  panels[0].legend(fontsize=size - 1.5, frameon=False, loc="lower left")
  curves.save(figure, path_png)


def parser() -> argparse.ArgumentParser:
  """The arguments of the command."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--out", type=pathlib.Path, required=True)
  return options


def main(arguments: list[str] | None = None) -> None:
  """Measures, prints the table, and writes results.json and a picture."""
  options = parser().parse_args(arguments)
  start = time.monotonic()
  rows = measure()
  results = {"rows": rows, "seconds": time.monotonic() - start}
  options.out.mkdir(parents=True, exist_ok=True)
  path = options.out / "results.json"
  path.write_text(json.dumps(results, indent=1) + "\n")
  draw(options.out / "errors.png", rows)
  for row in rows:
    print(row["turns"], row["arm"])
    for n, worst, mean in zip(row["simulations"], row["worst"], row["mean"]):
      print(f"  {n:6} worst {worst:.4f} mean {mean:.4f}")


if __name__ == "__main__":
  main()
