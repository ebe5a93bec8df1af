"""GGUF: every type by a slow reading of its definition, and damage."""

import gguf
import numpy as np
import pytest

from mulearn.lm import files, gguf_file

KINDS = gguf.GGMLQuantizationType


def write(path, data, kind, shape, **fields):
  writer = gguf.GGUFWriter(path, "test")
  for name, value in fields.items():
    writer.add_array(name, value)
  if kind == KINDS.F32:
    writer.add_tensor("x", np.frombuffer(data, "<f4").reshape(shape))
  else:
    bytes_per_row = len(data) // shape[0]
    rows = np.frombuffer(data, np.uint8).reshape(shape[0], bytes_per_row)
    writer.add_tensor("x", rows, raw_dtype=kind)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def half(data) -> float:
  return float(np.frombuffer(bytes(data), "<f2")[0])


def nibbles(data):
  """Low halves of the bytes, then the high ones."""
  return [b & 15 for b in data] + [b >> 4 for b in data]


def q8_0(block):
  return [half(block[:2]) * b for b in np.frombuffer(block[2:], np.int8)]


def q4_0(block):
  return [half(block[:2]) * (q - 8) for q in nibbles(block[2:])]


def q4_1(block):
  return [half(block[:2]) * q + half(block[2:4]) for q in nibbles(block[4:])]


def fifth_bits(data):
  bits = int.from_bytes(data, "little")
  return [(bits >> i & 1) << 4 for i in range(32)]


def q5_0(block):
  high = fifth_bits(block[2:6])
  low = nibbles(block[6:])
  return [half(block[:2]) * ((q | h) - 16) for q, h in zip(low, high)]


def q5_1(block):
  high, low = fifth_bits(block[4:8]), nibbles(block[8:])
  d, m = half(block[:2]), half(block[2:4])
  return [d * (q | h) + m for q, h in zip(low, high)]


def scales_of_k(data):
  """Eight scales and eight minima of six bits in twelve bytes."""
  pairs = []
  for j in range(8):
    if j < 4:
      pairs.append((data[j] & 63, data[j + 4] & 63))
    else:
      scale = data[j + 4] & 15 | data[j - 4] >> 6 << 4
      pairs.append((scale, data[j + 4] >> 4 | data[j] >> 6 << 4))
  return pairs


