"""What a compiled TPU program does, read from its optimised HLO.

XLA's own cost analysis counts the body of a loop once. A round of self-play is
loops in loops, so here every instruction counts as often as it runs: the trips
of a loop stand beside it or in its condition. How often others turn, such as the
descent of a search, no compiler knows: the caller says how often at most.

Layouts say where a buffer lives and how it is tiled: only what lies in HBM
counts as bytes, padding included.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
import math
import re
from typing import NamedTuple

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "ragged-all-to-all",
)
_ITEM_BITS = {"pred": 8, "bf16": 16, "token": 0, "opaque": 0}
# Where they stand, nothing moves: names, addresses, or the end of a copy.
_FREE = frozenset((
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while",
    "conditional", "call", "after-all", "partition-id", "iota", "opt-barrier",
    "async-update",
))  # fmt: skip

_SHAPE = re.compile(r"(\w+)\[([\d,<=]*)\](?:\{([^{}]*)\})?")
_HEAD = re.compile(r"^(?:ENTRY )?%([\w.\-]+) \(.*\{$")
_LINE = re.compile(r"^\s+(ROOT )?%([\w.\-]+) = (.*)$")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_NAME = re.compile(r"%([\w.\-]+)")
_BRANCHES = re.compile(
    r"branch_computations=\{[^}]*\}|true_computation=.*?false_computation=\S+"
)


class Shape(NamedTuple):
  """One array of an instruction's result.

  Attributes:
    dtype: as HLO writes it.
    dims: its sizes.
    layout: minor-to-major order, tiles and memory space, as HLO writes it.
  """

  dtype: str
  dims: tuple[int, ...]
  layout: str

  @property
  def item_bytes(self) -> float:
    """Bytes of an element."""
    bits = _ITEM_BITS.get(self.dtype)
    if bits is None:  # s32, f8e4m3fn.
      bits = int(re.search(r"\d+", self.dtype)[0])
    return bits / 8

  @property
  def num_bytes(self) -> int:
    """Bytes of the elements alone."""
    return math.ceil(math.prod(self.dims) * self.item_bytes)

  @property
  def in_hbm(self) -> bool:
    """False for what the compiler keeps in a memory on the chip."""
    return "S(" not in self.layout

  @property
  def hbm_bytes(self) -> int:
    """Bytes in HBM with the padding of the tiles; 0 elsewhere."""
    if not self.in_hbm:
      return 0
    order, _, tiles = self.layout.partition(":")
    tile = re.match(r"T\(([\d,]+)\)", tiles)
    if not self.dims or not tile:
      return self.num_bytes
    dims = [self.dims[int(i)] for i in order.split(",")]  # Minor first.
    for i, size in enumerate(reversed(tile[1].split(","))):
      if i < len(dims):
        dims[i] = -(-dims[i] // int(size)) * int(size)
    return math.ceil(math.prod(dims) * self.item_bytes)


class Instruction(NamedTuple):
  """One line of a computation.

  Attributes:
    name: without the percent sign.
    shapes: of the result, several for a tuple.
    opcode: of the operation.
    operands: names.
    rest: attributes, metadata and backend config, as text.
    is_root: whether it is the computation's result.
  """

  name: str
  shapes: tuple[Shape, ...]
  opcode: str
  operands: tuple[str, ...]
  rest: str
  is_root: bool

  def called(self, attribute: str) -> str | None:
    """The computation that an attribute names."""
    found = re.search(rf"\b{attribute}=%([\w.\-]+)", self.rest)
    return found and found[1]

  @property
  def op_name(self) -> str:
    """Where in the Python program it comes from."""
    found = re.search(r'op_name="([^"]*)"', self.rest)
    return found[1] if found else ""


Computation = dict[str, Instruction]  # By name.


@dataclasses.dataclass
class Cost:
  """What is done, by one chip.

  Attributes:
    flops: of matrix products.
    bytes: to and from HBM.
    cycles: the compiler's own estimate, where it states one.
    collectives: for each kind how many, and bytes of what they give.
    search_collectives: of them, how many are part of search.
    open_loops: whose trips depend on what is computed, by where they come from.
  """

  flops: float = 0.0
  bytes: float = 0.0
  cycles: float = 0.0
  collectives: dict[str, dict[str, float]] = dataclasses.field(
      default_factory=dict
  )
  search_collectives: float = 0.0
  open_loops: set[str] = dataclasses.field(default_factory=set)

  def add(self, other: "Cost", times: float = 1.0) -> None:
    """Adds what happens so many times."""
    self.flops += times * other.flops
    self.bytes += times * other.bytes
    self.cycles += times * other.cycles
    self.search_collectives += times * other.search_collectives
    self.open_loops |= other.open_loops
    for kind, numbers in other.collectives.items():
      mine = self.collectives.setdefault(kind, {"count": 0.0, "bytes": 0.0})
      for key, value in numbers.items():
        mine[key] += times * value


def parse(text: str) -> tuple[dict[str, Computation], str]:
  """Reads a module.

  Args:
    text: `compiled.as_text()`.

  Returns:
    The computations by name, and the name of the entry.

  Raises:
    ValueError: the text is no HLO module.
  """
  computations: dict[str, Computation] = {}
  entry, current = "", None
  for line in text.splitlines():
    if head := _HEAD.match(line):
      current = computations.setdefault(head[1], {})
      entry = head[1] if line.startswith("ENTRY") else entry
    elif line.startswith("}"):
      current = None
    elif current is not None and (found := _LINE.match(line)):
      instruction = _instruction(found[2], found[3], bool(found[1]))
      current[instruction.name] = instruction
  if not entry:
    raise ValueError(f"no ENTRY in what begins with {text[:80]!r}.")
  return computations, entry


def cost(text: str, *, unknown_trips: int) -> Cost:
  """Counts what one chip does in a run of a compiled program.

  Args:
    text: `compiled.as_text()`.
    unknown_trips: of a loop that ends when it has found something.

  Returns:
    The `Cost`.
  """
  computations, entry = parse(text)
  return _Counter(computations, unknown_trips).computation(entry)


class _Counter:
  """Counts computations, each once."""

  def __init__(self, computations: Mapping[str, Computation], trips: int):
    self._computations = computations
    self._unknown_trips = trips
    self.computation = functools.cache(self._computation)

  def _computation(self, name: str) -> Cost:
    total = Cost()
    for instruction in self._computations[name].values():
      for part, times in self._parts(instruction, name):
        total.add(part, times)
    return total

  def _parts(
      self, instruction: Instruction, where: str
  ) -> Iterator[tuple[Cost, float]]:
    """What an instruction does itself, and what it calls."""
    opcode = instruction.opcode
    if opcode == "while":
      trips, known = self._trips(instruction)
      yield self.computation(instruction.called("body")), trips
      yield self.computation(instruction.called("condition")), trips + 1
      if not known:
        yield Cost(open_loops={instruction.op_name}), 1
    elif opcode == "conditional":  # The dearest branch.
      names = _NAME.findall(_BRANCHES.search(instruction.rest)[0])
      yield max(map(self.computation, names), key=lambda c: c.cycles), 1
    elif opcode in ("call", "async-start"):
      name = instruction.called("to_apply") or instruction.called("calls")
      if name:
        yield self.computation(name), 1
    elif opcode not in _FREE and not opcode.endswith("-done"):
      yield self._own(instruction, self._computations[where]), 1

  def _own(self, instruction: Instruction, around: Computation) -> Cost:
    kind = instruction.opcode.removesuffix("-start")
    flops = self._flops(instruction, around)
    result = Cost(flops, self._bytes(instruction, around))
    if found := _CYCLES.search(instruction.rest):
      result.cycles = float(found[1])
    if kind in COLLECTIVES:
      size = float(sum(s.num_bytes for s in _results(instruction)))
      result.collectives = {kind: {"count": 1.0, "bytes": size}}
      if "search" in instruction.op_name.split("/"):
        result.search_collectives = 1.0
    return result

  def _trips(self, loop: Instruction) -> tuple[int, bool]:
    """How often a loop turns, and whether that is known exactly."""
    if found := _TRIPS.search(loop.rest):
      return int(found[1]), True
    condition = self._computations[loop.called("condition")]
    limits = [
        value
        for instruction in condition.values()
        if instruction.opcode == "compare" and "=LT" in instruction.rest
        for name in instruction.operands
        if (value := _constant(condition[name])) is not None
    ]
    if limits and _root(condition).opcode == "compare":
      return limits[0], True
    return min([self._unknown_trips, *limits]), False

  def _flops(self, instruction: Instruction, around: Computation) -> float:
    """Of the matrix products in an instruction, or in what it fuses."""
    if (inside := self._fused(instruction)) is not None:
      return sum(self._flops(i, inside) for i in inside.values())
    if instruction.opcode not in ("convolution", "dot"):
      return 0.0
    left, right = (around[name].shapes[0] for name in instruction.operands[:2])
    if instruction.opcode == "dot":
      axes = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", instruction.rest)
      summed = math.prod(left.dims[int(a)] for a in axes[1].split(",") if a)
    else:
      labels = re.search(r"dim_labels=\w+_(\w+)->", instruction.rest)[1]
      summed = math.prod(right.dims) // right.dims[labels.index("o")]
    return 2.0 * math.prod(instruction.shapes[0].dims) * summed

  def _bytes(self, instruction: Instruction, around: Computation) -> float:
    """What goes to and from HBM: of slices and updates the part touched."""
    if instruction.opcode == "copy-start":  # Target, source, context.
      return sum(s.hbm_bytes for s in instruction.shapes[:2])
    if instruction.opcode == "slice-start":
      [target] = _results(instruction)
      source = target._replace(layout=instruction.shapes[0].layout)
      return source.hbm_bytes + target.hbm_bytes
    if instruction.opcode == "custom-call":
      return 0.0
    written = sum(s.hbm_bytes for s in instruction.shapes)
    inside = self._fused(instruction)
    root, scope = (
        (instruction, around) if inside is None else (_root(inside), inside)
    )
    total = min(written, _update(root, scope, written))
    for i, name in enumerate(instruction.operands):
      if whole := sum(s.hbm_bytes for s in around[name].shapes):
        total += min(
            whole,
            _read(instruction, around[name], around, whole)
            if inside is None
            else _read_inside(_parameter(inside, i), inside, whole),
        )
    return total

  def _fused(self, instruction: Instruction) -> Computation | None:
    """What a fusion consists of."""
    if instruction.opcode != "fusion":
      return None
    return self._computations[instruction.called("calls")]


def _results(instruction: Instruction) -> tuple[Shape, ...]:
  """What an instruction gives; some that only begin name their source first."""
  starts = ("slice-start", "all-gather-start", "collective-permute-start")
  if instruction.opcode in starts:
    return instruction.shapes[1:2]
  return instruction.shapes


def _parameter(computation: Computation, index: int) -> Instruction:
  return next(
      i
      for i in computation.values()
      if i.opcode == "parameter" and i.rest.startswith(f"({index})")
  )


def _read_inside(
    value: Instruction, inside: Computation, whole: float
) -> float:
  """Bytes of a fusion's parameter that what is fused reads."""
  return sum(
      _read_inside(user, inside, whole)
      if user.opcode == "bitcast"
      else _read(user, value, inside, whole)
      for user in inside.values()
      if value.name in user.operands
  )


