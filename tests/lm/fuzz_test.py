"""Two thousand damaged files: refused by name, or read, and nothing else.

Python cannot survive a crash of the interpreter, so the mutations run in a
process of their own, which also has a limit on memory and time.
"""

import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

DATA = pathlib.Path(__file__).parents[1] / "testdata" / "hugging_face"
NUM_MUTATIONS = 1000

# Runs in the other process: reads and converts every tensor, as a load does.
PROGRAM = """
import json, os, pathlib, random, resource, sys, time, tracemalloc
import numpy as np
from mulearn.lm import files, gguf_model, hugging_face, weights

path, header_size, count = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
is_gguf = path.suffix == ".gguf"
original = path.read_bytes()
rng = random.Random(0)

def mutate(data):
  kind = rng.randrange(6)
  near = header_size if rng.random() < .8 else len(data)
  place = rng.randrange(near)
  if kind == 0:
    return data[:place]
  if kind == 1:
    return data[:place] + rng.randbytes(rng.randrange(1, 40)) + data[place:]
  if kind == 2:
    return data[:place] + data[place + rng.randrange(1, 40):]
  data = bytearray(data)
  for _ in range(1 if kind == 3 else rng.randrange(2, 9)):
    place = rng.randrange(near)
    if kind == 5:
      # What a length or an offset may become.
      value = rng.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**40])
      data[place : place + 8] = value.to_bytes(8, "little")[:len(data) - place]
    else:
      data[place] = rng.randrange(256)
  return bytes(data)

def read():
  checkpoint = gguf_model.read(path) if is_gguf else hugging_face.read(path.parent)
  for name, tensor in checkpoint.tensors.items():
    weights.checked(checkpoint, name, tensor.read(), np.dtype("float32"))
  return checkpoint

read()
tracemalloc.start()
# Far less than what a damaged length asks for.
used = int(open("/proc/self/statm").read().split()[0])
limit = used * os.sysconf("SC_PAGE_SIZE") + 256 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
outcome = {"refused": 0, "read": 0, "seconds": 0.0, "bytes": 0}
for i in range(count):
  path.write_bytes(mutate(original))
  start, before = time.process_time(), tracemalloc.get_traced_memory()[0]
  tracemalloc.reset_peak()
  try:
    read()
    outcome["read"] += 1
  except files.WeightsError as error:
    outcome["refused"] += 1
    assert str(path.parent) in str(error), error
  peak = tracemalloc.get_traced_memory()[1] - before
  outcome["bytes"] = max(outcome["bytes"], peak)
  outcome["seconds"] = max(outcome["seconds"], time.process_time() - start)
print(json.dumps(outcome))
"""


def run(path: pathlib.Path, header_size: int) -> dict:
  done = subprocess.run(
      [
          sys.executable,
          "-c",
          textwrap.dedent(PROGRAM),
          str(path),
          str(header_size),
          str(NUM_MUTATIONS),
      ],
      capture_output=True,
      text=True,
      timeout=300,
      cwd=pathlib.Path(__file__).parents[2],
  )
  assert done.returncode == 0, done.stderr[-2000:]
  return json.loads(done.stdout)


@pytest.mark.parametrize("form", ["gguf", "safetensors"])
def test_mutations(form, tmp_path, tiny_gguf):
  if form == "gguf":
    path = tiny_gguf()
    data = path.read_bytes()
    # The first tensor's bytes begin soon after the last tensor's name.
    header_size = data.rindex(b".weight") + 40
  else:
    for file in (DATA / "qwen3").iterdir():
      (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "model.safetensors"
    header_size = 8 + int.from_bytes(path.read_bytes()[:8], "little")
  size = path.stat().st_size
  outcome = run(path, header_size)
  assert outcome["refused"] + outcome["read"] == NUM_MUTATIONS
  assert outcome["refused"] > NUM_MUTATIONS / 2
  assert outcome["read"] > 10, "harmless changes should do no harm"
  assert outcome["seconds"] < 5
  # Beside the file, what JSON and the tokenizer make of their few kilobytes.
  assert outcome["bytes"] < 2 * size + 200_000