def q4_k(block, high=None):
  d, m = half(block[:2]), half(block[2:4])
  pairs, data = scales_of_k(block[4:16]), block[-128:]
  values = []
  for j, (scale, minimum) in enumerate(pairs):
    part = data[32 * (j // 2) : 32 * (j // 2) + 32]
    for i, byte in enumerate(part):
      q = byte >> 4 if j % 2 else byte & 15
      q += 16 * (high[i] >> j & 1) if high else 0
      values.append(d * scale * q - m * minimum)
  return values


def q5_k(block):
  return q4_k(block, high=block[16:48])


def q6_k(block):
  low, high, scales = block[:128], block[128:192], block[192:208]
  d, values = half(block[208:210]), np.zeros(256)
  for n in range(2):
    for i in range(32):
      top = high[32 * n + i]
      for quarter in range(4):
        byte = low[64 * n + i + 32 * (quarter % 2)]
        q = (byte >> 4 if quarter >= 2 else byte & 15) | (
            top >> 2 * quarter & 3
        ) << 4
        scale = scales[8 * n + i // 16 + 2 * quarter]
        scale -= 256 * (scale > 127)
        values[128 * n + 32 * quarter + i] = d * scale * (q - 32)
  return values


PLAIN = {KINDS.F32: "<f4", KINDS.F16: "<f2"}
BLOCKS = {
    KINDS.Q8_0: q8_0,
    KINDS.Q4_0: q4_0,
    KINDS.Q4_1: q4_1,
    KINDS.Q5_0: q5_0,
    KINDS.Q5_1: q5_1,
    KINDS.Q4_K: q4_k,
    KINDS.Q5_K: q5_k,
    KINDS.Q6_K: q6_k,
}
# Where the half-precision scales of a block are; random ones may be infinite.
SCALES = {KINDS.Q6_K: (208,), KINDS.Q8_0: (0,), KINDS.Q4_0: (0,)}
SCALES[KINDS.Q5_0] = (0,)


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks(tmp_path, kind):
  size, num_bytes = gguf.GGML_QUANT_SIZES[kind]
  rng = np.random.default_rng(kind.value)
  blocks = rng.integers(0, 256, (6, num_bytes), np.uint8)
  for place in SCALES.get(kind, (0, 2)):
    scales = rng.normal(size=(6, 1)).astype("<f2").view(np.uint8)
    blocks[:, place : place + 2] = scales
  path = write(tmp_path / "x", blocks.tobytes(), kind, (3, 2 * size))
  array = gguf_file.read_gguf(path)[1]["x"].read()
  assert array.shape == (3, 2 * size) and array.dtype == np.float32
  expected = [BLOCKS[kind](bytes(block)) for block in blocks]
  np.testing.assert_allclose(
      array.reshape(6, size), expected, rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_numbers(tmp_path, kind):
  values = np.random.default_rng(0).normal(size=(3, 5)).astype(PLAIN[kind])
  path = write(tmp_path / "x", values.tobytes(), kind, (3, 5))
  np.testing.assert_array_equal(
      gguf_file.read_gguf(path)[1]["x"].read(), values.astype(np.float32)
  )


def test_bfloat16(tmp_path):
  bits = np.array([[0x3F80, 0xC000, 0x0001]], "<u2")  # 1, -2, the smallest.
  path = write(tmp_path / "x", bits.tobytes(), KINDS.BF16, (1, 3))
  array = gguf_file.read_gguf(path)[1]["x"].read()
  np.testing.assert_array_equal(array, [[1, -2, 2.0**-133]])


def test_fields(tmp_path):
  path = write(
      tmp_path / "x", bytes(4), KINDS.F32, (1, 1), words=["a", ""], n=[1, 2]
  )
  fields, _ = gguf_file.read_gguf(path)
  assert fields["words"] == ["a", ""] and list(fields["n"]) == [1, 2]
  assert fields["general.architecture"] == "test"


def number(value, size=8):
  return value.to_bytes(size, "little")


def text(value):
  return number(len(value)) + value.encode()


def build(fields=b"", num_fields=0, tensors=b"", num_tensors=0, version=3):
  head = b"GGUF" + number(version, 4) + number(num_tensors) + number(num_fields)
  return head + fields + tensors + bytes(64)


def entry(shape=(4,), kind=0, offset=0):
  axes = b"".join(map(number, shape))
  return number(len(shape), 4) + axes + number(kind, 4) + number(offset)


DAMAGED = {
    "GGUF": b"GGML" + bytes(60),
    "version 9": build(version=9),
    "bytes are wanted": build(num_fields=2**60),
    "are wanted at": build(num_tensors=2**63),
    "are wanted": build(number(2**62), 1),
    "field 0: a text is not UTF-8": build(number(2) + b"\xff\xff", 1),
    "value type 77": build(text("key") + number(77, 4), 1),
    "field 'key': .* wanted at": build(
        text("key") + number(9, 4) + number(8, 4) + number(2**61), 1
    ),
    "field 'key': .* wanted": build(
        text("key") + number(9, 4) + number(0, 4) + number(2**61), 1
    ),
    "arrays of value type 9": build(
        text("key") + number(9, 4) + number(9, 4) + number(1), 1
    ),
    "field 'key': it occurs twice": build(
        (text("key") + number(7, 4) + b"\1") * 2, 2
    ),
    "general.alignment": build(
        text("general.alignment") + number(4, 4) + number(3, 4), 1
    ),
    "tensor 'x': it occurs": build(
        tensors=(text("x") + entry()) * 2, num_tensors=2
    ),
    "tensor 'x': bytes": build(
        tensors=text("x") + entry((2**40, 2**20)), num_tensors=1
    ),
    "tensor 'x': it has 9 axes": build(
        tensors=text("x") + entry((1,) * 9), num_tensors=1
    ),
    "tensor 'x': shape": build(tensors=text("x") + entry((0,)), num_tensors=1),
    "tensor 'x': .* blocks of 32": build(
        tensors=text("x") + entry((33,), 2), num_tensors=1
    ),
    "tensor 'x': type 16": build(
        tensors=text("x") + entry((256,), 16), num_tensors=1
    ),
    "tensor 'x': .* aligned": build(
        tensors=text("x") + entry((1,), 0, 4), num_tensors=1
    ),
}


@pytest.mark.parametrize("message", DAMAGED)
def test_damage_is_named_before_anything_is_allocated(tmp_path, message):
  path = tmp_path / "x"
  path.write_bytes(DAMAGED[message])
  with pytest.raises(files.WeightsError, match=message) as error:
    gguf_file.read_gguf(path)
  assert str(path) in str(error.value)
