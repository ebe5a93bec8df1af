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

from mulearn.config import Config


def main(argv: Sequence[str]) -> None:
  """Prints what a run would need.

  Args:
    argv: of the process, where changes to the config are looked for as well.
  """
  # Before anything looks for devices: those of this machine are not wanted.
  jax.config.update("jax_platforms", "cpu")
  from mulearn.parallel import ahead, chips, pictures, report

  try:
    config, values = parse(argv)
    names = chips.TOPOLOGIES if values.sweep else (values.topology,)
    results = [ahead.compile_for(config, name) for name in names]
  except (flags.Error, KeyError, OSError, ValueError) as error:
    sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
  if values.picture:
    pictures.draw_roofline(values.picture, results)
  if values.json:
    print(json.dumps(results if values.sweep else results[0], indent=1))
  else:
    print("\n\n".join(report.table(result) for result in results))


def parse(argv: Sequence[str]) -> tuple[Config, flags.FlagValues]:
  """Reads the config and the flags, those of `main` among them.

  Raises:
    flags.Error: a flag is missing, unknown or not what it should be.
  """
  values = flags.FlagValues()  # Its own: mulearn.main has a --config as well.
  holder = config_flags.DEFINE_config_file(
      "config", None, "The experiment.", flag_values=values
  )
  own = {"flag_values": values}
  flags.DEFINE_string("topology", "v5e:4x4", "Such as v5p:4x4x4.", **own)
  flags.DEFINE_bool("sweep", False, "Compare several topologies.", **own)
  flags.DEFINE_bool("json", False, "Print JSON.", **own)
  flags.DEFINE_string(
      "picture", None, "PNG of the programs below their roofs, and SVG.", **own
  )
  values(argv)
  if holder.value is None:
    raise flags.Error(
        "--config is missing: give an experiment, such as"
        " experiments/connect_four/config.py"
    )
  return holder.value, values


if __name__ == "__main__":
  main(sys.argv)
