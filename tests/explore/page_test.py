"""The page: whole, safe, small, and alive in a browser."""

import dataclasses
import html
import html.parser
import json
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from mulearn.explore import __main__ as main
from mulearn.explore import page
from mulearn.explore.record import (
    Episode,
    Node,
    Step,
    TextSight,
    list_nodes,
    to_json,
)
from mulearn.search.tree import TreeView

EVIL = "</script><script>alert(1)</script><!-- {{episode}} /* page.js */ \u2028"
_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def _text_episode(num_steps=3, num_commands=3, num_below=1) -> Episode:
  random = np.random.default_rng(0)

  def step(i):
    nodes = [Node("", -1, num_commands, 1.0, 0.5, judged=0.25)]
    for k in range(num_commands):
      nodes.append(
          Node(
              f"take {EVIL} {k}" if k == 1 else f"take sock {k}", 0,
              num_commands - k, 1 / num_commands, float(random.normal()),
              policy=float(random.random()), language=0.125, judged=0.5,
              chosen=k == 0,
          )
      )  # fmt: skip
    for k in range(num_below):
      nodes.append(
          Node(f"put {k}", 1 + k % num_commands, 1, 0.4321,
               float(random.normal()), language=0.25, judged=0.1)
      )  # fmt: skip
    is_last = i == num_steps - 1
    return Step(
        TextSight(f"tidy {EVIL}", f"Room {i}. {EVIL}"), 0, tuple(nodes), 0.5,
        0.25, float(is_last), is_last, trust=0.75,
    )  # fmt: skip

  return Episode(
      title="twc " + EVIL,
      facts={"agent": EVIL},
      players=("agent",),
      discount=0.95,
      steps=tuple(map(step, range(num_steps))),
      last=TextSight("tidy", "Done."),
      ending="success",
      board=None,
      is_imagined=True,
  )


class _Strict(html.parser.HTMLParser):
  """Collects scripts and attributes; tags have to be closed in order."""

  VOID = {"meta"}

  def __init__(self):
    super().__init__()
    self.open, self.scripts, self.attributes, self.text = [], [], [], []

  def handle_starttag(self, tag, attrs):
    self.attributes += [(tag, *pair) for pair in attrs]
    if tag not in self.VOID:
      self.open.append(tag)
    if tag == "script":
      self.scripts.append("")

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open and self.open[-1] == "script":
      self.scripts[-1] += data


def _parse(text: str) -> _Strict:
  parser = _Strict()
  parser.feed(text)
  parser.close()
  assert not parser.open
  return parser


def test_nothing_an_episode_says_gets_out_of_its_data():
  episode = _text_episode()
  parsed = _parse(page.render(episode))
  data, program = parsed.scripts
  assert json.loads(data) == to_json(episode)
  assert EVIL not in program and "alert(1)" not in program
  assert EVIL in json.loads(data)["title"]


def test_the_page_needs_nothing_from_elsewhere():
  text = page.render(_text_episode())
  assert set(re.findall(r"https?://[^\"']*", text)) == {
      "http://www.w3.org/2000/svg"
  }
  names = {name for _, name, _ in _parse(text).attributes}
  assert not names & {"src", "href", "onclick", "onload"}
  assert not re.search(r"\b(fetch|XMLHttpRequest|import|eval)\(", text)
  for name in page._PARTS:
    assert (
        f"/* {name} */"
        not in text.replace("{{episode}}", "").split('id="mulearn-episode"')[0]
    )
  assert "class TreePicture" in text and "prefers-color-scheme: dark" in text


def test_every_part_is_shipped(monkeypatch):
  root = pathlib.Path(page.__file__).parent
  assert {p.name for p in (root / "page").iterdir()} == {
      "page.html", *page._PARTS,
  }  # fmt: skip
  given = {}
  fake = types.ModuleType("setuptools")
  fake.setup, fake.find_packages = given.update, lambda **unused: []
  monkeypatch.setitem(sys.modules, "setuptools", fake)
  runpy.run_path(str(root.parent.parent / "setup.py"))
  [pattern] = given["package_data"]["mulearn.explore"]
  assert all(
      p.match(pattern) for p in (root / "page").iterdir()
  ), "setup.py does not ship the page."


def test_a_hundred_steps_of_64_simulations_are_small():
  episode = _text_episode(num_steps=100, num_commands=121, num_below=64)
  assert len(page.render(episode).encode()) < 2_000_000


def _view(depth, visits, children=(), **changes):
  fields = {
      "label": f"{depth}", "node": 1, "slot": 0, "prior": 0.5, "value": 0.25,
      "reward": 0.0, "discount": -1.0, "chosen": False,
  } | changes  # fmt: skip
  return TreeView(visits=visits, depth=depth, children=children, **fields)


def test_values_are_those_of_the_player_at_the_root():
  tree = _view(0, 3, (_view(1, 3, (_view(2, 2, (_view(3, 1),)),)),))
  for players, signs in ((2, [1, 1, -1, 1]), (1, [1, 1, 1, 1])):
    nodes, left_out = list_nodes(
        tree, num_players=players, details=lambda *_: {}, max_nodes=9
    )
    assert [n.value for n in nodes] == [0.25 * sign for sign in signs]
    assert [n.parent for n in nodes] == [-1, 0, 1, 2] and left_out == 0


