"""Rates all runs of this experiment against each other, in the arena.

Everybody meets everybody in colour-reversed pairs of games from random openings:
once with as many simulations a move as the run learned from, once with the bare
policy. The Elo of an arm is the mean over its seeds. An arena that was played before
is not played again.
"""

import argparse
import json
import pathlib
import time

from absl import logging
import jax
import numpy as np

from mulearn import board_train
from mulearn.evaluate import arena, arena_report, curves, players
from mulearn.evaluate.statistics import bootstrap_ci

ARMS = ("gumbel_16", "gumbel_4", "gumbel_2", "puct_4")
WAYS = ("as it learned", "policy alone")


def load(runs: pathlib.Path) -> dict[str, board_train.BoardAgent]:
  """The agents of `runs/<arm>_<seed>`, by that name."""
  return {
      path.parent.name: board_train.restore_agent(path.parent)
      for arm in ARMS
      for path in sorted(runs.glob(f"{arm}_*/results.json"))
  }


def player(agent: board_train.BoardAgent, way: str) -> players.Player:
  """The agent as it plays one way."""
  if way == "policy alone":
    return players.policy_player(agent)
  return players.agent_player(agent, agent.config.search.num_simulations)


def rate(agents, way: str, num_pairs: int) -> dict:
  """Plays a tournament.

  Args:
    agents: by name.
    way: one of `WAYS`.
    num_pairs: of each match.

  Returns:
    What `arena.json` of the command line holds.
  """
  environment = next(iter(agents.values())).environment
  found = arena.tournament(
      environment,
      {name: player(agent, way) for name, agent in agents.items()},
      jax.random.key(0),
      num_pairs=num_pairs,
      opening_plies=2,
      anchor=next(iter(agents)),
  )
  return arena_report.summarise(found)


def by_arm(found: dict) -> dict[str, dict]:
  """Elo of each arm beside the first: every seed's, and the mean's interval."""
  elo: dict[str, list[float]] = {arm: [] for arm in ARMS}
  for one in sorted(found["players"], key=lambda p: p["name"]):
    elo[one["name"].rpartition("_")[0]].append(one["elo"])
  zero = float(np.mean(elo[ARMS[0]]))
  return {
      arm: {
          "seeds": [x - zero for x in values],
          "mean": float(np.mean(values)) - zero,
          # Of new seeds: the games of a seed are many.
          "ci95": list(bootstrap_ci([np.array([x - zero]) for x in values])),
      }
      for arm, values in elo.items()
  }


def draw(path_png: pathlib.Path, runs: dict, elo: dict[str, dict]) -> None:
  """Draws points against plain search as runs learn, and Elo at the end.

  Args:
    path_png: the picture; an SVG is written beside it.
    runs: the curves of each arm's seeds.
    elo: of each way, what `by_arm` returns.
  """
  figure, _ = curves.make_panels(1, 7.0, 3.0)
  figure.clear()
  left, right = figure.subplots(1, 2)
  size = curves.FONT_SIZE
  for i, arm in enumerate(ARMS):
    colour = curves.COLOURS[i]
    steps = [point["env_steps"] / 1000 for point in runs[arm][0]]
    points = np.array([[p["points"] for p in curve] for curve in runs[arm]])
    left.plot(steps, points.T, color=colour, linewidth=0.5, alpha=0.5)
    left.plot(
        steps, points.mean(axis=0), color=colour, label=arm,
        marker=curves.MARKERS[i], markersize=4,
    )  # fmt: skip
    for x, way in enumerate(WAYS):
      place = x + 0.16 * (i - 1.5)
      right.plot(
          [place] * len(points), elo[way][arm]["seeds"], curves.MARKERS[i],
          color=colour, markersize=3, alpha=0.6,
      )  # fmt: skip
      right.plot(
          [place - 0.07, place + 0.07], [elo[way][arm]["mean"]] * 2,
          color=colour, linewidth=2,
      )  # fmt: skip
  left.set_ylim(0.0, 1.03)
  left.set_xlabel("moves of self-play, thousands", fontsize=size)
  left.set_ylabel("points against plain search", fontsize=size)
  left.legend(fontsize=size - 1, frameon=False, loc="lower right")
  right.set_xticks(range(len(WAYS)), WAYS, fontsize=size - 1)
  right.set_ylabel("Elo beside gumbel_16", fontsize=size)
  for axes in (left, right):
    curves.finish_axes(axes)
  curves.save(figure, path_png)


def main() -> None:
  """Rates, prints, and writes elo.json, arenas and a picture."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--runs", type=pathlib.Path, required=True)
  options.add_argument("--pairs", type=int, default=32)
  options.add_argument("--out", type=pathlib.Path, required=True)
  chosen = options.parse_args()
  logging.set_verbosity(logging.WARNING)
  start = time.monotonic()
  agents = load(chosen.runs)
  chosen.out.mkdir(parents=True, exist_ok=True)
  elo = {}
  for way in WAYS:
    path = chosen.out / f"arena_{way.replace(' ', '_')}.json"
    if not path.exists():
      path.write_text(json.dumps(rate(agents, way, chosen.pairs)) + "\n")
    elo[way] = by_arm(json.loads(path.read_text()))
    print(way, {arm: round(x["mean"]) for arm, x in elo[way].items()})
  seconds = time.monotonic() - start
  (chosen.out / "elo.json").write_text(
      json.dumps(
          {"elo": elo, "pairs": chosen.pairs, "seconds": seconds}, indent=1
      )
      + "\n"
  )
  runs: dict[str, list] = {arm: [] for arm in ARMS}
  for name in agents:
    results = json.loads((chosen.runs / name / "results.json").read_text())
    runs[name.rpartition("_")[0]].append(results["curve"])
  draw(chosen.out / "elo.png", runs, elo)


if __name__ == "__main__":
  main()
