"""The command line of the language model."""

import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import __main__ as main


def test_fetch_and_info(tiny_gguf, capsys):
  path = tiny_gguf()
  assert main.main(["fetch", str(path)]) == 0
  assert capsys.readouterr().out.strip() == str(path)
  assert main.main(["info", str(path)]) == 0
  out = capsys.readouterr().out
  assert "num_layers      3" in out
  assert "sha256" in out


def test_score_ranks(tiny_gguf, capsys):
  path = tiny_gguf()
  words = ["score", str(path), "go", "put", "--context=a", "--method=sum"]
  assert main.main(words) == 0
  lines = capsys.readouterr().out.splitlines()
  ranked = {line.split()[1]: float(line.split()[0]) for line in lines}
  (wanted,) = lm.score(lm.load(path), ["a"], [["go", "put"]], method="sum")
  np.testing.assert_allclose([ranked["go"], ranked["put"]], wanted, atol=1e-3)
  assert list(ranked.values()) == sorted(ranked.values(), reverse=True)


def test_an_error_is_one_line(capsys):
  assert main.main(["info", "no-such-model"]) == 1
  captured = capsys.readouterr()
  assert captured.err.startswith("error: ")
  assert "smollm2-135m" in captured.err
  assert len(captured.err.splitlines()) == 1


def test_help_shows_examples(capsys):
  with pytest.raises(SystemExit) as stopped:
    main.main(["--help"])
  assert stopped.value.code == 0
  assert "python -m mulearn.lm score" in capsys.readouterr().out
