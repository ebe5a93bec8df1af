"""What runs left on disk, as the pictures of `evaluate` take it.

A run on a board leaves `<arm>/seed_<n>/results.json`; a study of text games
`<arm>/seed_<n>/outcomes.json` for each arm that learned and
`<name>/outcomes.json` for each baseline. Everything here is computed from those
raw logs again, not copied from a summary.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import Any

from mulearn.evaluate import statistics

Curve = Sequence[Mapping[str, float]]
Points = Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class StudyLogs:
  """A study of text games, read back.

  Attributes:
    arms: of each arm and baseline what `statistics.summarise` says.
    curves: of each arm and seed, (env_steps, success on dev games).
    trust: of each arm and seed, (env_steps, weight of the language model);
      only arms that were fused with a prior.
    lm_tokens: of each arm and baseline, over its seeds.
  """

  arms: dict[str, dict[str, Any]]
  curves: dict[str, dict[int, Points]]
  trust: dict[str, dict[int, Points]]
  lm_tokens: dict[str, int]


def read_runs(folder: pathlib.Path) -> dict[str, list[Curve]]:
  """The curves of runs on a board.

  Args:
    folder: of the results of an experiment.

  Returns:
    For each arm, one curve a seed: points with `env_steps`, `optimal_rate` and
    whatever else the examiner of the game found.

  Raises:
    ValueError: there are none.
  """
  curves: dict[str, list[Curve]] = {}
  for path in sorted(folder.glob("*/seed_*/results.json")):
    curve = json.loads(path.read_text())["curve"]
    curves.setdefault(path.parent.parent.name, []).append(curve)
  if not curves:
    raise ValueError(
        f"{folder} holds no <arm>/seed_<n>/results.json; give the folder with"
        " the results of an experiment, such as"
        " experiments/connect_four/results."
    )
  return curves


def read_study(folder: pathlib.Path) -> StudyLogs:
  """A study of text games, from every game that was played.

  Args:
    folder: of the results, such as `experiments/demo/results`, or the workdir
      of a study.

  Returns:
    The `StudyLogs`; arms in the order of `results.json`.

  Raises:
    ValueError: there is no study.
  """
  paths = sorted(folder.glob("**/outcomes.json"))
  if not paths:
    raise ValueError(
        f"{folder} holds no outcomes.json of an arm; give the folder with the"
        " results of a study, such as experiments/demo/results."
    )
  episodes, curves, trust, tokens = [], {}, {}, {}
  for path in paths:
    arm, seed = _arm_and_seed(path)
    part = json.loads(path.read_text())
    episodes += [statistics.EpisodeResult(**e) for e in part["episodes"]]
    tokens[arm] = tokens.get(arm, 0) + part.get("lm_tokens", 0)
    for name, found in (("curve", curves), ("trust", trust)):
      if part.get(name):
        found.setdefault(arm, {})[seed] = [tuple(x) for x in part[name]]
  arms = statistics.summarise(episodes)
  order = _order(folder / "results.json", arms)
  heard = [arm for arm in order if tokens[arm] and arm in trust]
  return StudyLogs(
      arms={arm: arms[arm] for arm in order},
      curves={arm: curves[arm] for arm in order if arm in curves},
      trust={arm: trust[arm] for arm in heard},
      lm_tokens={arm: tokens[arm] for arm in order},
  )


def _arm_and_seed(path: pathlib.Path) -> tuple[str, int]:
  """Of `<arm>/seed_<n>/outcomes.json` or `<name>/outcomes.json`."""
  folder = path.parent
  if folder.name.startswith("seed_"):
    return folder.parent.name, int(folder.name.removeprefix("seed_"))
  return folder.name, 0


def _order(path: pathlib.Path, arms: Mapping[str, Any]) -> list[str]:
  """The arms as `results.json` lists them; by name where there is none."""
  if not path.exists():
    return sorted(arms)
  listed = json.loads(path.read_text())["arms"]
  return [*(a for a in listed if a in arms), *sorted(set(arms) - set(listed))]


def arms_table(studies: Mapping[str, StudyLogs]) -> str:
  """Success, its 95 % interval and the return of every arm, in Markdown.

  Args:
    studies: by title; an arm that one of them lacks leaves its cell empty.

  Returns:
    A row an arm and a column a study.
  """
  arms = dict.fromkeys(arm for study in studies.values() for arm in study.arms)
  rows = [["arm", *studies], ["---"] * (1 + len(studies))]
  for arm in arms:
    found = [study.arms.get(arm) for study in studies.values()]
    rows.append([f"`{arm}`", *(_success(one) if one else "" for one in found)])
  return _markdown(rows)


def runs_table(folder: pathlib.Path) -> str:
  """What runs on a board ended with, in Markdown.

  Args:
    folder: of the results of an experiment.

  Returns:
    A row a run: share of positions with an optimal move at the end, at the
    worst checkpoint of the last quarter, and without search; the moves from
    which none was ever lost again; moves and seconds in all.
  """
  names = "arm seed final worst policy from moves seconds".split()
  rows = [names, ["---"] * len(names)]
  for path in sorted(folder.glob("*/seed_*/results.json")):
    run = json.loads(path.read_text())
    final, since = run["final"], _solved_since(run["curve"])
    rows.append(
        [
            f"`{path.parent.parent.name}`",
            str(run["seed"]),
            f"{final['optimal_rate']:.2%}",
            f"{run['worst_of_last_quarter']:.2%}",
            f"{final['policy_rate']:.2%}",
            "never" if since is None else f"{since:,}",
            f"{run['env_steps']:,}",
            f"{run['seconds']:,.0f}",
        ]
    )
  return _markdown(rows)


def _success(arm: Mapping[str, Any]) -> str:
  lo, hi = arm["ci95"]
  interval = f"[{_brief(lo, 3)}, {_brief(hi, 3)}]"
  return f"{_brief(arm['success'], 3)} {interval} ({_brief(arm['return'], 2)})"


def _brief(share: float, digits: int) -> str:
  """A share without its leading zero: .140, and 1.00 for all."""
  text = f"{share:.{digits}f}"
  return "1.00" if text.startswith("1") else text.removeprefix("0")


def _solved_since(curve: Curve) -> int | None:
  """The first moves from which no position was played wrongly again."""
  since = None
  for point in reversed(curve):
    if point["optimal_rate"] < 1.0:
      break
    since = point["env_steps"]
  return since


def _markdown(rows: Sequence[Sequence[str]]) -> str:
  return "\n".join(f"| {' | '.join(row)} |" for row in rows)
