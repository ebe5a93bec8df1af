"""Rates all runs of this experiment against each other, in the arena.

Everybody meets everybody in colour-reversed pairs of games from random openings:
all with the same simulations a move, then each with as many as it learned from,
then with the bare policy. The Elo of an arm is the mean over its seeds. On the
way there, runs of one seed meet after equally many moves. An arena that was
played before is not played again.
"""

import argparse
from collections.abc import Container, Iterable
import json
import pathlib
import time
from typing import Any

from absl import logging
import jax
import numpy as np

from mulearn import board_train
from mulearn.evaluate import arena, arena_report, curves, players, ratings

ARMS = ("gumbel_16", "gumbel_4", "gumbel_2", "puct_4")
WAYS = ("equal simulations", "as it learned", "policy alone")
ASKED = (("gumbel_2", "gumbel_16"), ("puct_4", "gumbel_4"))
NUM_DRAWS = 4000

Agents = dict[str, dict[int, board_train.BoardAgent]]


def load(runs: pathlib.Path) -> Agents:
  """The agents of `runs/<arm>_<seed>` by that name and environment steps."""
  return {
      path.parent.name: board_train.restore_agents(path.parent)
      for arm in ARMS
      for path in sorted(runs.glob(f"{arm}_*/results.json"))
  }


def player(agent: board_train.BoardAgent, way: str) -> players.Player:
  """The agent as it plays one way."""
  if way == "policy alone":
    return players.policy_player(agent)
  search = agent.config.search
  return players.agent_player(
      agent,
      search.num_simulations
      if way == "as it learned"
      else search.num_eval_simulations,
  )


def of_arms(names: Iterable[str]) -> dict[str, list[int]]:
  """Where the runs of each arm stand among the names, of arms that have any."""
  names = list(names)
  found = {
      arm: [i for i, name in enumerate(names) if name.startswith(f"{arm}_")]
      for arm in ARMS
  }
  return {arm: rows for arm, rows in found.items() if rows}


def asked_of(arms: Container[str]) -> list[tuple[str, str]]:
  """The pairs of `ASKED` of which both have runs."""
  return [(a, b) for a, b in ASKED if a in arms and b in arms]


def rate(agents: Agents, way: str, num_pairs: int) -> dict[str, Any]:
  """Plays a tournament of the newest agents.

  Args:
    agents: of all runs.
    way: one of `WAYS`.
    num_pairs: of each match.

  Returns:
    What `arena.json` of the command line holds.
  """
  newest = {name: points[max(points)] for name, points in agents.items()}
  found = arena.tournament(
      next(iter(newest.values())).environment,
      {name: player(agent, way) for name, agent in newest.items()},
      jax.random.key(0),
      num_pairs=num_pairs,
      opening_plies=2,
      anchor=next(iter(newest)),
  )
  return arena_report.summarise(found)


def by_arm(found: arena.Tournament) -> dict[str, Any]:
  """Elo of each arm, and of what was asked.

  Args:
    found: a tournament of all runs.

  Returns:
    Of each arm its seeds' Elo and their mean, beside the mean of the first
    arm; of what was asked the difference and its 95 % interval, of new games
    and, of S seeds, S - 1 drawn (as `statistics.bootstrap_ci` does).
  """
  names = found.names
  of = of_arms(names)
  elo = np.array([found.ratings[name].elo for name in names])
  zero = elo[next(iter(of.values()))].mean()
  arms: dict[str, Any] = {
      arm: {
          "seeds": (elo[rows] - zero).tolist(),
          "mean": float(elo[rows].mean() - zero),
      }
      for arm, rows in of.items()
  }
  anchor = names.index(found.anchor)
  draws = ratings.resample(
      found.scores, len(names), anchor, num_resamples=NUM_DRAWS
  )
  rng = np.random.default_rng(0)
  means = {
      arm: np.take_along_axis(
          draws, rng.choice(rows, (NUM_DRAWS, max(len(rows) - 1, 1))), axis=1
      ).mean(axis=1)
      for arm, rows in of.items()
  }
  asked = {
      f"{a} beside {b}": {
          "elo": arms[a]["mean"] - arms[b]["mean"],
          "ci95": np.percentile(means[a] - means[b], [2.5, 97.5]).tolist(),
      }
      for a, b in asked_of(of)
  }
  return {"arms": arms, "asked": asked}


