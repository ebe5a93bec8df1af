"""The launchers print the commands that they would run, and run them so."""

import shlex
import subprocess
import types

import pytest

from experiments.launch import profile, slice, slices, spot

_MAIN = ["--", "--config=experiments/x/config.py:a", "--workdir=runs/a"]
_TRAIN = (
    ".venv/bin/python -m mulearn.main --config=experiments/x/config.py:a"
    " --workdir=runs/a"
)


def _printed(capsys) -> list[list[str]]:
  return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def ran(monkeypatch):
  """What would be run is noted; `codes` and `states` say how it ends."""
  found = types.SimpleNamespace(commands=[], codes={}, states=[])

  def run(words, **unused):
    found.commands.append(words)
    if "describe" in words:
      return types.SimpleNamespace(returncode=0, stdout=found.states.pop(0))
    for mark, codes in found.codes.items():
      if mark in shlex.join(words) and codes:
        return types.SimpleNamespace(returncode=codes.pop(0))
    return types.SimpleNamespace(returncode=0)

  monkeypatch.setattr(subprocess, "run", run)
  return found


def test_a_slice_is_made_filled_used_and_deleted(capsys, ran):
  assert slice.main(["--dry-run", "--type=v5litepod-16", *_MAIN]) == 0
  words = _printed(capsys)
  verbs = [line[4] for line in words]
  assert verbs == ["create", "scp", "ssh", "ssh", "delete"]
  assert "--accelerator-type=v5litepod-16" in words[0]
  for line in words[1:4]:  # A pod has several hosts, and each needs it.
    assert "--worker=all" in line
  assert f"--command=cd mulearn && {_TRAIN}" in words[3]
  assert not ran.commands
  slice.main(["--keep", *_MAIN])
  assert [line[4] for line in ran.commands] == verbs[:-1]


def test_what_fails_ends_the_launch(ran):
  ran.codes["make setup"] = [3]
  with pytest.raises(SystemExit, match="make setup.* ended with 3"):
    slice.main(_MAIN)
  assert not any(_TRAIN in shlex.join(words) for words in ran.commands)


def test_several_slices_are_one_workload(capsys):
  assert (
      slices.main(["--dry-run", "--cluster=c", "--num-slices=4", *_MAIN]) == 0
  )
  [words] = _printed(capsys)
  assert words[:3] == ["xpk", "workload", "create"]
  assert "--num-slices=4" in words and words[-1].endswith(_TRAIN)


def test_spot_prints_one_turn(capsys, ran):
  assert spot.main(["--dry-run", "--bucket=b", *_MAIN]) == 0
  words = _printed(capsys)
  assert [line[4] for line in words] == [
      "create", "describe", "scp", "ssh", "ssh", "ssh", "delete"
  ]  # fmt: skip
  assert "--spot" in words[0] and "gcsfuse" in words[4][-1]
  assert not ran.commands


def test_spot_asks_again_when_the_tpu_was_taken_away(ran):
  ran.codes["mulearn.main"] = [1, 0]
  # Waited for, given, taken; then a wish that fails; then given for good.
  ran.states = ["PROVISIONING", "ACTIVE", "SUSPENDED", "FAILED", "ACTIVE"]
  assert spot.main(["--bucket=b", "--wait-seconds=0", *_MAIN]) == 0
  verbs = [w[4] for w in ran.commands if w[3] == "queued-resources"]
  assert verbs.count("create") == verbs.count("delete") == 3
  assert sum(_TRAIN in shlex.join(words) for words in ran.commands) == 2


def test_spot_does_not_pay_for_a_run_that_fails_by_itself(ran):
  ran.codes["mulearn.main"] = [1]
  ran.states = ["ACTIVE", "ACTIVE"]
  with pytest.raises(SystemExit, match="was not taken"):
    spot.main(["--bucket=b", "--wait-seconds=0", *_MAIN])


def test_spot_needs_what_outlives_it():
  with pytest.raises(SystemExit, match="--bucket is not given"):
    spot.main(_MAIN)


def test_a_profile_is_made_by_the_run_and_fetched(capsys):
  assert profile.main(["--dry-run", "--rounds=4", *_MAIN]) == 0
  train, fetch = _printed(capsys)
  assert f"{_TRAIN} --profile_rounds=4" in train[-1]
  assert fetch[-2:] == ["mulearn-0:mulearn/runs/a/profile", "profile"]
  with pytest.raises(SystemExit, match="--workdir"):
    profile.main(["--dry-run"])
