"""Imitation first: gold paths of train games as sequences to learn from.

The AlphaGo order: clone demonstrations into policy, value and model, then let
search improve on them. A demonstrated command is the policy target, the
demonstrated return is the value; the loss and the step are those of search.
"""

import numpy as np

from mulearn.config import Config
from mulearn.env.base import is_held_out
from mulearn.model.phrases import PhraseTable, take_action
from mulearn.prior import base as prior_lib
from mulearn.replay.episodes import Episode
from mulearn.types import Trajectory


def encode_episode(
    episode: Episode,
    phrases: PhraseTable,
    prior: prior_lib.Prior,
    config: Config,
) -> Trajectory:
  """One episode as a trajectory without a batch axis, `[moves, ...]`.

  Args:
    episode: a demonstration, or a recorded game with search policies.
    phrases: numbers for texts; its vocabulary learns the commands.
    prior: the language prior of the arm.
    config: slots and discount.

  Returns:
    A `Trajectory` of numpy arrays. Without recorded policies the target is the
    command that was given; without recorded values it is the return.
  """
  moves = episode.steps[: episode.num_moves]
  observations = [step.observation for step in moves]
  numbers = phrases.observe(observations, learn=True)
  slots = config.model.num_slots
  policy = np.zeros((len(moves), slots), np.float32)
  for t, step in enumerate(moves):
    if step.policy:
      policy[t, : len(step.policy)] = step.policy
    else:
      policy[t, step.observation.commands.index(step.action)] = 1.0
  reward = np.array([step.reward for step in moves], np.float32)
  discount = np.array([step.discount for step in moves], np.float32)
  returns = np.zeros(len(moves), np.float32)
  following = 0.0
  for t in reversed(range(len(moves))):
    following = reward[t] + config.learn.discount * discount[t] * following
    returns[t] = following
  recorded = [step.value for step in moves]
  slot = [step.observation.commands.index(step.action) for step in moves]
  prior_logits = prior_lib.pad(prior(observations), slots)
  return Trajectory(
      observation=numbers,
      prior_logits=prior_logits,
      invalid=numbers.invalid,
      policy=policy,
      improvement=policy,  # The trust is fitted by its mass on this command.
      value=np.array(
          [g if v is None else v for g, v in zip(returns, recorded)], np.float32
      ),
      action=take_action(numbers, prior_logits, np.array(slot)),
      reward=reward,
      discount=discount,
      truncated=np.array(
          [t == len(moves) - 1 and discount[t] > 0 for t in range(len(moves))]
      ),
      held_out=np.full(len(moves), is_held_out(episode.seed)),
  )
