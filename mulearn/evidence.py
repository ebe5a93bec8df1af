"""The pictures of a study, drawn from what its runs left."""

from collections.abc import Iterable, Mapping
import pathlib
from typing import Any

import jax
import numpy as np

from mulearn.act.agent import Agent
from mulearn.env.pool import TextPool
from mulearn.evaluate import curves, play, tree_picture
from mulearn.search.tree import tree_view

# The ceiling would leave no room, and a sample of the same model little to say.
_NOT_DRAWN = ("gold", "lm_sampled")


def mean_trust(parts: Iterable[Mapping[str, Any]]) -> list[tuple[int, float]]:
  """The trust over time, averaged over the seeds of an arm.

  Args:
    parts: what each seed left, with `trust` as (env_steps, weight) pairs.

  Returns:
    (env_steps, mean weight) as far as every seed goes.
  """
  series = [part["trust"] for part in parts if part["trust"]]
  if not series:
    return []
  length = min(len(one) for one in series)
  mean = np.mean([[w for _, w in one[:length]] for one in series], axis=0)
  return [(step, w) for (step, _), w in zip(series[0], mean.tolist())]


def draw_learning(
    path: pathlib.Path,
    lines: Mapping[str, Mapping[int, list[tuple[int, float]]]],
    baselines: Mapping[str, Mapping[str, Any]],
) -> None:
  """Draws the curves of the arms that learn from play; nothing if none does.

  Args:
    path: the PNG; an SVG is written beside it.
    lines: for each arm and seed, (env_steps, success on dev games).
    baselines: summaries with `success` and `ci95`.
  """
  learning = {
      arm: seeds
      for arm, seeds in lines.items()
      if all(len(curve) > 1 for curve in seeds.values())
  }
  flat = {
      name: (summary["success"], *summary["ci95"])
      for name, summary in baselines.items()
      if name not in _NOT_DRAWN
  }
  if learning:
    curves.draw_curves(path, learning, flat)


def draw_search(
    path: pathlib.Path, agent: Agent, pool: TextPool, outcome: play.Outcome
) -> None:
  """Pictures the search behind the second command of a game that was played.

  Args:
    path: the SVG.
    agent: who searches.
    pool: rebuilds the game.
    outcome: of the game.
  """
  [step] = pool.branch([(outcome.seed, "test", outcome.commands[:1])])
  observation = step.observation
  # Padded to the batch of evaluation, whose program is compiled already.
  plan = agent.plan(
      jax.random.key(0),
      [observation],
      batch_size=agent.config.env.num_eval_lanes,
  )
  commands = np.asarray(plan.tree.embeddings[1].command)[0]
  view = tree_view(
      jax.tree.map(np.asarray, plan.tree),
      0,
      label=lambda node, slot: agent.phrases.text(int(commands[node, slot])),
      chosen_slot=int(plan.slot[0]),
  )
  [prior] = agent.prior([observation])
  tree_picture.draw_tree(
      path,
      view,
      title=f"One search of {agent.config.search.num_eval_simulations}"
      " simulations in the learned world",
      observation_text=observation.prompt,
      language_prior=dict(zip(observation.commands, np.exp(prior).tolist())),
      policy=dict(
          zip(observation.commands, np.asarray(plan.policy)[0].tolist())
      ),
  )
