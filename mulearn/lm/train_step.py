"""What a fine-tuning run consists of, and its compiled step.

The trained weights are float32 whatever the model's type is; they are cast
where they are used. Blocks run in a loop and are computed again for their
gradients.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import re
from typing import NamedTuple

import jax
from jax import Array
import jax.numpy as jnp
from jax.sharding import Mesh
import optax

from mulearn.lm import lora, perplexity, rules, weights
from mulearn.lm.decoder import Decoder
from mulearn.lm.text_data import Rows
from mulearn.parallel import mesh as mesh_lib
from mulearn.types import PyTree


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
  """What decides a run.

  Attributes:
    num_steps: optimiser steps.
    batch_size: rows of a step, over all devices.
    length: tokens of a row, a multiple of 8.
    learning_rate: the highest; it falls to a tenth on a cosine.
    warmup_steps: steps over which it rises.
    weight_decay: AdamW's, on matrices only.
    max_grad_norm: longer gradients are shortened to this.
    lora_rank: of the adapters; 0 trains all weights.
    lora_alpha: see `lora.adapt`.
    lora_targets: see `lora.adapt`.
    seed: decides the order of the data and the adapters' start.
    mesh_fsdp: devices over which `fsdp` splits; see `parallel.mesh`.
    mesh_model: devices over which `model` splits.
    save_every: steps between two checkpoints.
    eval_every: steps between two evaluations, where there is something to
      evaluate on.
  """

  num_steps: int = 200
  batch_size: int = 8
  length: int = 256
  learning_rate: float = 1e-4
  warmup_steps: int = 10
  weight_decay: float = 0.0
  max_grad_norm: float = 1.0
  lora_rank: int = 0
  lora_alpha: float = 16.0
  lora_targets: str = lora.TARGETS
  seed: int = 0
  mesh_fsdp: int = 1
  mesh_model: int = 1
  save_every: int = 100
  eval_every: int = 100

  def __post_init__(self):
    counts = "num_steps batch_size length save_every eval_every".split()
    for name in counts:
      if getattr(self, name) < 1:
        raise ValueError(f"{name}={getattr(self, name)}; give 1 or more.")


class State(NamedTuple):
  """What a step changes.

  Attributes:
    params: the trained arrays by name, float32.
    opt_state: the optimiser's.
  """

  params: dict[str, Array]
  opt_state: PyTree


class Run:
  """A decoder taken apart for training, and the compiled step.

  Attributes:
    state: where training begins, placed on the mesh.
    frozen: the arrays that are not trained, by name.
    step: `(state, frozen, rows) -> (state, metrics)`; takes over its state.
  """

  def __init__(self, decoder: Decoder, config: FinetuneConfig, mesh: Mesh):
    """Divides a decoder's arrays into trained and frozen ones."""
    if config.lora_rank:
      decoder = lora.adapt(
          decoder,
          jax.random.key(config.seed),
          rank=config.lora_rank,
          alpha=config.lora_alpha,
          targets=config.lora_targets,
      )
    arrays = weights.parameter_arrays(decoder)
    self._structure = jax.tree.structure(decoder)
    self._dtypes = {name: array.dtype for name, array in arrays.items()}
    trained = r"\.[ab]$" if config.lora_rank else ""
    params, self.frozen = {}, {}
    for name, array in arrays.items():
      if re.search(trained, name):
        # A copy, since the step takes over its state.
        params[name] = jnp.array(array, jnp.float32, copy=True)
      else:
        self.frozen[name] = array
    self.frozen = jax.device_put(
        self.frozen, rules.shardings(self.frozen, mesh)
    )
    params = jax.device_put(params, rules.shardings(params, mesh))
    optimizer = make_optimizer(config)
    placed = rules.shardings(jax.eval_shape(optimizer.init, params), mesh)
    opt_state = jax.jit(optimizer.init, out_shardings=placed)(params)
    self.state = State(params, opt_state)
    step = functools.partial(_step, self.assemble, optimizer)
    where = jax.tree.map(lambda x: x.sharding, self.state)
    self.step: Callable[..., tuple[State, dict[str, Array]]] = jax.jit(
        step,
        out_shardings=(where, mesh_lib.replicated(mesh)),
        donate_argnums=0,
    )

  def assemble(
      self,
      params: Mapping[str, Array],
      frozen: Mapping[str, Array] | None = None,
  ) -> Decoder:
    """Returns the decoder of trained and frozen arrays, in its own types."""
    arrays = {**params, **(self.frozen if frozen is None else frozen)}
    return self._structure.unflatten(
        [arrays[name].astype(dtype) for name, dtype in self._dtypes.items()]
    )


def make_optimizer(config: FinetuneConfig) -> optax.GradientTransformation:
  """AdamW with warm-up and cosine decay, gradients clipped."""
  schedule = optax.warmup_cosine_decay_schedule(
      init_value=0.0,
      peak_value=config.learning_rate,
      warmup_steps=config.warmup_steps,
      decay_steps=max(config.num_steps, config.warmup_steps + 1),
      end_value=0.1 * config.learning_rate,
  )
  return optax.chain(
      optax.clip_by_global_norm(config.max_grad_norm),
      optax.adamw(schedule, weight_decay=config.weight_decay, mask=_matrices),
  )


def _matrices(params: PyTree) -> PyTree:
  return jax.tree.map(lambda x: x.ndim > 1, params)


def _step(
    assemble: Callable[..., Decoder],
    optimizer: optax.GradientTransformation,
    state: State,
    frozen: Mapping[str, Array],
    rows: Rows,
) -> tuple[State, dict[str, Array]]:
  """One optimiser step on the mean loss of a batch's learnt tokens."""

  def loss_fn(params: Mapping[str, Array]) -> Array:
    found = perplexity.log_probs(assemble(params, frozen), rows, scan=True)
    return -jnp.sum(found * rows.weights) / jnp.sum(rows.weights)

  loss, grads = jax.value_and_grad(loss_fn)(state.params)
  updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  metrics = {"loss": loss, "grad_norm": optax.tree.norm(grads)}
  return State(params, opt_state), metrics
