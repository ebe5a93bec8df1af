"""The programs of a training run, with shapes in the place of arrays.

They are the very functions that the loops call, lowered for devices that need
not exist: no array is ever made.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
import numpy as np

from mulearn import board_run
from mulearn import run as run_lib
from mulearn.act import agent as agent_lib
from mulearn.config import Config
from mulearn.env.games import games_on_device
from mulearn.learn import board_round, learners
from mulearn.learn.step import learn_from_replay
from mulearn.lm import forward, rules, size
from mulearn.lm.config import DecoderConfig
from mulearn.lm.decoder import Decoder
from mulearn.model.phrases import PhraseTable
from mulearn.parallel.mesh import data_sharding, make_mesh, replicated
from mulearn.replay.buffer import replay_of
from mulearn.types import PyTree

# Rows and tokens of a batch of texts that are scored: one of `lm.pack.SHAPES`.
TEXT_ROWS, TEXT_LENGTH = 4, 96

Lower = Callable[[], jax.stages.Lowered]


class Programs(NamedTuple):
  """What a run consists of on its devices.

  Attributes:
    lower: for each program the function that lowers it: `act` plays, `learn`
      is a round of playing and learning on boards and the optimiser steps alone
      for text games, `prior` reads a batch of texts.
    runs: how often each runs for `num_moves` moves.
    num_moves: over all lanes.
    loop_limit: how often a loop of search turns at most: its depth.
    arrays: what stays on the devices, by name.
  """

  lower: dict[str, Lower]
  runs: dict[str, float]
  num_moves: int
  loop_limit: int
  arrays: dict[str, PyTree]


def programs(config: Config, mesh: Mesh, num_hosts: int = 1) -> Programs:
  """The programs of a config on a mesh.

  Args:
    config: of the run.
    mesh: of devices that need not exist.
    num_hosts: machines that read texts, each of its own games.

  Returns:
    The `Programs`.

  Raises:
    ValueError: the devices cannot share the work evenly; it says what can be
      changed.
  """
  if config.env.name in games_on_device():
    return _board(config, mesh)
  return _text(config, mesh, num_hosts)


def _board(config: Config, mesh: Mesh) -> Programs:
  learners.check(config)
  key = jax.eval_shape(lambda: jax.random.key(0))
  arrays = jax.eval_shape(lambda *k: board_run.fresh(config, *k), key, key)
  arrays = _place(arrays, board_run.layout(arrays, mesh))
  key = _place(key, replicated(mesh))
  learner = board_round.Static(board_run.learner_of(config))

  def lower(num_updates: int) -> Lower:
    program = board_run.program_of(config, num_updates, mesh)
    return lambda: board_round.play_round.lower(
        *arrays, key, key, program=program, learner=learner
    )

  return Programs(
      lower={
          "act": lower(0),
          "learn": lower(board_run.updates_per_round(config)),
      },
      runs={"learn": 1.0},
      num_moves=board_run.moves_per_round(config),
      loop_limit=_depth(config),
      arrays=dict(zip(("state", "replay", "lanes"), arrays)),
  )


def _text(config: Config, mesh: Mesh, num_hosts: int) -> Programs:
  lanes, shards = config.env.num_lanes, mesh.shape["data"]
  replay = replay_of(config, shards)  # Checks that they are shared.
  key = jax.eval_shape(lambda: jax.random.key(0))
  state, memory = jax.eval_shape(lambda k: run_lib.fresh(config, k), key)
  state, memory = _place((state, memory), run_lib.layout((state, memory), mesh))
  rows = config.model.max_phrases
  everywhere = replicated(mesh)
  key = _place(key, everywhere)
  phrases = _place(
      (
          jax.ShapeDtypeStruct((rows, PhraseTable.width), jnp.float32),
          jax.ShapeDtypeStruct((rows,), jnp.bool_),
      ),
      everywhere,
  )
  seen = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct((lanes, *x.shape[2:]), x.dtype),
      (memory.experience.observation, memory.experience.prior_logits),
  )
  seen = _place(seen, data_sharding(mesh))
  lower = {
      "act": lambda: agent_lib.search_batch.lower(
          state.searcher,
          *phrases,
          key,
          *seen,
          settings=agent_lib.TextSettings.from_config(config),
          num_simulations=config.search.num_simulations,
          deterministic=False,
          mesh=mesh,
      ),
      "learn": lambda: learn_from_replay.lower(
          state,
          memory,
          key,
          phrases,
          num_updates=run_lib.updates_per_act(config),
          replay=replay,
          mesh=mesh,
          **run_lib.learn_settings(config),
      ),
  }
  runs = {"act": 1.0, "learn": 1.0}
  arrays = {"state": state, "replay": memory, "phrases": phrases}
  if config.prior.kind != "uniform":
    # Each host has its copy; here they are one program of all chips.
    sharers = _sharers(config, mesh, num_hosts)
    decoder = abstract_decoder(config, sharers)
    lower["prior"] = lambda: forward.hidden_states.lower(
        decoder, *_texts(sharers), None
    )
    # A row holds what one game shows; each host reads its own games.
    runs["prior"] = float(np.ceil(lanes / num_hosts / TEXT_ROWS))
    arrays["language model"] = decoder
  return Programs(lower, runs, lanes, _depth(config), arrays)


def _sharers(config: Config, mesh: Mesh, num_hosts: int) -> Mesh:
  """The mesh whose axis `model` shares the language model."""
  size, chips = config.prior.num_devices, mesh.size // num_hosts
  if size < 1 or chips % size:
    raise ValueError(
        f"config.prior.num_devices is {size}, but a host has {chips} chips: make"
        " it a divisor of their number."
    )
  return make_mesh(mesh.devices.ravel().tolist(), model=size)


def abstract_decoder(config: Config, mesh: Mesh) -> Decoder:
  """The language model's parameters as shapes, split by `lm.rules.DECODER`.

  Raises:
    ValueError: nothing is known of the shape of `prior.model`.
  """
  found = _decoder_config(config.prior.model)

  def make(name: str, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    dtype = config.prior.dtype if len(shape) > 1 else "float32"
    return jax.ShapeDtypeStruct(
        shape, dtype, sharding=rules.sharding(name, shape, mesh)
    )

  return Decoder(found, make)


def _decoder_config(name: str) -> DecoderConfig:
  def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())

  known = {plain(k): v for k, v in size.KNOWN.items()}
  if plain(name) not in known:
    raise ValueError(
        f"config.prior.model is {name!r}, of which no shape is known; there are"
        f" {', '.join(size.KNOWN)}."
    )
  return known[plain(name)]


def _texts(mesh: Mesh) -> tuple[jax.ShapeDtypeStruct, ...]:
  """Tokens, positions and mask of a batch of texts, the same on each chip."""
  shape = (TEXT_ROWS, TEXT_LENGTH)
  whole = replicated(mesh)
  return (
      jax.ShapeDtypeStruct(shape, jnp.int32, sharding=whole),
      jax.ShapeDtypeStruct(shape, jnp.int32, sharding=whole),
      jax.ShapeDtypeStruct((*shape, TEXT_LENGTH), jnp.bool_, sharding=whole),
  )


def _depth(config: Config) -> int:
  return min(config.search.max_depth, config.search.num_simulations)


def _place(shapes: PyTree, where: PyTree) -> PyTree:
  """Shapes that know where their arrays would live."""
  if isinstance(where, NamedSharding):
    where = jax.tree.map(lambda x: where, shapes)
  return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      shapes,
      where,
  )