def test_what_is_left_out_is_counted():
  past_the_end = _view(2, 2, (_view(3, 1),))
  ended = _view(1, 3, (past_the_end,), discount=0.1)
  rare = _view(1, 3, (_view(2, 1, label="rare"), _view(2, 2, label="often")))
  never = _view(1, 0, value=None)
  nodes, left_out = list_nodes(
      _view(0, 6, (ended, rare, never)), num_players=2,
      details=lambda *_: {}, max_nodes=1,
  )  # fmt: skip
  assert [n.label for n in nodes] == ["0", "1", "1", "often", "1"]
  assert left_out == 3 and nodes[1].ends and nodes[4].value is None


def test_flags_and_thousandths():
  episode = _text_episode(num_steps=1)
  [step] = episode.steps
  wrong = dataclasses.replace(
      step.nodes[2], ends=True, really_ends=False, illegal=True, prior=0.12345
  )
  nodes = (*step.nodes[:2], wrong, *step.nodes[3:])
  step = dataclasses.replace(step, nodes=nodes)
  [told] = to_json(dataclasses.replace(episode, steps=(step,)))["steps"]
  assert told["tree"]["f"][:3] == [0, 1, 2 + 4 + 8]
  assert told["tree"]["q"][2] == 123 and told["trust"] == 750
  assert "c" not in told["tree"] and "s" not in told["tree"]


_PROBE = """
const key = (k) => document.dispatchEvent(
  new KeyboardEvent("keydown", {key: k, bubbles: true}));
const shown = () => document.querySelectorAll("#tree .box").length;
const found = {errors, width: document.documentElement.scrollWidth,
  start: document.getElementById("where").textContent,
  title: document.getElementById("title").textContent,
  bars: document.querySelectorAll("#bars .row").length,
  boxes: shown(), text: document.getElementById("sight").textContent};
key("e"); found.expanded = shown();
key("ArrowDown"); key("d");
found.node = document.getElementById("node").textContent;
key("c"); key("ArrowRight");
found.second = document.getElementById("where").textContent;
key("End"); found.end = document.getElementById("what").textContent;
key("?"); found.help = document.getElementById("help").open;
document.getElementById("help").close();
key("Home"); found.home = document.getElementById("where").textContent;
const wide = document.querySelector("#tree svg").getAttribute("width");
key("+");
found.zoom = document.querySelector("#tree svg").getAttribute("width") / wide;
found.milliseconds = performance.now();
parent.postMessage(JSON.stringify(found), "*");
"""


def _in_chromium(text: str, folder: pathlib.Path) -> dict:
  """Opens the page 400 pixels wide, presses keys, and tells what is there."""
  watch = (
      "<script>const errors = [];"
      " console.error = (...e) => errors.push(e + '');"
      " window.addEventListener('error', (e) => errors.push(e.message));"
      " document.addEventListener('securitypolicyviolation', (e) =>"
      " errors.push(e.violatedDirective));</script>"
  )
  text = text.replace("<head>", f"<head>{watch}")
  text = text.replace("</body>", f"<script>{_PROBE}</script></body>")
  outer = folder / "outer.html"
  outer.write_text(
      "<script>window.addEventListener('message', (e) => {"
      " document.getElementById('found').textContent = e.data; });</script>"
      "<pre id=found></pre><iframe style='width:400px;height:900px;border:0'"
      f' srcdoc="{html.escape(text)}"></iframe>'
  )
  dom = subprocess.run(
      [_CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
       f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=8000",
       "--dump-dom", outer.as_uri()],
      capture_output=True, text=True, timeout=300, check=True,
  ).stdout  # fmt: skip
  [found] = re.findall(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
  return json.loads(html.unescape(found))


@pytest.mark.skipif(_CHROMIUM is None, reason="Debian's chromium is not there")
@pytest.mark.parametrize("kind", ["text", "board"])
def test_the_page_lives(board_workdir, tmp_path, kind):
  if kind == "text":
    text = page.render(_text_episode())
  else:
    out = tmp_path / "page.html"
    words = [f"--workdir={board_workdir('world')}", f"--out={out}"]
    assert main.main([*words, "--num_simulations=12"]) == 0
    text = out.read_text()
  steps = len(json.loads(_parse(text).scripts[0])["steps"])
  found = _in_chromium(text, tmp_path)
  assert found["errors"] == []
  assert found["width"] <= 400
  assert found["start"] == found["home"] == f"Step 1 of {steps}"
  assert found["second"] == f"Step 2 of {steps}" and found["help"] is True
  assert found["expanded"] >= found["boxes"] >= 2
  assert "visits" in found["node"] and found["zoom"] == pytest.approx(1.25)
  assert found["milliseconds"] < 20_000
  if kind == "text":
    assert found["bars"] == 3 and found["end"] == "success"
    assert EVIL.rstrip("\u2028") in found["text"] and EVIL in found["title"]
  else:
    assert found["bars"] == 9


def test_the_command_says_what_is_wrong(board_workdir, tmp_path, capsys):
  assert main.main([f"--workdir={tmp_path}"]) == 1
  assert "holds no run with an agent" in capsys.readouterr().err
  workdir = board_workdir("world")
  out = f"--out={tmp_path / 'p.html'}"
  assert main.main([f"--workdir={workdir}", out, "--max_steps=0"]) == 1
  assert "max_steps is 0" in capsys.readouterr().err
  assert main.main([f"--workdir={workdir}", out, "--step=7"]) == 1
  assert "no checkpoint of step 7" in capsys.readouterr().err
  assert not (tmp_path / "p.html").exists()
