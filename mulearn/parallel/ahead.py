"""Compiles the programs of a run for a slice of TPUs, and reads what they cost.

Nothing runs, and no array is made: libtpu compiles for chips that need not be
there. What is said of time is an estimate (see `roofline.py`); games on hosts,
examinations and the first compilation are not in it.
"""

from collections.abc import Iterator, Sequence
import contextlib
import time
from typing import Any

import jax

from mulearn.config import Config
from mulearn.parallel import chips, hlo, placement, roofline
from mulearn.parallel.mesh import make_mesh
from mulearn.parallel.programs import Lower, Programs, programs


def compile_for(config: Config, topology: str) -> dict[str, Any]:
  """Compiles the programs of a run for a slice.

  Args:
    config: of the run.
    topology: such as v5e:16x16.

  Returns:
    What `compile.py --json` prints: see experiments/pods/README.md.

  Raises:
    TopologyError: there is no such slice, or no libtpu.
    ValueError: its chips cannot share the work evenly.
  """
  where = chips.describe(topology)
  mesh = make_mesh(where.devices)
  parts = programs(config, mesh, where.num_hosts)
  found = {
      name: _compile(lower, parts, where) for name, lower in parts.lower.items()
  }
  result = {
      "topology": topology,
      "chips": len(where.devices),
      "hosts": where.num_hosts,
      "mesh": dict(mesh.shape),
      "programs": found,
      "fits": all(program["fits"] for program in found.values()),
  }
  if result["fits"]:
    result |= _costs(config, parts, found, len(where.devices))
  else:
    result["advice"] = _advice(found, where)
  return result


def _compile(
    lower: Lower, parts: Programs, where: chips.Slice
) -> dict[str, Any]:
  """One program: what it needs of a chip, and about how long it takes."""
  lowered = lower()
  start = time.perf_counter()
  try:
    with _no_cache():
      compiled = lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    reason = str(error).splitlines()[0]
    return {"fits": False, "reason": reason}
  seconds = time.perf_counter() - start
  hbm = _memory(compiled, placement.placement(parts.arrays))
  cost = hlo.cost(compiled.as_text(), unknown_trips=parts.loop_limit)
  estimate = roofline.estimate(cost, where)
  return {
      "compile_seconds": round(seconds, 1),
      "hbm_bytes": hbm | {"chip": int(where.chip.hbm_bytes)},
      "flops": cost.flops,
      "bytes": cost.bytes,
      "collectives": cost.collectives,
      "search_collectives": cost.search_collectives,
      "seconds": estimate.seconds,
      "bound": estimate.bound,
      "ceilings": estimate._asdict(),
      "fits": hbm["total"] <= where.chip.hbm_bytes,
  }


@contextlib.contextmanager
def _no_cache() -> Iterator[None]:
  """Programs for chips that are not there cannot be read back from the disk."""
  before = jax.config.jax_enable_compilation_cache
  jax.config.update("jax_enable_compilation_cache", False)
  try:
    yield
  finally:
    jax.config.update("jax_enable_compilation_cache", before)


def _memory(
    compiled: jax.stages.Compiled, rows: Sequence[placement.Row]
) -> dict[str, int]:
  """Bytes of one chip: what is read, what passes, what waits meanwhile."""
  found = compiled.memory_analysis()
  arguments = found.argument_size_in_bytes
  results = found.output_size_in_bytes - found.alias_size_in_bytes
  program = found.generated_code_size_in_bytes
  temporaries = found.temp_size_in_bytes
  waiting = max(0, sum(row.bytes_a_chip for row in rows) - arguments)
  return {
      "arguments": arguments,
      "results": results,
      "temporaries": temporaries,
      "program": program,
      "waiting": waiting,
      "total": arguments + results + temporaries + program + waiting,
  }


def _costs(
    config: Config, parts: Programs, found: dict[str, Any], num_chips: int
) -> dict[str, float]:
  """Moves a day, and the chip-hours of the whole run."""
  seconds = sum(n * found[name]["seconds"] for name, n in parts.runs.items())
  moves_per_second = parts.num_moves / seconds
  return {
      "env_steps_per_day": 86_400 * moves_per_second,
      "num_steps": config.num_steps,
      "chip_hours": config.num_steps / moves_per_second / 3600 * num_chips,
  }


def _advice(found: dict[str, Any], where: chips.Slice) -> str:
  """What to change where something does not fit."""
  too_big = [name for name, program in found.items() if not program["fits"]]
  known = [found[n]["hbm_bytes"] for n in too_big if "hbm_bytes" in found[n]]
  text = (
      f"The {where.chip.hbm_bytes / 1e9:g} GB of a chip are too few for"
      f" {', '.join(too_big)}."
  )
  if any(h["arguments"] + h["waiting"] < h["temporaries"] for h in known):
    return (
        f"{text} Most of it is passing: lower env.num_lanes or"
        " replay.batch_size, or take more chips."
    )
  return (
      f"{text} Most of it stays: lower replay.capacity, let the chips of a host"
      " share the language model (prior.num_devices=4), or take more chips."
  )
