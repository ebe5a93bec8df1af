"""What compiles again is counted and named."""

import jax
import jax.numpy as jnp

from mulearn.parallel.compilations import Compilations
from mulearn.parallel.trace import Trace


def test_a_second_shape_is_told_and_the_same_again_is_not(caplog):
  @jax.jit
  def double(x):
    return 2 * x

  small, large = jnp.ones(3), jnp.ones(4)
  found = Compilations()
  with caplog.at_level("WARNING", logger="absl"):
    for x in (small, small):
      with found.during("A round", "small"):
        double(x)
    assert found.again == 0 and not caplog.records
    with found.during("A round", "large"):  # The first of its kind.
      double(large)
    assert found.again == 0
    with found.during("A round", "large"):
      double(jnp.asarray(large, jnp.int32))
  assert found.again >= 1
  assert "A round compiled again: " in caplog.text and "double" in caplog.text


def test_rounds_that_learn_are_profiled_once_compiled(tmp_path):
  trace = Trace(tmp_path, num_rounds=1)
  for learns in (False, True, False, True, True):
    with trace.round(learns):
      jnp.ones(2).block_until_ready()
  assert len(list(tmp_path.rglob("*.xplane.pb"))) == 1


def test_without_rounds_nothing_is_profiled(tmp_path):
  trace = Trace(tmp_path / "profile")
  for _ in range(3):
    with trace.round(True):
      pass
  assert not (tmp_path / "profile").exists()