def over_moves(agents: Agents, num_pairs: int) -> dict[str, list[Any]]:
  """How what was asked changes while runs learn, with equal simulations.

  Args:
    agents: of all runs.
    num_pairs: of each match, of two runs of one seed.

  Returns:
    For each of `ASKED` points of `env_steps`, `elo` of the games of all seeds
    together, its `ci95` of new games, and the `seeds`' own.
  """
  found: dict[str, list[Any]] = {}
  for a, b in asked_of(of_arms(agents)):
    seeds = sorted(
        name.rpartition("_")[2] for name in agents if name.startswith(f"{a}_")
    )
    points = []
    for env_steps in agents[f"{a}_{seeds[0]}"]:
      scores = []
      for seed in seeds:
        one, other = (agents[f"{arm}_{seed}"][env_steps] for arm in (a, b))
        scores.append(
            arena.match(
                one.environment,
                player(one, WAYS[0]),
                player(other, WAYS[0]),
                jax.random.fold_in(jax.random.key(1 + int(seed)), env_steps),
                num_pairs=num_pairs,
                opening_plies=2,
            )
        )
      games = np.concatenate([score.games for score in scores])
      rating = ratings.Score(games).rating()
      points.append(
          {
              "env_steps": env_steps,
              "elo": rating.elo,
              "ci95": list(rating.ci95),
              "seeds": [score.rating().elo for score in scores],
          }
      )
    found[f"{a} beside {b}"] = points
  return found


def draw(
    path_png: pathlib.Path,
    runs: dict[str, list[Any]],
    gaps: dict[str, list[Any]],
    elo: dict[str, dict[str, Any]],
) -> None:
  """Draws points against plain search, what was asked over moves, and Elo.

  Args:
    path_png: the picture; an SVG is written beside it.
    runs: the curves of each arm's seeds.
    gaps: what `over_moves` returns.
    elo: of each way, what `by_arm` returns.
  """
  figure, _ = curves.make_panels(1, 10.0, 3.0)
  figure.clear()
  left, middle, right = figure.subplots(1, 3)
  size = curves.FONT_SIZE
  for arm in runs:
    i = ARMS.index(arm)
    colour, marker = curves.COLOURS[i], curves.MARKERS[i]
    steps = [point["env_steps"] / 1000 for point in runs[arm][0]]
    points = np.array([[p["points"] for p in curve] for curve in runs[arm]])
    left.plot(steps, points.T, color=colour, linewidth=0.5, alpha=0.5)
    left.plot(
        steps, points.mean(axis=0), color=colour, label=arm, marker=marker,
        markersize=4,
    )  # fmt: skip
    for x, way in enumerate(WAYS):
      place = x + 0.16 * (i - 1.5)
      seeds = elo[way]["arms"][arm]["seeds"]
      right.plot(
          [place] * len(seeds), seeds, marker, color=colour, markersize=3,
          alpha=0.6,
      )  # fmt: skip
      right.plot(
          [place - 0.07, place + 0.07], [elo[way]["arms"][arm]["mean"]] * 2,
          color=colour, linewidth=2,
      )  # fmt: skip
  for asked, gap in gaps.items():
    i = ARMS.index(asked.partition(" ")[0])
    steps = [point["env_steps"] / 1000 for point in gap]
    middle.plot(
        steps, [point["elo"] for point in gap], color=curves.COLOURS[i],
        label=asked, marker=curves.MARKERS[i], markersize=4,
    )  # fmt: skip
    middle.fill_between(
        steps, *np.array([point["ci95"] for point in gap]).T,
        color=curves.COLOURS[i], alpha=0.15, linewidth=0,
    )  # fmt: skip
  middle.axhline(0.0, color=curves.GREY, linewidth=0.8)
  left.set_ylim(0.0, 1.03)
  for axes in (left, middle):
    axes.set_xlabel("moves of self-play, thousands", fontsize=size)
    axes.legend(fontsize=size - 1, frameon=False, loc="best")
  left.set_ylabel("points against plain search", fontsize=size)
  middle.set_ylabel("Elo, equal simulations", fontsize=size)
  labels = [way.replace(" ", "\n", 1) for way in WAYS]
  right.set_xticks(range(len(WAYS)), labels, fontsize=size - 1)
  right.set_ylabel("Elo beside gumbel_16", fontsize=size)
  for axes in (left, middle, right):
    curves.finish_axes(axes)
  curves.save(figure, path_png)


def main() -> None:
  """Rates, prints, and writes elo.json, arenas and a picture."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--runs", type=pathlib.Path, required=True)
  options.add_argument("--pairs", type=int, default=64)
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
    elo[way] = by_arm(arena_report.read(path))
    print(way, elo[way]["asked"])
  gaps = over_moves(agents, chosen.pairs)
  seconds = time.monotonic() - start
  found = {"elo": elo, "over_moves": gaps, "pairs": chosen.pairs}
  (chosen.out / "elo.json").write_text(
      json.dumps(found | {"seconds": seconds}, indent=1) + "\n"
  )
  runs: dict[str, list[Any]] = {arm: [] for arm in of_arms(agents)}
  for name in agents:
    results = json.loads((chosen.runs / name / "results.json").read_text())
    runs[name.rpartition("_")[0]].append(results["curve"])
  draw(chosen.out / "elo.png", runs, gaps, elo)


if __name__ == "__main__":
  main()
