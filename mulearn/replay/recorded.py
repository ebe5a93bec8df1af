"""Games that somebody else has played, as a TFDS data set and in a replay.

Episodes have the steps of RL Unplugged: observation, action, reward, discount
(Gulcehre et al. 2020, https://arxiv.org/abs/2006.13888), in the fields of RLDS
(Ramos et al. 2021, https://arxiv.org/abs/2111.02767). `demonstrations` writes
and checks the files, as those of text games.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds

from mulearn.env.base import Environment
from mulearn.replay.buffer import Replay
from mulearn.replay.episodes import EpisodeSource, Layout
from mulearn.types import PyTree, Trajectory


@dataclasses.dataclass(frozen=True)
class Played:
  """A game as it was played, `T` moves long.

  Attributes:
    observation: before each move, and after the last, `[T + 1, ...]`.
    action: int32 `[T]`.
    reward: float32 `[T]`.
    discount: 0 where the move ended the game, else 1; a game whose last one is
      not 0 was cut, float32 `[T]`.
  """

  observation: np.ndarray
  action: np.ndarray
  reward: np.ndarray
  discount: np.ndarray


def layout(observation: np.ndarray | None = None) -> Layout:
  """How such games lie in a data set, for `demonstrations.write` and `read`.

  Args:
    observation: any one, `[...]`: all have its shape and type. Only `write`
      asks for it.
  """

  def features() -> tfds.features.FeaturesDict:
    assert observation is not None
    steps = {
        "observation": tfds.features.Tensor(
            shape=observation.shape, dtype=observation.dtype
        ),
        "action": np.int32,
        "reward": np.float32,
        "discount": np.float32,
        "is_first": np.bool_,
        "is_last": np.bool_,
        "is_terminal": np.bool_,
    }
    return tfds.features.FeaturesDict({"steps": tfds.features.Sequence(steps)})

  return Layout(features, to_record, from_record)


def to_record(game: Played) -> dict[str, Any]:
  """The steps as RLDS has them: the last holds an observation alone."""
  last = np.arange(len(game.action) + 1) == len(game.action)
  steps = {
      "observation": game.observation,
      "action": np.append(game.action, 0),
      "reward": np.append(game.reward, 0.0),
      "discount": np.append(game.discount, game.discount[-1]),
      "is_first": last[::-1],
      "is_last": last,
      "is_terminal": last & (game.discount[-1] == 0.0),
  }
  return {"steps": steps}


def from_record(record: dict[str, Any]) -> Played:
  """The inverse of `to_record`; fields of others are left alone."""
  steps = {name: np.asarray(x) for name, x in record["steps"].items()}
  discount = steps["discount"][:-1].astype(np.float32)
  if steps["is_terminal"][-1]:
    discount[-1] = 0.0  # Some sets say so at the last step only.
  return Played(
      observation=steps["observation"],
      action=steps["action"][:-1].astype(np.int32),
      reward=steps["reward"][:-1].astype(np.float32),
      discount=discount,
  )


def moves(game: Played, num_actions: int, discount: float) -> Trajectory:
  """The moves of a game as a replay stores them, `[T, ...]`.

  The policy is the action played, and the value what was earned from there on,
  `G_t = R_t + g_t G_{t+1}`; behind a cut nothing more is known to be earned.

  Args:
    game: as it was played.
    num_actions: A; all may always be chosen.
    discount: of one move.
  """
  length = len(game.action)
  value = np.zeros(length + 1, np.float32)
  for t in reversed(range(length)):
    value[t] = game.reward[t] + discount * game.discount[t] * value[t + 1]
  nothing = np.zeros((length, num_actions), np.float32)
  last = np.arange(length) == length - 1
  fields: dict[str, Any] = {
      "observation": game.observation[:-1],
      "prior_logits": nothing,
      "invalid": nothing.astype(bool),
      "policy": np.eye(num_actions, dtype=np.float32)[game.action],
      "improvement": nothing,
      "value": value[:-1],
      "action": game.action,
      "reward": game.reward,
      "discount": game.discount,
      "truncated": last & (game.discount != 0.0),
      "held_out": np.zeros(length, bool),
  }
  return Trajectory(**fields)


def fill(
    memory: PyTree,
    replay: Replay,
    source: EpisodeSource,
    environment: Environment,
    discount: float,
) -> PyTree:
  """Puts all games of a data set into an empty memory.

  Args:
    memory: of the replay, donated. Its rings take equal shares, one game after
      the other; fewer moves than there are rings are left out at the end.
    replay: that it is of.
    source: of games of the environment.
    environment: that they were played in.
    discount: of one move.

  Returns:
    The memory.

  Raises:
    ValueError: the games are of another environment, or too many.
  """
  games = [source[i] for i in range(len(source))]
  seen = games[0].observation.shape[1:]
  num_actions, shape = environment.num_actions, environment.observation_shape
  if seen != tuple(shape) or max(g.action.max() for g in games) >= num_actions:
    raise ValueError(
        f"config.replay.data holds games with observations {seen}, and the"
        f" environment has {shape} and {num_actions} actions; name the data set"
        " that was recorded in it."
    )
  lanes, ring = jax.tree.leaves(memory.experience)[0].shape[:2]
  parts = [moves(game, num_actions, discount) for game in games]
  joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
  length = len(joined.action) // lanes
  if length > ring:
    raise ValueError(
        f"config.replay.data holds {len(joined.action)} moves; raise"
        f" config.replay.capacity, which is {lanes * ring}."
    )
  by_lane = jax.tree.map(
      lambda x: x[: lanes * length].reshape(lanes, length, *x.shape[1:]), joined
  )
  places = jax.tree.map(lambda x: x.sharding, memory)
  add = jax.jit(replay.add, donate_argnums=0, out_shardings=places)
  return add(memory, by_lane)
