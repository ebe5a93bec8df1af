"""Fits the frontier and the exchange of computes to what `rate.py` found.

Writes `scaling.json` and a picture. Elo is beside perfect play, 0: from the games
against it alone (`direct`), and from those of all agents (`pool`).
"""

import argparse
from collections.abc import Callable, Sequence
import json
import pathlib
from typing import Any

import numpy as np

from experiments.hex_scaling import scaling
from experiments.hex_scaling.config import NUM_STEPS, WIDTHS
from experiments.hex_scaling.rate import PERFECT, SIMULATIONS, Counts
from experiments.hex_scaling.scaling import Agents
from mulearn.evaluate import curves, ratings
from mulearn.evaluate.ratings import Score

LEVELS = tuple(range(-700, 0, 25))  # Elo at which computes are exchanged.

ByWidth = dict[int, list[Agents]]
Boards = dict[str, ByWidth]
# Name of a run and a row of `perfect_*.json` -> Elo.
EloOf = Callable[[str, dict[str, Any]], float]


def score_of(pairs: Counts) -> Score:
  """The score behind counts of pairs with 0, 1 and 2 games won."""
  kinds = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
  return Score(np.repeat(kinds, pairs, axis=0))


def direct_elo(pairs: Counts) -> float:
  """Elo beside an opponent, from the games against it alone.

  `400 log10(p / (1 - p))` for a share of points `p`; `ratings` adds half a pair
  won and half a pair lost, so that it is finite.
  """
  return score_of(pairs).rating(num_resamples=1).elo


def pool_elo(rows: list[list[Any]]) -> dict[str, float]:
  """Elo of everybody beside `PERFECT`, from the games of all: as Jones does.

  Args:
    rows: of two players and `Counts` of the first, each two once.

  Returns:
    Elo by name, by `ratings.rate`.
  """
  names = list(dict.fromkeys(name for row in rows for name in row[:2]))
  index = {name: i for i, name in enumerate(names)}
  scores = {(index[a], index[b]): score_of(pairs) for a, b, pairs in rows}
  rated = ratings.rate(scores, len(names), index[PERFECT], num_resamples=1)
  return {name: one.elo for name, one in zip(names, rated)}


def gather(
    met: dict[str, Any],
    flops: dict[str, Any],
    elo_of: EloOf,
    simulations: Sequence[int],
) -> ByWidth:
  """The agents of a board.

  Args:
    met: `perfect_*.json`.
    flops: `flops_*.json`.
    elo_of: Elo of a row of `met` whose run has this name.
    simulations: that are wanted.

  Returns:
    By width, for each number of simulations; an agent is there where all seeds
    of its width were rated.
  """
  agents: ByWidth = {}
  for width, cost in flops.items():
    runs = [name for name in met if name.split("_")[2] == width]
    for n in simulations:
      curves_of_seeds = [
          {
              row["env_steps"]: elo_of(name, row)
              for row in met[name]
              if row["simulations"] == n
          }
          for name in runs
      ]
      steps = sorted(set.intersection(*map(set, curves_of_seeds)))
      elo = np.array([[curve[s] for s in steps] for curve in curves_of_seeds])
      agents.setdefault(int(width), []).append(
          Agents(
              train=np.log10(cost["train"] * np.array(steps[1:])),
              test=float(np.log10(cost["test"][str(n)])),
              elo=elo[:, 1:],
              untrained=elo[:, 0],
          )
      )
  return agents


def frontiers_of(
    boards: Boards,
) -> tuple[list[np.ndarray], list[float]]:
  """Frontier of each board with its plateau, of means over seeds."""
  found, plateaus = [], []
  for board in boards.values():
    agents = [one for some in board.values() for one in some]
    found.append(
        scaling.frontier([(one.train, one.elo.mean(axis=0)) for one in agents])
    )
    plateaus.append(float(np.mean([one.untrained.mean() for one in agents])))
  return found, plateaus


def slopes_of(boards: Boards) -> dict[str, float]:
  """Elo a decade of the boards together, of each, and of what is inside.

  The plateau is that of agents that have not learned, or `fitted`.
  """
  found, plateaus = frontiers_of(boards)
  slopes = {
      "together": scaling.fit_law(found, plateaus).slope,
      "together fitted": scaling.fit_law(found).slope,
  }
  for game, one, plateau in zip(boards, found, plateaus):
    slopes[game] = scaling.fit_law([one], [plateau]).slope
    slopes[f"{game} fitted"] = scaling.fit_law([one]).slope
    slopes[f"{game} inside"] = _or_nan(scaling.fit_inside(one, plateau))
  return slopes


def exchanges_of(boards: Boards) -> dict[str, float]:
  """Log test FLOPs for log training FLOPs at constant Elo, of each board.

  By Jones's plane, and `within` levels.
  """
  slopes = {}
  for game, board in boards.items():
    rows = ways_of(board)
    plane = scaling.fit_exchange(rows)
    slopes[game] = np.nan if plane is None else float(plane[0])
    slopes[f"{game} within"] = _or_nan(scaling.fit_within(rows))
  return slopes


def _or_nan(value: float | None) -> float:
  return np.nan if value is None else value


def ways_of(board: ByWidth) -> np.ndarray:
  """The cheapest ways of a board to each of `LEVELS`."""
  agents = [one for some in board.values() for one in some]
  means = [one.elo.mean(axis=0) for one in agents]
  return scaling.exchange(agents, means, LEVELS)