def _read(
    user: Instruction, value: Instruction, scope: Computation, whole: float
) -> float:
  """Bytes of a value, of so many in all, that one instruction reads."""
  if user.operands[0] != value.name:
    return whole
  if user.opcode in ("dynamic-slice", "gather", "slice"):
    return sum(s.num_bytes for s in user.shapes)
  if user.opcode in ("dynamic-update-slice", "scatter"):
    return _update(user, scope, whole)
  return whole


def _update(root: Instruction, scope: Computation, whole: float) -> float:
  """Bytes that an update in place writes; of anything else the whole."""
  if root.opcode == "bitcast":
    return _update(scope[root.operands[0]], scope, whole)
  if root.opcode == "dynamic-update-slice":
    return sum(s.num_bytes for s in scope[root.operands[1]].shapes)
  if root.opcode == "scatter":
    return sum(s.num_bytes for s in scope[root.operands[2]].shapes)
  return whole


def _root(computation: Computation) -> Instruction:
  return next(i for i in computation.values() if i.is_root)


def _constant(instruction: Instruction) -> int | None:
  is_constant = instruction.opcode == "constant"
  found = is_constant and re.match(r"\((-?\d+)\)", instruction.rest)
  return int(found[1]) if found else None


def _instruction(name: str, text: str, is_root: bool) -> Instruction:
  """One line: `shape opcode(operands), rest`."""
  end = _closing(text) + 1 if text.startswith("(") else text.index(" ")
  shapes = tuple(
      Shape(s[1], tuple(map(int, re.findall(r"\d+", s[2]))), s[3] or "")
      for s in _SHAPE.finditer(text[:end])
  )
  opcode, _, rest = text[end:].lstrip().partition("(")
  operands = tuple(_NAME.findall(rest[: _closing("(" + rest) - 1]))
  return Instruction(name, shapes, opcode, operands, f"({rest}", is_root)


def _closing(text: str) -> int:
  """Where the bracket that the text begins with is closed."""
  depth = 0
  for i, letter in enumerate(text):
    depth += (letter == "(") - (letter == ")")
    if not depth:
      return i
  raise ValueError(f"no closing bracket in {text[:80]!r}.")
