"""Safetensors files: read as others write them, and the other way round."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from mulearn.lm import files, tensors

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5, -2], np.float16),
    "none": np.zeros((0, 4), np.float32),
    "one": np.array(3.0),
    "n": np.array([[1, 2]], np.int64),
}


def test_what_others_write(tmp_path):
  path = tmp_path / "x"
  safetensors.numpy.save_file(ARRAYS, path, metadata={"format": "np"})
  found = tensors.read_safetensors(path)
  assert found.keys() == ARRAYS.keys()
  for name, array in ARRAYS.items():
    assert found[name].shape == array.shape
    np.testing.assert_array_equal(found[name].read(), array)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_others_read(tmp_path, dtype):
  path = tmp_path / "x"
  arrays = {name: ARRAYS[name].astype(np.float32) for name in ("a", "one")}
  shapes = {name: array.shape for name, array in arrays.items()}
  kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
  tensors.write_safetensors(path, shapes, iter(arrays.values()), kind)
  with safetensors.safe_open(path, framework="numpy") as file:
    assert sorted(file.keys()) == ["a", "one"]
    assert file.get_slice("a").get_shape() == [2, 3]
  for name, tensor in tensors.read_safetensors(path).items():
    assert tensor.read().dtype == kind
    np.testing.assert_array_equal(tensor.read(), arrays[name].astype(kind))


def test_an_array_is_a_view_of_the_file(tmp_path):
  path = tmp_path / "x"
  safetensors.numpy.save_file(ARRAYS, path)
  array = tensors.read_safetensors(path)["a"].read()
  assert not array.flags.owndata and not array.flags.writeable


def damaged(header, body=bytes(8)) -> bytes:
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  return len(text).to_bytes(8, "little") + text + body


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
  return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


DAMAGED = {
    "cannot read": b"",
    "header has": b"\xff" * 12,
    "not readable": damaged(b"{nonsense"),
    "not readable .*recursion": damaged(b"[" * 100_000),
    "not an object": damaged([1]),
    "twice": damaged(b'{"a": 1, "a": 2}'),
    "tensor 'x' has a wrong entry": damaged({"x": 3}),
    "tensor 'x' .*'shape'": damaged({"x": {"dtype": "F32"}}),
    "tensor 'x' .*F8_E4M3": damaged({"x": entry("F8_E4M3")}),
    "tensor 'x' .*natural": damaged({"x": entry(shape=(-2,))}),
    "tensor 'x' .*natural numbers": damaged({"x": entry(shape=(2.0,))}),
    "tensor 'x' .*bytes 0 to 80": damaged({"x": entry(offsets=(0, 80))}),
    "tensor 'x' .*bytes 8 to 0": damaged({"x": entry(offsets=(8, 0))}),
    "tensor 'x' .*8 bytes for": damaged({"x": entry(shape=(2**40,))}),
    "tensor 'x' begins at byte 4": damaged(
        {"x": entry(shape=(1,), offsets=(4, 8))}
    ),
    "tensor 'y' begins at byte 0": damaged({"x": entry(), "y": entry()}),
    "have 8 bytes but 16": damaged({"x": entry()}, bytes(16)),
}


@pytest.mark.parametrize("message", DAMAGED)
def test_damage_is_named(tmp_path, message):
  path = tmp_path / "x"
  path.write_bytes(DAMAGED[message])
  with pytest.raises(files.WeightsError, match=message) as error:
    tensors.read_safetensors(path)
  assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(files.WeightsError, match="nowhere"):
    tensors.read_safetensors(tmp_path / "nowhere")
