"""The cache: answers survive, and a damaged file is not the end."""

import numpy as np

from mulearn.prior.cache import Cache, default_directory, digest


def test_vectors_come_back(cache):
  values = {digest("a"): [1.5, -2.0], digest("b"): np.arange(3)}
  cache.put(values)
  found = cache.get([digest("b"), digest("c"), digest("a"), digest("a")])
  assert found.keys() == values.keys()
  np.testing.assert_array_equal(found[digest("a")], np.float32([1.5, -2.0]))
  assert found[digest("b")].dtype == np.float32
  cache.put({digest("a"): [7.0]})
  np.testing.assert_array_equal(cache.get([digest("a")])[digest("a")], [7.0])
  assert cache.get([]) == {}


def test_many_keys_at_once(cache):
  values = {digest(str(i)): [float(i)] for i in range(1234)}
  cache.put(values)
  found = cache.get(list(values))
  assert len(found) == 1234 and found[digest("1233")] == 1233.0


def test_answers_survive_reopening(tmp_path):
  path = tmp_path / "new" / "folder" / "answers.sqlite"
  first = Cache(path)
  first.put({digest("a"): [1.0]})
  second = Cache(path)  # Another process, while the first is open.
  assert digest("a") in second.get([digest("a")])
  first.close()
  second.close()
  assert digest("a") in Cache(path).get([digest("a")])


def test_damaged_file_is_set_aside(tmp_path):
  path = tmp_path / "answers.sqlite"
  path.write_bytes(b"this is no database, by any means" * 100)
  cache = Cache(path)
  cache.put({digest("a"): [1.0]})
  assert digest("a") in cache.get([digest("a")])
  kept = path.with_name("answers.sqlite.damaged").read_bytes()
  assert kept.startswith(b"this is no database")


def test_memory_keeps_nothing():
  Cache(":memory:").put({digest("a"): [1.0]})
  assert Cache(":memory:").get([digest("a")]) == {}


def test_digests_know_where_a_part_ends():
  keys = [
      digest(*parts)
      for parts in (("a", "b"), ("ab",), ("ab", ""), ("", "ab"), ("b", "a"))
  ]
  assert len(set(keys)) == 5 and {len(k) for k in keys} == {32}
  assert digest("a", "b") == digest("a", "b")


def test_directory_can_be_chosen(monkeypatch, tmp_path):
  monkeypatch.setenv("MULEARN_CACHE", str(tmp_path))
  assert default_directory() == tmp_path
  monkeypatch.delenv("MULEARN_CACHE")
  assert default_directory().is_absolute()
