"""The progress display, on a terminal and off it."""

import io

from mulearn import progress


class _Terminal(io.StringIO):

  def isatty(self) -> bool:
    return True


def test_plain_lines_are_few_and_say_everything(monkeypatch):
  now = 100.0
  monkeypatch.setattr(progress.time, "monotonic", lambda: now)
  out = io.StringIO()
  with progress.Progress("muzero seed 1", 1000, file=out) as p:
    for step in range(501, 601):
      now += 0.25
      p.update(step, success=step / 1000, stage="search")
  lines = out.getvalue().splitlines()
  assert len(lines) == 3  # At 10 s, at 20 s, and the end.
  # 500 of 1000 were there before; 100 more took 25 s; 400 are left.
  assert lines[-1] == (
      "muzero seed 1: 600/1000 steps, 4.0/s, 0:01:40 left, success 0.60, search"
  )


def test_each_stage_has_a_rate_of_its_own(monkeypatch):
  now = 0.0
  monkeypatch.setattr(progress.time, "monotonic", lambda: now)
  out = io.StringIO()
  with progress.Progress("run", 1000, file=out) as p:
    p.update(100, stage="imitation")
    now += 1.0
    p.update(200)
    now += 60.0  # Another program is compiled.
    p.update(300, stage="search")
    now += 10.0
    p.update(320)
  assert "320/1000 steps, 2.0/s, 0:05:40 left" in out.getvalue()


def test_a_terminal_gets_one_line_redrawn():
  out = _Terminal()
  with progress.Progress("lm", 10, file=out) as p:
    p.update(4, success=0.5)
  assert "lm" in out.getvalue() and "4/10 steps" in out.getvalue()
  assert "success 0.50" in out.getvalue()
