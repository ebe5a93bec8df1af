"""Reads the runs: a table, a picture, and which orderings of Table 4 they hold.

What is compared are the runs of one seed, which began alike; an ordering is held
if Student's 95 % interval of the difference over the seeds is wholly on its side.
"""

import argparse
import itertools
import json
import pathlib

import numpy as np
from scipy import stats

from experiments.unplugged import make_data
from mulearn.env.catch import Catch
from mulearn.evaluate import curves

ARMS = ("bc_0", "bc_1", "bc_5", "crr", "reanalyse")
WAYS = {
    "policy": "policy_return", "value": "value_return", "MCTS": "mean_return",
}  # fmt: skip
# Schrittwieser et al. 2021, Table 4, medians.
PUBLISHED = {
    "policy": (60.6, 61.4, 54.0, 155.6, 203.2),
    "value": (92.2, 105.0, 159.2, 153.0, 239.9),
    "MCTS": (None, 137.3, 169.7, 172.5, 265.3),
}
Cell = tuple[str, str]  # Of the table: a way to act, and an arm.


def read(folder: pathlib.Path) -> dict[str, list[dict]]:
  """The results of each arm's seeds, in order."""
  return {
      arm: [
          json.loads(path.read_text())
          for path in sorted(folder.glob(f"{arm}/seed_*/results.json"))
      ]
      for arm in ARMS
  }


def with_interval(values: np.ndarray) -> tuple[float, float]:
  """The mean, and half of Student's 95 % interval over the seeds."""
  half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
  return float(values.mean()), float(half)


def cells(runs: dict[str, list[dict]]) -> dict[Cell, np.ndarray]:
  """What each cell of the table earned at the end, by seed."""
  return {
      (way, arm): np.array([run["final"][name] for run in runs[arm]])
      for way, name in WAYS.items()
      for arm in ARMS
  }


def orderings(found: dict[Cell, np.ndarray]) -> list[dict]:
  """Every two cells of a row or of a column that the paper printed."""
  printed = {
      (way, arm): figure
      for way, row in PUBLISHED.items()
      for arm, figure in zip(ARMS, row)
      if figure is not None
  }
  rows = []
  for a, b in itertools.combinations(printed, 2):
    if a[0] != b[0] and a[1] != b[1]:
      continue
    low, high = sorted((a, b), key=lambda cell: printed[cell])
    mean, half = with_interval(found[high] - found[low])
    verdict = "held" if mean > half else "reversed" if mean < -half else "open"
    rows.append(
        {"low": low, "high": high, "mean": mean, "half": half, "is": verdict}
    )
  return rows


def table(found: dict[Cell, np.ndarray], extra: dict[str, np.ndarray]) -> str:
  """The cells in Markdown, and the likeliest action of each policy."""
  rows = [["", *(f"`{arm}`" for arm in ARMS)], ["---"] * (1 + len(ARMS))]
  for way in WAYS:
    rows.append([way, *(_brief(found[way, arm]) for arm in ARMS)])
  rows.append(["policy's mode", *(_brief(extra[arm]) for arm in ARMS)])
  return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _brief(values: np.ndarray) -> str:
  mean, half = with_interval(values)
  return f"{mean:.4f} +- {half:.4f}"


def orderings_table(rows: list[dict]) -> str:
  """The orderings in Markdown."""
  lines = ["| less | more | difference | |", "| --- | --- | --- | --- |"]
  for row in rows:
    low, high = (f"`{arm}` by {way}" for way, arm in (row["low"], row["high"]))
    change = f"{row['mean']:+.4f} +- {row['half']:.4f}"
    lines.append(f"| {low} | {high} | {change} | {row['is']} |")
  return "\n".join(lines)


def draw(path_png: pathlib.Path, found, references: dict[str, float]) -> None:
  """Draws a group of bars an arm; dots are seeds, lines what is known."""
  figure, (axes,) = curves.make_panels(1, 7.0, 3.2)
  for i, way in enumerate(WAYS):
    for x, arm in enumerate(ARMS):
      place, values = x + 0.26 * (i - 1), found[way, arm]
      axes.bar(
          place, values.mean(), 0.24, color=curves.COLOURS[i],
          label=way if not x else None,
      )  # fmt: skip
      axes.plot(
          [place] * len(values), values, "o", color=curves.INK, markersize=2
      )
  for name, figure_known in references.items():
    axes.axhline(
        figure_known, color=curves.GREY, linewidth=0.9, linestyle=(0, (4, 3))
    )
    axes.text(
        len(ARMS) - 0.55, figure_known, name, fontsize=curves.FONT_SIZE - 2,
        color=curves.INK, va="bottom",
    )  # fmt: skip
  axes.set_xlim(-0.5, len(ARMS) + 0.5)
  axes.set_xticks(range(len(ARMS)), ARMS, fontsize=curves.FONT_SIZE - 1)
  axes.set_ylabel("mean return, exact", fontsize=curves.FONT_SIZE)
  axes.legend(fontsize=curves.FONT_SIZE - 1, frameon=False, loc="upper left")
  curves.finish_axes(axes)
  curves.save(figure, path_png)


def known() -> dict[str, float]:
  """Exact returns: best play, the player's and what improves on him at once."""
  game = Catch()
  mean = make_data.mean_policy()
  once = game.worth(mean).action_values.argmax(axis=-1)
  return {
      "best": game.worth().mean_return,
      "his values, greedily": game.worth(np.eye(3)[once]).mean_return,
      "he, never careless": game.worth(
          np.eye(3)[make_data.behaviour()]
      ).mean_return,
      "he, on average": game.worth(mean).mean_return,
      "random": game.worth(np.full(mean.shape, 1 / 3)).mean_return,
  }


def parser() -> argparse.ArgumentParser:
  """The command line."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--out", type=pathlib.Path, required=True)
  options.set_defaults(run=run)
  return options


def run(chosen: argparse.Namespace) -> None:
  """Prints the tables; writes summary.json and table_4.png."""
  out = chosen.out
  runs = read(out)
  found, references = cells(runs), known()
  modes = {
      arm: np.array([run["final"]["mode_return"] for run in runs[arm]])
      for arm in ARMS
  }
  rows = orderings(found)
  print(table(found, modes), orderings_table(rows), sep="\n\n")
  for verdict in ("held", "open", "reversed"):
    print(verdict, sum(row["is"] == verdict for row in rows), "of", len(rows))
  print(references)
  for arm in ARMS:
    print(arm, [round(run["seconds"]) for run in runs[arm]], "seconds")
  (out / "summary.json").write_text(
      json.dumps({"known": references, "orderings": rows}, indent=1) + "\n"
  )
  draw(out / "table_4.png", found, references)


if __name__ == "__main__":
  arguments = parser().parse_args()
  arguments.run(arguments)
