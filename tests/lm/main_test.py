"""The command line of the language model: every example of its help runs."""

import json
import re
import shlex

import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import __main__ as main
from mulearn.lm.tokenizer import Tokenizer

EXAMPLES = [
    shlex.split(line.replace("\\\n", " "))[3:]
    for line in re.findall(
        r"  python -m mulearn.lm (?:.|\n)*?(?=\n  python|\n\n)", main.__doc__
    )
]
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.fixture
def small(tiny, tmp_path, monkeypatch):
  """Stands for the model of the examples; a template lets it chat."""
  values = json.loads(tiny.tokenizer.to_json()) | {"chat_template": TEMPLATE}
  tokenizer = Tokenizer.from_json(json.dumps(values))
  model = lm.LanguageModel(tiny.config, tiny.params, tokenizer, "none", "tiny")
  lm.save(model, tmp_path / "small")
  monkeypatch.chdir(tmp_path)
  return "small"


def run(capsys, *words):
  """Returns the status and what was printed."""
  status = main.main([str(word) for word in words])
  captured = capsys.readouterr()
  return status, captured.out if status == 0 else captured.err


def test_every_example_of_the_help(small, tmp_path, capsys):
  lines = [
      {"prompt": f"{i} ", "completion": "put it in the box"} for i in range(40)
  ]
  for name in ("train", "valid"):
    text = "\n".join(json.dumps(line) for line in lines)
    (tmp_path / f"{name}.jsonl").write_text(text)
  assert {words[0] for words in EXAMPLES} == set(main._COMMANDS)
  for words in EXAMPLES:
    words = [w.replace("smollm2-135m", small) for w in words]
    if words[0] == "finetune":
      words += ["--num-steps=2", "--length=64", "--batch-size=2"]
    elif words[0] == "generate":
      words.insert(1, "--max-new-tokens=8")
    status, out = run(capsys, *words)
    assert status == 0 and out, words
  converted = lm.load("converted").params.embedding[...]
  np.testing.assert_allclose(
      converted, lm.load(small).params.embedding[...], rtol=1e-2
  )


def test_each_command_shows_its_examples(capsys):
  for name in main._COMMANDS:
    with pytest.raises(SystemExit) as stopped:
      main.main([name, "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert f"python -m mulearn.lm {name} " in out
    assert not re.search(rf"mulearn.lm (?!{name})\w+ ", out)


def test_settings_of_a_run_are_explained(capsys):
  with pytest.raises(SystemExit):
    main.main(["finetune", "--help"])
  out = " ".join(capsys.readouterr().out.split())
  assert "--lora-rank LORA_RANK of the adapters; 0 trains all weights." in out


def test_how_tokens_are_drawn_is_explained(capsys):
  with pytest.raises(SystemExit):
    main.main(["generate", "--help"])
  out = " ".join(capsys.readouterr().out.split())
  assert "--top-k TOP_K only so many of the likeliest tokens are left" in out


def test_fetch_and_info(tiny_gguf, capsys):
  path = tiny_gguf()
  assert run(capsys, "fetch", path) == (0, f"{path}\n")
  status, out = run(capsys, "info", path)
  assert status == 0 and "num_layers       3" in out and "sha256" in out


def test_score_ranks(tiny_gguf, capsys):
  path = tiny_gguf()
  words = ["score", path, "go", "put", "--context=a", "--method=sum"]
  lines = run(capsys, *words)[1].splitlines()
  ranked = {line.split()[1]: float(line.split()[0]) for line in lines}
  (wanted,) = lm.score(lm.load(path), ["a"], [["go", "put"]], method="sum")
  np.testing.assert_allclose([ranked["go"], ranked["put"]], wanted, atol=1e-3)
  assert list(ranked.values()) == sorted(ranked.values(), reverse=True)


def test_generate_continues(small, capsys):
  words = ["generate", "--max-new-tokens=8", small, "go"]
  wanted = lm.generate(lm.load(small), ["go", "put"], max_new_tokens=8)
  assert run(capsys, *words)[1] == f"go{wanted[0]}\n"
  both = run(capsys, *words, "put")[1]
  assert both == f"go{wanted[0]}\nput{wanted[1]}\n"


def test_convert_keeps_the_model(small, capsys):
  for kind in ("safetensors", "orbax"):
    status, _ = run(capsys, "convert", small, kind, f"--to={kind}")
    assert status == 0
    tokens = np.arange(2, 20)[None]
    np.testing.assert_allclose(
        lm.logits(lm.load(kind), tokens),
        lm.logits(lm.load(small), tokens),
        atol=1e-5,
    )


def test_an_error_is_one_line(small, capsys):
  status, err = run(capsys, "info", "no-such-model")
  assert status == 1 and err.startswith("error: ") and "smollm2-135m" in err
  assert len(err.splitlines()) == 1
  status, err = run(capsys, "generate", small, "go", "--top-p=3")
  assert status == 1 and "top_p=3.0" in err
  words = ["finetune", small, "--data=none.jsonl", "--workdir=run"]
  status, err = run(capsys, *words)
  assert status == 1 and "none.jsonl does not exist" in err
