"""Plays an episode of a text game, and records every search behind it.

What the language model says is recorded beside the prior it is a part of: at
the root what it was asked, below it what the model predicts of it.
"""

import dataclasses
import json
import pathlib
import re

import jax
import numpy as np

from mulearn import run as run_lib
from mulearn import study
from mulearn.act.agent import Agent
from mulearn.board_train import config_from_dict
from mulearn.checkpoint import Checkpointer, CheckpointError
from mulearn.config import Config
from mulearn.env.base import FOLD_SEEDS, TextObservation, TextStep
from mulearn.env.pool import TextPool
from mulearn.explore.record import Episode, Step, TextSight, list_nodes
from mulearn.model.phrases import PhraseTable
from mulearn.prior import build, language
from mulearn.search.plan import improved_value
from mulearn.search.tree import tree_view
from mulearn.types import Array


def restore_agent(workdir: pathlib.Path, step: int | None = None) -> Agent:
  """The agent of one run of a finished study of text games.

  Args:
    workdir: of the run: the study's, the arm's, the seed's, such as
      `runs/demo/muzero_lm/seed_0`.
    step: of one of its checkpoints; None takes the newest.

  Returns:
    The agent.

  Raises:
    CheckpointError: there is no such run, or its study is not finished.
  """
  workdir = workdir.resolve()
  root, arm = workdir.parent.parent, workdir.parent.name
  seed = re.fullmatch(r"seed_(\d+)", workdir.name)
  has_results = (root / "results.json").exists()
  if not (seed and has_results and (workdir / "checkpoints").is_dir()):
    raise CheckpointError(
        f"{workdir} holds no run with an agent: pass the --workdir of a run on"
        " a board, or that of one run of a finished study of text games, such"
        " as runs/demo/muzero_lm/seed_0."
    )
  values = json.loads((root / "results.json").read_text())["config"]
  config = config_from_dict(Config, values)
  if arm not in config.arms:
    raise CheckpointError(
        f"{arm!r} is no arm of the study in {root}; there are"
        f" {', '.join(config.arms)}."
    )
  config = study.configure_arm(config, arm, int(seed[1]))
  shared, scoring = build.Language(config.prior), None
  if (root / "calibration.json").exists():
    found = json.loads((root / "calibration.json").read_text())
    scoring = language.Scoring(**found["scoring"])
  prior = build.make_prior(config.prior.kind, shared.raw_scores(), scoring)
  phrases = PhraseTable(shared.embedding(config.model), config.model)
  checkpointer = Checkpointer(workdir / "checkpoints")
  networks = run_lib.restore_networks(config, checkpointer, phrases, step)
  if networks is None:
    raise CheckpointError(f"{workdir} has no checkpoint.")
  return Agent(config, networks, phrases, prior)


def play_episode(
    agent: Agent,
    pool: TextPool,
    rng_key: Array,
    *,
    game: int,
    num_simulations: int = 64,
    max_steps: int | None = None,
    deterministic: bool = True,
) -> Episode:
  """The agent plays one held-out game.

  Args:
    agent: who plays.
    pool: hosts the game, in lane 0.
    rng_key: consumed.
    game: number of the test game, from 0.
    num_simulations: of each search.
    max_steps: commands after which the episode is cut; None lets it end.
    deterministic: no exploration noise at the root.

  Returns:
    The episode with its searches.

  Raises:
    ValueError: a number is less than 1, or there is no such game.
  """
  for name, number in (
      ("num_simulations", num_simulations), ("max_steps", max_steps),
  ):  # fmt: skip
    if number is not None and number < 1:
      raise ValueError(f"{name} is {number}; at least 1 is needed.")
  answer = start_game(pool, game)
  steps: list[Step] = []
  while not (answer.terminated or answer.truncated or len(steps) == max_steps):
    observation = answer.observation
    command, step = think(
        agent, jax.random.fold_in(rng_key, len(steps)), observation,
        num_simulations, deterministic=deterministic,
    )  # fmt: skip
    answer = pool.step({0: command})[0]
    steps.append(
        dataclasses.replace(step, reward=answer.reward, over=answer.terminated)
    )
  config = agent.config
  return Episode(
      title=f"{config.env.name}, test game {game}",
      facts={
          "agent": f"MuZero, a learned model; prior {config.prior.kind}",
          "search": f"{config.search.policy}, {num_simulations} simulations",
          "noise": "none" if deterministic else "as in training",
      },
      players=("agent",),
      discount=config.learn.discount,
      steps=tuple(steps),
      last=_sight(answer.observation),
      ending=_ending(answer),
      board=None,
      is_imagined=True,
  )


def start_game(pool: TextPool, game: int) -> TextStep:
  """Resets lane 0 to a held-out game.

  Args:
    pool: hosts the game.
    game: number of the test game, from 0.

  Returns:
    What the game shows first.

  Raises:
    ValueError: there is no such game.
  """
  seeds = FOLD_SEEDS["test"]
  if not 0 <= game < len(seeds):
    raise ValueError(
        f"The game is {game}; the seed picks one of 0 to {len(seeds) - 1}."
    )
  return pool.reset({0: (seeds[game], "test")})[0]


def think(
    agent: Agent,
    rng_key: Array,
    observation: TextObservation,
    num_simulations: int,
    *,
    deterministic: bool = True,
) -> tuple[str, Step]:
  """Searches from one observation.

  Args:
    agent: who plans.
    rng_key: consumed.
    observation: of a game that is not over.
    num_simulations: of the search.
    deterministic: no exploration noise at the root.

  Returns:
    The command, and the record of the search, which does not know what the
    game will answer.
  """
  plan = agent.plan(
      rng_key, [observation], num_simulations=num_simulations,
      deterministic=deterministic,
  )  # fmt: skip
  plan = jax.tree.map(np.asarray, plan)
  actions = plan.tree.embeddings[1]
  commands, said = actions.command[0], actions.prior[0]  # [N, K]
  has_opinion = (said != 0.0).any(axis=-1)

  def details(view):
    fields = {}
    if view.depth == 1:
      fields["policy"] = float(plan.policy[0, view.slot])
    above = 0 if view.depth <= 1 else int(plan.tree.parents[0, view.node])
    if view.depth and has_opinion[above]:
      fields["language"] = float(np.exp(said[above, view.slot]))
    if view.node >= 0:
      fields["judged"] = float(plan.tree.raw_values[0, view.node])
    return fields

  view = tree_view(
      plan.tree,
      label=lambda node, slot: agent.phrases.text(int(commands[node, slot])),
      chosen_slot=int(plan.slot[0]),
  )
  nodes, left_out = list_nodes(view, num_players=1, details=details)
  trust = float(jax.nn.sigmoid(agent.networks.gate[...]))
  return observation.commands[int(plan.slot[0])], Step(
      sight=_sight(observation),
      mover=0,
      nodes=nodes,
      value=float(improved_value(plan)[0]),
      judged=float(plan.tree.raw_values[0, 0]),
      reward=0.0,
      over=False,
      left_out=left_out,
      trust=trust if has_opinion[0] else None,
  )


def _sight(observation: TextObservation) -> TextSight:
  return TextSight(observation.task, observation.prompt)


def _ending(answer) -> str:
  if answer.success:
    return "success"
  if answer.terminated:
    return f"failure, score {answer.score:.2f}"
  return f"cut before the end, score {answer.score:.2f}"


def make_pool(agent: Agent) -> TextPool:
  """One lane of the agent's games; a context manager."""
  return TextPool(run_lib.game_spec(agent.config), num_games=1, num_processes=1)
