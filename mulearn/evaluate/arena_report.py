"""A tournament as a table, as JSON and as a picture."""

import json
import os
import pathlib
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg
import numpy as np
import rich.box
import rich.console
import rich.table

from mulearn.evaluate import ratings
from mulearn.evaluate.arena import Tournament
from mulearn.evaluate.curves import COLOURS, FONT_SIZE, INK, save


def summarise(tournament: Tournament) -> dict[str, Any]:
  """What `arena.json` holds.

  Args:
    tournament: played.

  Returns:
    `anchor`; `players` from the strongest, each with `elo`, `ci95`, `games`,
    `wins`, `draws`, `losses` and `points` a game; `matches`, each with its two
    players, the same of the first one, and the points `[2]` of each pair.
  """
  players = []
  for i in _order(tournament):
    name = tournament.names[i]
    rating = tournament.ratings[name]
    counts = np.sum([s.counts for s in _scores(tournament, i)], axis=0)
    players.append(
        {"name": name, "elo": rating.elo, "ci95": list(rating.ci95)}
        | _counts(counts)
    )
  matches = []
  for (i, j), score in tournament.scores.items():
    rating = score.rating()
    matches.append(
        {"player": tournament.names[i], "opponent": tournament.names[j]}
        | {"elo": rating.elo, "ci95": list(rating.ci95)}
        | _counts(np.array(score.counts))
        | {"pairs": score.games.tolist()}
    )
  return {"anchor": tournament.anchor, "players": players, "matches": matches}


def read(path: str | os.PathLike[str]) -> Tournament:
  """A tournament from its `arena.json`, rated anew from its games.

  Args:
    path: the file.

  Returns:
    The `Tournament`.
  """
  found = json.loads(pathlib.Path(path).read_text())
  matches = found["matches"]
  names = tuple(
      dict.fromkeys(m[who] for who in ("player", "opponent") for m in matches)
  )
  scores = {
      (names.index(m["player"]), names.index(m["opponent"])): ratings.Score(
          np.array(m["pairs"])
      )
      for m in matches
  }
  anchor = found["anchor"]
  rated = ratings.rate(scores, len(names), names.index(anchor))
  return Tournament(names, anchor, scores, dict(zip(names, rated, strict=True)))


def print_table(
    tournament: Tournament, console: rich.console.Console | None = None
) -> None:
  """Prints the ratings, and the points of each against each.

  Args:
    tournament: played.
    console: where to print; by default the terminal or the pipe.
  """
  console = console or rich.console.Console()
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False)
  table.add_column("", justify="right")
  table.add_column("player", no_wrap=True)
  for name in ("Elo", "95 %", "won", "drawn", "lost", "points"):
    table.add_column(name, justify="right", no_wrap=True)
  order = _order(tournament)
  for rank in range(len(order)):
    table.add_column(f"v {rank + 1}", justify="right", no_wrap=True)
  for rank, row in enumerate(summarise(tournament)["players"]):
    against = [
        ""
        if j == order[rank]
        else f"{tournament.score(order[rank], j).points:.0%}"
        for j in order
    ]
    lo, hi = row["ci95"]
    table.add_row(
        str(rank + 1), row["name"], f"{row['elo']:+.0f}",
        f"{lo:+.0f} to {hi:+.0f}", str(row["wins"]), str(row["draws"]),
        str(row["losses"]), f"{row['points']:.1%}", *against,
    )  # fmt: skip
  # A pipe has no width of its own: let nothing be wrapped or cut there.
  soft_wrap = not console.is_terminal
  console.print(table, width=250 if soft_wrap else None, soft_wrap=soft_wrap)


def draw_ratings(
    path_png: str | os.PathLike[str], tournament: Tournament
) -> None:
  """Draws ratings with their intervals, and points a match; an SVG beside it.

  Args:
    path_png: the picture; its folder is created.
    tournament: played.
  """
  path_png = pathlib.Path(path_png)
  order = _order(tournament)
  height = 1.1 + 0.32 * len(order)
  figure = mpl_figure.Figure(
      figsize=(3.9 + 0.42 * len(order), height), dpi=220, layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  elos, matrix = figure.subplots(
      1, 2, sharey=True, width_ratios=(2.4, 0.42 * len(order))
  )
  for y, i in enumerate(order):
    rating = tournament.ratings[tournament.names[i]]
    elos.plot(rating.ci95, [y, y], color=COLOURS[0], linewidth=1.5)
    elos.plot([rating.elo], [y], "o", color=COLOURS[0], markersize=4.5)
  names = [
      f"{_short(tournament.names[i])}  {y + 1}" for y, i in enumerate(order)
  ]
  elos.set_yticks(range(len(order)), names)
  elos.set_xlabel(
      f"Elo beside {tournament.anchor}, 95 %", fontsize=FONT_SIZE, color=INK
  )
  elos.grid(axis="x", color="#e6e6e6", linewidth=0.6)
  _draw_matrix(matrix, tournament, order)
  for axes in (elos, matrix):
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=FONT_SIZE - 0.5, colors=INK, length=0)
    axes.spines[:].set_visible(False)
  save(figure, path_png)


def _draw_matrix(
    axes: mpl_axes.Axes, tournament: Tournament, order: list[int]
) -> None:
  """Points a game, in percent, of the row against the column."""
  points = np.full((len(order), len(order)), np.nan)
  for y, i in enumerate(order):
    for x, j in enumerate(order):
      if i != j:
        points[y, x] = tournament.score(i, j).points
        axes.text(
            x, y, f"{100 * points[y, x]:.0f}", fontsize=FONT_SIZE - 2,
            ha="center", va="center", color=INK,
        )  # fmt: skip
  axes.imshow(points, cmap="RdYlBu", vmin=-0.3, vmax=1.3, aspect="auto")
  axes.set_xticks(range(len(order)), [str(x + 1) for x in range(len(order))])
  axes.set_xlabel("points a game against, %", fontsize=FONT_SIZE, color=INK)
  axes.tick_params(axis="y", labelleft=False)


def _short(name: str) -> str:
  """A player without the folders of its workdir."""
  kind, colon, rest = name.partition(":")
  return kind + colon + rest.rsplit("/", 1)[-1]


def _order(tournament: Tournament) -> list[int]:
  """The players from the strongest."""
  elo = [tournament.ratings[name].elo for name in tournament.names]
  return sorted(range(len(elo)), key=lambda i: -elo[i])


def _scores(tournament: Tournament, player: int) -> list[Any]:
  others = [j for j in range(len(tournament.names)) if j != player]
  return [tournament.score(player, j) for j in others]


def _counts(counts: np.ndarray) -> dict[str, float]:
  wins, draws, losses = map(int, counts)
  games = wins + draws + losses
  points = (wins + 0.5 * draws) / games
  return {
      "games": games, "wins": wins, "draws": draws, "losses": losses,
      "points": points,
  }  # fmt: skip
