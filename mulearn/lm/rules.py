"""Which axis of which array is split over which axis of the mesh: data.

The first pattern that is found in an array's name decides. Names are paths
through the modules, such as `blocks.3.attention.q`, so that the rules hold for
the optimiser's copies too, and no module knows of them.
"""

from collections.abc import Sequence
import re
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mulearn.types import PyTree

Rules = Sequence[tuple[str, P]]

# Matrices are `[in, out]`. A layer's first products are split by `model` in
# what they give, its last ones in what they take, so that activations meet
# once a half of a block (Shoeybi et al. 2019, arXiv:1909.08053); `fsdp` splits
# the other axis, which is gathered when it is needed.
DECODER = (
    (r"(q|k|v|gate|up)\.a$", P("fsdp", None)),
    (r"(q|k|v|gate|up)\.b$", P(None, "model")),
    (r"(o|down)\.a$", P("model", None)),
    (r"(o|down)\.b$", P(None, "fsdp")),
    (r"attention\.[qkv](\.weight)?$", P("fsdp", "model")),
    (r"attention\.o(\.weight)?$", P("model", "fsdp")),
    (r"feed_forward\.(gate|up)(\.weight)?$", P("fsdp", "model")),
    (r"feed_forward\.down(\.weight)?$", P("model", "fsdp")),
    (r"(embedding|output)$", P("model", "fsdp")),
    (r"", P()),
)


def sharding(
    name: str, shape: tuple[int, ...], mesh: Mesh, rules: Rules = DECODER
) -> NamedSharding:
  """Finds the sharding of one array.

  Args:
    name: of the array.
    shape: of the array.
    mesh: the mesh.
    rules: pairs of a regular expression and what it decides; an axis that the
      mesh cannot divide evenly is kept whole.

  Returns:
    Where the array lives.

  Raises:
    ValueError: no rule fits.
  """
  for pattern, spec in rules:
    if re.search(pattern, name):
      axes = zip(tuple(spec), shape)
      fitting = [a if a and n % mesh.shape[a] == 0 else None for a, n in axes]
      return NamedSharding(mesh, P(*fitting))
  raise ValueError(
      f"no rule fits {name}; end the rules with ('', PartitionSpec())."
  )


def shardings(tree: PyTree, mesh: Mesh, rules: Rules = DECODER) -> PyTree:
  """Returns the `sharding` of each array, in the structure of the tree."""

  def find(path: tuple, leaf: Any) -> NamedSharding:
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return sharding(name.removesuffix(".value"), leaf.shape, mesh, rules)

  return jax.tree_util.tree_map_with_path(find, tree)
