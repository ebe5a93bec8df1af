"""Fine-tuning: all weights or low-rank adapters, over a mesh, resumable.

The same command, run again, continues after the last checkpoint.
"""

from collections.abc import Mapping
import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from mulearn.checkpoint import Checkpointer, CheckpointError, SignalGuard
from mulearn.lm import lora, perplexity, text_data
from mulearn.lm.model import LanguageModel
from mulearn.lm.text_data import Rows
from mulearn.lm.train_step import FinetuneConfig, Run
from mulearn.metrics import JsonLinesWriter, MultiWriter
from mulearn.parallel import hosts
from mulearn.parallel import mesh as mesh_lib
from mulearn.progress import Progress


class Finetuned(NamedTuple):
  """How a run ended.

  Attributes:
    model: the language model, adapters merged.
    step: steps made, less than wanted where it was interrupted.
    losses: of the steps of this call.
  """

  model: LanguageModel
  step: int
  losses: list[float]


def train(
    model: LanguageModel,
    rows: Rows,
    config: FinetuneConfig,
    workdir: str | os.PathLike[str],
    valid: Rows | None = None,
    mesh: Mesh | None = None,
) -> Finetuned:
  """Fine-tunes a model, going on from the last checkpoint in `workdir`.

  Args:
    model: the language model; it stays as it is.
    rows: this process's share of the data, from `text_data.pack`.
    config: the run.
    workdir: where checkpoints and `metrics.jsonl` go.
    valid: rows to evaluate on, the same in every process; or None.
    mesh: the devices; None arranges all of them as the config says.

  Returns:
    The model and its losses.

  Raises:
    ValueError: the batch does not divide over the mesh or exceeds the data.
    CheckpointError: the checkpoints in `workdir` are of another run.
  """
  if mesh is None:
    mesh = mesh_lib.make_mesh(fsdp=config.mesh_fsdp, model=config.mesh_model)
  local_batch = _local_batch(config, rows, mesh)
  run = Run(model.params, config, mesh)
  state = run.state
  stream = iter(text_data.batches(rows, local_batch, config.seed))
  checkpointer = Checkpointer(pathlib.Path(workdir) / "checkpoints")
  identity = _identity(model, config)
  step, restored = 0, checkpointer.restore(state)
  if restored is not None:
    step, state, host = restored
    _check_identity(identity, host["identity"], workdir)
    stream.set_state(host["stream"])
  losses = []

  def save() -> None:
    host = {"identity": identity, "stream": stream.get_state()}
    checkpointer.save(step, state, host)

  writer = _writer(workdir, step)
  with (
      SignalGuard() as guard,
      Progress("fine-tuning", config.num_steps) as progress,
  ):
    while step < config.num_steps and not any(hosts.any_of([guard.stop])):
      state, metrics = run.step(state, run.frozen, _place(next(stream), mesh))
      step += 1
      losses.append(float(metrics["loss"]))
      last = step == config.num_steps
      if valid is not None and (last or step % config.eval_every == 0):
        decoder = run.assemble(state.params)
        nats = perplexity.of_rows(decoder, valid, local_batch).nats
        metrics["valid_loss"] = nats
      writer.write(step, metrics)
      progress.update(step, stage=f"loss {losses[-1]:.3f}")
      if step % config.save_every == 0 and not last:
        save()
  if losses:
    save()
  decoder = lora.merge(run.assemble(state.params))
  return Finetuned(dataclasses.replace(model, params=decoder), step, losses)


def _local_batch(config: FinetuneConfig, rows: Rows, mesh: Mesh) -> int:
  """Returns the rows of a step in this process."""
  shares = mesh.shape["data"] * mesh.shape["fsdp"]
  if config.batch_size % shares or config.batch_size % jax.process_count():
    raise ValueError(
        f"batch_size={config.batch_size} does not divide over {shares} shares"
        f" and {jax.process_count()} processes; choose a multiple."
    )
  local = config.batch_size // jax.process_count()
  if len(rows.tokens) < local:
    raise ValueError(
        f"the data fill {len(rows.tokens)} rows of {rows.tokens.shape[1]}"
        f" tokens, less than one batch of {local}; lower batch_size or length."
    )
  return local


def _writer(workdir: str | os.PathLike[str], step: int) -> MultiWriter:
  if not hosts.is_leader():
    return MultiWriter([])
  path = pathlib.Path(workdir) / "metrics.jsonl"
  return MultiWriter(
      [JsonLinesWriter(path, keep=lambda line: line["step"] <= step)]
  )


def _place(rows: Rows, mesh: Mesh) -> Rows:
  """Spreads this process's rows over its devices."""
  sharding = mesh_lib.data_sharding(mesh)
  make = jax.make_array_from_process_local_data
  return Rows(*(make(sharding, field) for field in rows))


def _identity(model: LanguageModel, config: FinetuneConfig) -> dict[str, Any]:
  """Returns what a resumed run must share with the one before."""
  fields = dataclasses.asdict(config)
  # The devices may change, and how often something is looked at.
  for name in ("mesh_fsdp", "mesh_model", "save_every", "eval_every"):
    del fields[name]
  return fields | {"weights": model.sha256}


def _check_identity(
    wanted: Mapping[str, Any], found: Mapping[str, Any], workdir: Any
) -> None:
  different = [
      f"{name} was {found.get(name)!r} and is {value!r}"
      for name, value in wanted.items()
      if found.get(name) != value
  ]
  if different:
    raise CheckpointError(
        f"{workdir} holds another run: {'; '.join(different)}. Run the same"
        " command as before, or choose another --workdir."
    )
