"""Several slices as one run, by xpk on a GKE cluster that has them.

`python -m experiments.launch.slices --dry-run --cluster=my-cluster -- \\
  --config=experiments/connect_four/config.py:alphazero --workdir=/data/runs/a`
"""

import argparse
from collections.abc import Sequence
import sys

from experiments.launch import commands


def parser() -> argparse.ArgumentParser:
  """Of the command line."""
  found = commands.parser(__doc__)
  found.add_argument("--cluster", required=True)
  found.add_argument("--workload", default="mulearn")
  found.add_argument("--tpu-type", default="v5litepod-16")
  found.add_argument("--num-slices", type=int, default=2)
  found.add_argument("--max-restarts", type=int, default=50)
  found.add_argument("--base-docker-image", default="python:3.12")
  found.set_defaults(run=main)
  return found


def main(argv: Sequence[str] | None = None) -> int:
  """Hands the workload to the cluster, which restarts it if a host is lost."""
  options = parser().parse_args(argv)
  workload = [
      "xpk", "workload", "create", f"--cluster={options.cluster}",
      f"--workload={options.workload}", f"--tpu-type={options.tpu_type}",
      f"--num-slices={options.num_slices}",
      f"--max-restarts={options.max_restarts}",
      f"--base-docker-image={options.base_docker_image}",
      f"--command={commands.SET_UP} && {commands.main(options)}",
  ]  # fmt: skip
  commands.run_all([workload], dry_run=options.dry_run)
  return 0


if __name__ == "__main__":
  sys.exit(main())
