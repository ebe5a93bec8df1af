"""Runs in processes of their own are killed and moved, and end as they would.

`experiments/resume` does more of the same; this is what the suite has time for.
"""

import signal

import pytest

from experiments.resume import kills, processes, together

# Learns from the first round on, so that there is one program to compile.
_RUN = (
    *processes.BOARD,
    "--config.num_steps=192",
    "--config.eval_every=192",
    "--config.replay.min_size=32",
    "--config.num_shards=2",
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
  """A run that was never killed, and one that was."""
  workdir = tmp_path_factory.mktemp("killed")
  return workdir, kills.check(_RUN, 1, workdir, seed=1)


def test_a_killed_run_ends_as_if_it_had_not_been(killed):
  _, found = killed
  assert len(found["kills"]) == 1
  assert found["lines_of_metrics"] == 6 + 2
  ends = found["ends"]
  assert all(e["metrics"] and e["checkpoint"] and e["best"] for e in ends)


def test_what_differs_is_seen(killed):
  workdir, _ = killed
  lines = processes.metrics_of(workdir / "whole")
  assert processes.furthest(lines, lines) == 0.0
  with pytest.raises(ValueError, match="the other 7"):
    processes.furthest(lines, lines[1:])
  other = [dict(line) for line in lines]
  other[3]["loss"] += 0.5
  assert processes.furthest(lines, other) == 0.5


def test_who_waits_for_a_process_that_ended_is_told_its_last_words(tmp_path):
  words = ("-c", "print('No coffee.'); raise SystemExit(3)")
  with processes.running(words, tmp_path / "run") as found:
    with pytest.raises(RuntimeError, match="0 ended with 3; .*\n  No coffee."):
      together.wait_for_lines(tmp_path / "run", 1, found)
  with pytest.raises(RuntimeError, match="No coffee."):
    processes.finish(words, tmp_path / "other")


def test_two_processes_are_stopped_as_one_and_go_on_as_one(killed, tmp_path):
  """The same run: in two processes, then on one device."""
  workdir, _ = killed
  run = tmp_path / "moved"
  with processes.running(_RUN, run, processes=2) as found:
    together.wait_for_lines(run, 2, found)
    found[1].send_signal(signal.SIGTERM)  # Of which the other hears nothing.
    assert [p.wait(timeout=600) for p in found] == [1, 1]
  for process in range(2):
    said = processes.log_of(run, process).read_text()
    assert "Stopped and saved. The same command continues" in said
    assert "Traceback" not in said
  before = len(processes.metrics_of(run))
  assert 2 <= before < 8
  processes.finish(_RUN, run)
  assert not processes.log_of(run, 0).read_text().count("goes on with")
  lines = [processes.metrics_of(r) for r in (workdir / "whole", run)]
  assert processes.furthest(*lines) < 1e-5


def test_a_text_game_is_moved_from_two_processes_to_two_devices(tmp_path):
  """Imitation comes first, and is of the two processes."""
  one, two = {"processes": 1, "devices": 2}, {"processes": 2, "devices": 1}
  words = ("--imitation_steps=2", "--num_steps=32")
  # Saves when it is stopped, and at its end.
  words += ("--checkpoint_every_seconds=1e9",)
  found = together.moved_text(tmp_path, *words, before=two, after=one)
  assert found["exit_codes"] == [1, 1]
  assert 10 <= found["lines_of_metrics_when_moved"] < 20
  assert found["acts_with_an_optimiser_step"] == 1 + 13
  assert found["same_games"] and found["same_phrases"]
  assert found["largest_difference_of_a_metric"] < 1e-5
