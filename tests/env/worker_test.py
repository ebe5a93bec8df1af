"""The worker's side of the channel, served by a thread of the test."""

import multiprocessing
import threading

import pytest

from mulearn.env import base, worker


def _serve(setup):
  """Serves a setup; returns our end of the channel and the thread."""
  ours, theirs = multiprocessing.Pipe()
  ours.send(setup)

  def run():
    with theirs, pytest.raises(EOFError):
      worker.serve(theirs)

  thread = threading.Thread(target=run)
  thread.start()
  return ours, thread


def _ask(channel, kind, requests):
  channel.send((kind, requests))
  heading, answers = channel.recv()
  assert heading == "answers"
  return answers


def test_requests_are_answered_until_the_channel_ends(twc):
  path = (4, "train", ("look around", "inventory"))
  setup = worker.Setup(twc, lanes=(1, 3), num_spares=1, histories={3: path})
  channel, thread = _serve(setup)
  heading, pid = channel.recv()
  assert heading == "ready" and pid > 0
  # Lane 3 was restored before the worker was ready.
  [step] = _ask(channel, "step", {3: "look around"}).values()
  assert step.observation.facts[-2:] == (
      "last: look around",
      "before: inventory",
  )
  first = _ask(channel, "reset", {1: (4, "train"), 3: (5, "train")})
  assert set(first) == {1, 3}
  restored = _ask(channel, "restore", {1: path})[1]
  branch = _ask(channel, "branch", {0: (0, path), 1: (0, path)})
  assert branch == {0: restored, 1: restored}
  channel.close()
  thread.join(10)
  assert not thread.is_alive()


def test_errors_are_answers_and_the_others_are_served(twc):
  channel, thread = _serve(worker.Setup(twc, (0, 1), 1, {}))
  channel.recv()
  answers = _ask(channel, "step", {0: "look around"})
  assert isinstance(answers[0], RuntimeError)
  start = (4, "train", ())
  requests = {0: (0, (4, "train", ("fly home",))), 1: (0, start)}
  answers = _ask(channel, "branch", requests)
  assert isinstance(answers[0], ValueError)
  assert answers[1] == _ask(channel, "restore", {0: start})[0]
  channel.close()
  thread.join(10)
  assert not thread.is_alive()


def test_settings_are_refused_in_words():
  ours, theirs = multiprocessing.Pipe()
  ours.send(worker.Setup(base.GameSpec("chess", (), 5), (0,), 1, {}))
  worker.serve(theirs)
  heading, error = ours.recv()
  assert heading == "refused" and "'chess'" in str(error)
