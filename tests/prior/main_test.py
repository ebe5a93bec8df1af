"""The command line of the language prior, on a real game."""

import numpy as np
import pytest

from mulearn import lm
from mulearn.env.base import GameSpec
from mulearn.prior import __main__ as main
from mulearn.prior import build, calibrate, prompts


@pytest.fixture
def planted_language(raw, monkeypatch):
  """The fake model of `conftest.py` in place of one from a file."""
  asked_for = []

  class Language:

    def __init__(self, config):
      asked_for.append((config.model, config.dtype))

    def raw_scores(self):
      return raw

  monkeypatch.setattr(build, "Language", Language)
  return asked_for


def test_calibrate_prints_the_table_of_a_real_game(planted_language, capsys):
  words = ["calibrate", "--game=twc", "--games=2", "--dtype=bfloat16"]
  words += ["--params=numLocations=1,numItemsToPutAway=1", "--step_limit=9"]
  assert main.main(words) == 0
  assert planted_language == [("smollm2-135m", "bfloat16")]
  shown = capsys.readouterr().out
  spec = GameSpec("twc", (("numLocations", 1), ("numItemsToPutAway", 1)), 9)
  walked = calibrate.demonstrate(spec, range(2))
  assert f"on {len(walked)} gold commands of train" in shown
  assert f"uniform: {calibrate.uniform_nats(walked):.3f}" in shown
  for name in (*lm.METHODS, *prompts.PROMPTS):
    assert name in shown
  numbers = [
      float(line.split("│")[4]) for line in shown.splitlines() if "│" in line
  ]
  assert len(numbers) == len(prompts.PROMPTS) * len(lm.METHODS)
  assert numbers == sorted(numbers) and np.isfinite(numbers).all()


@pytest.mark.parametrize(
    "words, says",
    [
        (["--game=twc", "--model=/no/such.gguf"], "known models"),
        (["--game=twc", "--games=0"], "1 to 1000 train games"),
        (["--game=twc", "--games=1001"], "1 to 1000 train games"),
    ],
)
def test_an_error_is_one_line(words, says, capsys):
  assert main.main(["calibrate", *words]) == 1
  captured = capsys.readouterr()
  assert captured.err.startswith("error: ") and says in captured.err
  assert len(captured.err.splitlines()) == 1


def test_what_the_game_refuses_is_an_error(planted_language, capsys):
  words = ["calibrate", "--game=twc", "--games=1", "--params=numLocations=99"]
  assert main.main(words) == 1
  assert "twc refuses 'numLocations=99'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, says",
    [
        (["--game=chess"], "invalid choice: 'chess'"),
        (["--game=twc", "--params=numLocations"], "name=number"),
        ([], "--game"),
    ],
)
def test_a_wrong_flag_is_named(words, says, capsys):
  with pytest.raises(SystemExit) as stopped:
    main.main(["calibrate", *words])
  assert stopped.value.code == 2
  assert says in capsys.readouterr().err


def test_help_shows_examples(capsys):
  with pytest.raises(SystemExit) as stopped:
    main.main(["--help"])
  assert stopped.value.code == 0
  assert (
      "python -m mulearn.prior calibrate --game=twc" in capsys.readouterr().out
  )
