"""The kinds of model that read a board, and the games that each can play."""

from flax import nnx
import jax
import numpy as np

from mulearn.config import Config, choose
from mulearn.env.games import action_size, make_environment
from mulearn.model import board_windows, value_prefix
from mulearn.model.board_maps import MapImaginer
from mulearn.model.board_networks import (
    ActorCritic,
    ContinuousImaginer,
    Imaginer,
    Predictor,
)
from mulearn.model.chance_networks import ChanceImaginer
from mulearn.model.picture_networks import PictureImaginer
from mulearn.types import Array

NETWORKS: dict[str, type[Predictor]] = {
    "simulator": Predictor,
    "world": Imaginer,
    "sampled": ContinuousImaginer,
    "stochastic": ChanceImaginer,
    "ppo": Predictor,
    "a2c": Predictor,
    "trpo": ActorCritic,
    "dqn": Predictor,  # Its policy head says Q-values.
}


def check_game(config: Config) -> None:
  """Raises a ValueError where no agent, or not this one, can play the game."""
  environment = make_environment(config.env.name)
  if config.model.kind == "simulator" and hasattr(
      jax.eval_shape(environment.init, jax.random.key(0)), "chance"
  ):
    raise ValueError(
        "config.model.kind is 'simulator', but the states of"
        f" {config.env.name!r} hold what chance will do next, which a search of"
        " them would know: set it to 'world' or 'stochastic'."
    )
  if config.model.prefix_moves and environment.num_players > 1:
    raise ValueError(
        f"config.model.prefix_moves is {config.model.prefix_moves}, but"
        f" {config.env.name!r} is a game of two, whose rewards do not add up: set"
        " it to 0."
    )
  if (not environment.num_actions) != (config.model.kind == "sampled"):
    raise ValueError(
        f"config.env.name is {config.env.name!r}, model.kind"
        f" {config.model.kind!r}: games with continuous actions, and no others,"
        " are played by kind 'sampled'."
    )


def make_networks(config: Config, rng_key: Array) -> Predictor:
  """Fresh parameters for the config's kind of model; consumes the key.

  Raises:
    ValueError: the config's model cannot read what its environment shows.
  """
  kind = choose(NETWORKS, "model.kind", config.model.kind)
  environment = make_environment(config.env.name)
  rngs = nnx.Rngs(rng_key)
  shape = environment.observation_shape
  if config.model.window:
    board_windows.check(config.model.window, shape)
  networks: Predictor
  if config.model.channels:
    imaginer = MapImaginer if config.model.window else PictureImaginer
    networks = imaginer(
        config.model,
        observation_shape=shape,
        num_actions=environment.num_actions,
        rngs=rngs,
    )
  else:
    networks = kind(
        config.model,
        observation_size=int(np.prod(shape)),
        num_actions=environment.num_actions or action_size(environment),
        rngs=rngs,
    )
    if config.model.window:
      reader = board_windows.WindowReader
      networks.read = reader(config.model, shape, rngs=rngs)
  if config.model.prefix_moves:
    assert isinstance(networks, Imaginer)  # `learners.check` saw to it.
    return value_prefix.remember(networks, config.model.prefix_moves, rngs)
  return networks