def with_intervals(
    boards: Boards,
    fit: Callable[[Boards], dict[str, float]],
    num_resamples: int,
) -> dict[str, dict[str, Any]]:
  """What was fitted, with 95 % intervals over training seeds."""
  rng = np.random.default_rng(0)
  whole = fit(boards)
  draws = [
      fit({name: scaling.resample(one, rng) for name, one in boards.items()})
      for _ in range(num_resamples)
  ]
  return {
      name: {
          "slope": value,
          "ci95": np.nanpercentile(
              [draw[name] for draw in draws], [2.5, 97.5]
          ).tolist(),
      }
      for name, value in whole.items()
  }


def draw(
    path_png: pathlib.Path,
    direct: Boards,
    searched: Boards,
) -> None:
  """Draws frontiers above, and below what an Elo costs.

  Args:
    path_png: the picture; an SVG is written beside it.
    direct: of each board, agents with as many simulations as they learned from.
    searched: with all numbers of simulations.
  """
  figure, _ = curves.make_panels(1, 6.4, 5.0)
  figure.clear()
  panels = figure.subplots(2, len(direct), squeeze=False)
  size = curves.FONT_SIZE
  found, plateaus = frontiers_of(direct)
  for i, (game, board) in enumerate(direct.items()):
    top, bottom = panels[:, i]
    for width, (one,) in sorted(board.items()):
      colour = curves.COLOURS[WIDTHS.index(width)]
      top.plot(one.train, one.elo.T, color=colour, linewidth=0.4, alpha=0.5)
      top.plot(
          one.train, one.elo.mean(axis=0), color=colour, label=str(width),
          marker=curves.MARKERS[WIDTHS.index(width)], markersize=3,
      )  # fmt: skip
    for low, style in (([plateaus[i]], ":"), (None, "--")):
      law = scaling.fit_law([found[i]], low)
      line = law.slope * (found[i][:, 0] - law.saturation[0])
      top.plot(
          found[i][:, 0], np.clip(line, law.plateau[0], 0.0),
          color=curves.INK, linestyle=style, linewidth=1.2,
      )  # fmt: skip
    top.set_title(game, fontsize=size)
    top.set_xlabel("log10 FLOPs of training", fontsize=size)
    _draw_ways(bottom, ways_of(searched[game]))
    bottom.set_xlabel("log10 FLOPs of training", fontsize=size)
  panels[0, 0].set_ylabel("Elo beside perfect play", fontsize=size)
  panels[1, 0].set_ylabel("log10 FLOPs of a move", fontsize=size)
  panels[0, 0].legend(fontsize=size - 1.5, frameon=False, title="width")
  for axes in panels.ravel():
    curves.finish_axes(axes)
  curves.save(figure, path_png)


def _draw_ways(axes: Any, rows: np.ndarray) -> None:
  """The ways to each level that the panel has, and the plane through them."""
  fitted = scaling.fit_exchange(rows)
  for level in np.unique(rows[:, 2])[::2]:
    train, test, _ = rows[rows[:, 2] == level].T
    (line,) = axes.plot(train, test, "o-", markersize=2.5, linewidth=0.8)
    if fitted is not None:
      axes.plot(
          train, fitted[0] * train + fitted[1] * level + fitted[2],
          color=line.get_color(), linestyle="--", linewidth=0.6,
      )  # fmt: skip
    axes.annotate(
        f"{level:.0f}", (train[0], test[0]), fontsize=5.5, color=curves.INK
    )


def fit_all(
    folder: pathlib.Path, learned: int, num_resamples: int
) -> dict[str, Any]:
  """Reads what `rate.py` wrote of any board, fits, and draws.

  Args:
    folder: of its files.
    learned: simulations that the runs learned from.
    num_resamples: of seeds.

  Returns:
    What `scaling.json` holds.
  """

  games = [g for g in NUM_STEPS if (folder / f"pool_{g}.json").exists()]

  def read(name: str) -> list[Any]:
    paths = [folder / f"{name}_{game}.json" for game in games]
    return [json.loads(path.read_text()) for path in paths]

  met, flops = read("perfect"), read("flops")
  rated: dict[str, float] = {}
  for pool in read("pool"):
    rated |= pool_elo(pool)

  def boards(elo_of: EloOf, simulations: Sequence[int]) -> Boards:
    found = [gather(*one, elo_of, simulations) for one in zip(met, flops)]
    return dict(zip(games, found))

  def alone(unused_name: str, row: dict[str, Any]) -> float:
    return direct_elo(row["pairs"])

  def pooled(name: str, row: dict[str, Any]) -> float:
    return rated[f"{name}:{row['env_steps']}"]

  direct, pool = boards(alone, [learned]), boards(pooled, [learned])
  searched = boards(alone, SIMULATIONS)
  draw(folder / "scaling.png", direct, searched)
  return {
      "frontier_direct": with_intervals(direct, slopes_of, num_resamples),
      "frontier_pool": with_intervals(pool, slopes_of, num_resamples),
      "exchange": with_intervals(searched, exchanges_of, num_resamples),
      "untrained_direct": frontiers_of(direct)[1],
      "untrained_pool": frontiers_of(pool)[1],
  }


def run(options: argparse.Namespace) -> None:
  """Fits what a folder holds."""
  text = json.dumps(
      fit_all(options.out, options.learned, options.resamples), indent=1
  )
  (options.out / "scaling.json").write_text(text + "\n")
  print(text)


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  found.add_argument("--out", type=pathlib.Path, required=True)
  found.add_argument("--learned", type=int, default=4, help="simulations")
  found.add_argument("--resamples", type=int, default=200)
  found.set_defaults(run=run)
  return found


if __name__ == "__main__":
  arguments = parser().parse_args()
  arguments.run(arguments)
