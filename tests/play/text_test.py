"""A text game in the terminal, with lines in place of a keyboard."""

import io
import re

import jax
import pytest

from mulearn.env.base import FOLD_SEEDS
from mulearn.explore import text_episode
from mulearn.play import __main__ as main
from mulearn.play import text as text_lib


@pytest.fixture
def pool(make_text_pool):
  return make_text_pool()


@pytest.fixture
def talk(text_agent, pool, monkeypatch, capsys):
  """(lines) -> what the terminal shows."""

  def run(lines: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    text_lib.play(text_agent, pool, num_simulations=6, number=3)
    return capsys.readouterr().out

  return run


def test_commands_by_word_and_by_number(talk, pool, rooms):
  text = talk("Take  hat\n\n2\ngo east\n")
  assert pool.start == {0: (FOLD_SEEDS["test"][3], "test")}
  assert pool.given == ["take hat", rooms[1].commands[1]]
  for room in rooms:
    assert room.prompt in text
  assert re.search(r"1 go down +2 take hat", text)
  assert "Score 0.50; commands given: 1 of 12." in text
  assert "The task is done." in text and "The game is over" in text


def test_thoughts_are_those_of_the_agents_own_search(talk, text_agent, pool):
  text = talk("?\n")
  assert re.search(
      r"Value [+-]\d\.\d\d before search, [+-]\d\.\d\d after 6", text
  )
  assert "Its trust in the language model is 0.25." in text
  rows = re.findall(
      r"^  (go down|take hat) +(\d\.\d+)  (\d\.\d+) +(\d+) +(-|[+-]\d\.\d\d)"
      r"  (\d\.\d+)$",
      text,
      re.M,
  )
  key, _ = jax.random.split(jax.random.key(3))
  command, step = text_episode.think(
      text_agent, key, pool._answer().observation, 6
  )
  nodes = {node.label: node for node in step.nodes if node.parent == 0}
  assert {name for name, *_ in rows} == set(nodes)
  for name, language, prior, visits, value, after in rows:
    node = nodes[name]
    assert float(language) == pytest.approx(node.language, abs=1e-3)
    assert float(prior) == pytest.approx(node.prior, abs=1e-3)
    assert int(visits) == node.visits
    if node.visits:
      assert float(value) == pytest.approx(node.value, abs=1e-2)
    else:
      assert value == "-"
    assert float(after) == pytest.approx(node.policy, abs=1e-3)
  assert float(rows[0][-1]) >= float(rows[1][-1])
  assert f"It would: {command}" in text
  assert {name: node.language for name, node in nodes.items()} == {
      "go down": pytest.approx(2 / 3, abs=1e-5),
      "take hat": pytest.approx(1 / 3, abs=1e-5),
  }


def test_the_agent_gives_what_it_would(talk, pool):
  expected = re.search(r"It would: (go down|take hat)", talk("?\n"))[1]
  assert f"The agent: {expected}\n" in talk("a\n")
  assert pool.given == [expected]


def test_without_a_language_model_that_is_said(talk, text_agent):
  from mulearn.prior.base import UniformPrior

  text_agent.prior = UniformPrior()
  text = talk("hint\n")
  assert "It asks no language model." in text
  assert re.search(r"^  take hat +-  0\.", text, re.M)


@pytest.mark.parametrize(
    "words, message",
    [
        ("take hut", "'take hut' cannot be done here. Did you mean take hat?"),
        ("hat", "Did you mean take hat?"),
        ("xyzzy", "'xyzzy' cannot be done here. Type a command or its number"),
        ("3", "There is no command 3; they are 1 to 2."),
        ("0", "There is no command 0; they are 1 to 2."),
    ],
)
def test_what_cannot_be_done_is_said(talk, pool, words, message):
  assert message in talk(f"{words}\n")
  assert pool.given == []


def test_undo_and_new(talk, pool):
  text = talk("undo\ntake hat\nundo\nnew\n2\nQUIT\n1\n")
  assert "No command was given that could be taken back." in text
  assert re.findall(r"commands given: (\d)", text) == list("01001")
  assert "Test game 4." in text
  assert pool.start == {0: (FOLD_SEEDS["test"][4], "test")}
  assert pool.given == ["take hat"]


def test_a_run_of_a_study_is_played(
    text_workdir, pool, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(text_episode, "make_pool", lambda unused_agent: pool)
  monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
  words = [f"--workdir={text_workdir}", "--num_simulations=6"]
  assert main.main(words) == 0
  assert "twc, test game 0." in capsys.readouterr().out
  assert pool.given == ["go down"]
  for wrong, message in (
      ("--second", "are for boards"),
      ("--seed=1000", "picks one of 0 to 999"),
      ("--num_simulations=0", "at least 1"),
      ("--step=7", "no checkpoint of step 7"),
  ):
    assert main.main([*words, wrong]) == 1
    assert message in capsys.readouterr().err
