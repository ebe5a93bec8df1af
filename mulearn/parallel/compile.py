"""Compiles a run for TPUs that nobody here owns, and says what it would cost.

For example, `python -m mulearn.parallel.compile --topology=v5e:4x4
--config=experiments/connect_four/config.py`; any field of the config can be set
as in `mulearn.main`.
"""

from collections.abc import Sequence
import json
import sys

from absl import flags
import jax
from ml_collections import config_flags

_FLAGS = flags.FlagValues()  # Its own: mulearn.main has a --config as well.
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment.", flag_values=_FLAGS
)
_TOPOLOGY = flags.DEFINE_string(
    "topology", "v5e:4x4", "Such as v5p:4x4x4.", flag_values=_FLAGS
)
_SWEEP = flags.DEFINE_bool(
    "sweep", False, "Compare several topologies.", flag_values=_FLAGS
)
_JSON = flags.DEFINE_bool("json", False, "Print JSON.", flag_values=_FLAGS)
_FSDP = flags.DEFINE_integer(
    "fsdp", 1, "Chips that share the parameters.", flag_values=_FLAGS
)
_MODEL = flags.DEFINE_integer(
    "model", 1, "Chips that share a layer.", flag_values=_FLAGS
)


def main(argv: Sequence[str]) -> None:
  """Prints what a run would need.

  Args:
    argv: of the process, where changes to the config are looked for as well.
  """
  # Before anything looks for devices: those of this machine are not wanted.
  jax.config.update("jax_platforms", "cpu")
  from mulearn.parallel import ahead, chips, report

  try:
    _FLAGS(argv)
    if _CONFIG.value is None:
      raise flags.Error(
          "--config is missing: give an experiment, such as"
          " experiments/connect_four/config.py"
      )
    names = chips.TOPOLOGIES if _SWEEP.value else (_TOPOLOGY.value,)
    results = [
        ahead.compile_for(
            _CONFIG.value, name, fsdp=_FSDP.value, model=_MODEL.value
        )
        for name in names
    ]
  except (flags.Error, KeyError, OSError, ValueError) as error:
    sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
  if _JSON.value:
    print(json.dumps(results if _SWEEP.value else results[0], indent=1))
  else:
    print("\n\n".join(report.table(result) for result in results))


if __name__ == "__main__":
  main(sys.argv)
