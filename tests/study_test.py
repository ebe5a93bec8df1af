"""A study's arms, and the metrics of one that goes on."""

import dataclasses
import types

import numpy as np
import pytest

from mulearn import study
from mulearn.config import Config
from mulearn.metrics import read_json_lines


@pytest.fixture
def config():
  return Config(
      arms={
          "plain": {},
          "changed": {"prior.kind": "uniform", "num_steps": 7, "learn.discount": 0.5},
          "typo": {"prior.knid": "uniform"},
          "too_deep": {"num_steps.prior.kind": 1},
          "no_section": {"priors.kind": 1},
      }
  )  # fmt: skip


def test_an_arm_changes_what_it_names_and_nothing_else(config):
  before = dataclasses.asdict(config)
  changed = study.configure_arm(config, "changed", seed=5)
  assert changed.prior.kind == "uniform" and changed.learn.discount == 0.5
  assert (changed.num_steps, changed.seed) == (7, 5)
  expected = dataclasses.asdict(config) | {"num_steps": 7, "seed": 5}
  expected["prior"] = expected["prior"] | {"kind": "uniform"}
  expected["learn"] = expected["learn"] | {"discount": 0.5}
  assert dataclasses.asdict(changed) == expected
  assert dataclasses.asdict(config) == before  # The study's own is as it was.
  plain = study.configure_arm(config, "plain", seed=0)
  assert plain.prior == config.prior and plain.prior is not config.prior


@pytest.mark.parametrize("arm", ["typo", "too_deep", "no_section"])
def test_a_field_that_is_none_is_an_error(config, arm):
  with pytest.raises(ValueError, match="no field of the config") as error:
    study.configure_arm(config, arm, seed=0)
  assert arm in str(error.value) and next(iter(config.arms[arm])) in str(
      error.value
  )


def test_metrics_go_on_where_the_run_does(tmp_path):
  def writer(step, env_steps, curve):
    return study.writer_of(
        tmp_path,
        types.SimpleNamespace(
            state=types.SimpleNamespace(step=np.int32(step)),
            env_steps=env_steps,
            curve=curve,
        ),
    )

  lines = [
      (0, {"env_steps": 0, "dev/success": 0.0}),
      (0, {"env_steps": 16}),  # Before the first update.
      (0, {"env_steps": 32}),
      (8, {"env_steps": 48, "loss": 1.5}),
      (8, {"env_steps": 48, "dev/success": 0.5}),
      (16, {"env_steps": 64, "loss": 1.25}),
  ]
  first = writer(0, 0, [])
  for line in lines:
    first.write(*line)
  first.close()

  def kept(*place):
    writer(*place).close()
    found = list(read_json_lines(tmp_path / "metrics.jsonl"))
    return [(f.pop("step"), f) for f in found]

  assert kept(16, 64, [(0, 0.0), (48, 0.5)]) == lines
  assert kept(8, 48, [(0, 0.0), (48, 0.5)]) == lines[:5]
  # Saved before it was evaluated: the point of the curve comes again.
  assert kept(8, 48, [(0, 0.0)]) == lines[:4]
  # Only the environment had moved.
  assert kept(0, 16, [(0, 0.0)]) == lines[:2]
  assert kept(0, 0, []) == []
