"""Everything that is shipped to be run can be run: configs, README, make."""

import argparse
import dataclasses
import importlib.util
import pathlib
import re
import shlex

from absl import flags
from ml_collections import config_flags
import pytest

from experiments.hex_scaling import fit as scaling_fit
from experiments.hex_scaling import rate as scaling_rate
from experiments.resume import cost as resume_cost
from experiments.resume import kills as resume_kills
from experiments.resume import together as resume_together
from experiments.stochastic import report as stochastic_report
from experiments.unplugged import make_data as unplugged_data
from experiments.unplugged import report as unplugged_report
from mulearn import board_run, study
from mulearn import run as run_lib
from mulearn.config import Config
from mulearn.env.games import games_on_device
from mulearn.env.text import GAMES, load_interface
from mulearn.evaluate import __main__ as evaluate_main
from mulearn.evaluate.examiners import EXAMINERS
from mulearn.explore import __main__ as explore_main
from mulearn.learn import learners
from mulearn.lm import __main__ as lm_main
from mulearn.parallel import chips
from mulearn.parallel import compile as pod_main
from mulearn.play import __main__ as play_main
from mulearn.prior import __main__ as prior_main
from mulearn.prior.build import KINDS
from mulearn.prior.fusion import RULES
from mulearn.replay import buffer
from mulearn.replay.buffer import replay_of
from mulearn.search.plan import POLICIES

_ROOT = pathlib.Path(__file__).parent.parent
_ARGUMENTS = {"demo": [""], "text_worlds": ["twc", "cookingworld", "mapreader"]}
_BOARDS = {  # One run a command.
    "tic_tac_toe": ["muzero", "alphazero"],
    "connect_four": ["muzero", "alphazero"],
    "hex": [f"hex_{n}_{kind}" for n in (3, 4) for kind in ("alphazero", "muzero")],
    "gumbel_low_simulations": [
        f"{search}{by}"
        for search in ("gumbel_2", "gumbel_4", "gumbel_16", "puct_4")
        for by in ("", "_long")
    ],
    "hex_scaling": [
        f"hex_{n}_{w}{by}" for n in (3, 4) for w in (4, 8, 16, 32, 64)
        for by in ("", "_n16")
    ],
    "floor": [
        "cartpole_ppo", "cartpole_dqn", "cartpole_a2c", "cartpole_muzero",
        "cartpole_trpo", "breakout_ppo",
    ],
    "atari": ["pong", "breakout"],
    "stochastic": [
        f"{game}_{kind}"
        for game in ("2048", "dice")
        for kind in ("muzero", "stochastic")
    ],
    "sampled": ["pendulum", "pendulum_discretised"],
    "unplugged": ["bc_0", "bc_1", "bc_5", "crr", "reanalyse"],
}  # fmt: skip
_EXACT = {  # A `run.py`, tested beside this file.
    "gumbel_improvement", "regularized_policy", "sampled", "stochastic",
}  # fmt: skip
_NAMED_ALIKE = ("ppo", "dqn", "a2c", "trpo", "stochastic")  # Arms and kinds.
_SHIPPED = [
    (name, game) for name, games in _ARGUMENTS.items() for game in games
]
_PLAIN = ("random", "lm", "lm_sampled", "simulator_lm", "gold")
_FIGURES = {
    "random", "lm", "muzero", "muzero_lm", "imitation", "imitation_muzero_lm",
    "simulator_lm", "gold",
}  # fmt: skip


def _module(name: str, file: str = "config.py"):
  path = _ROOT / "experiments" / name / file
  spec = importlib.util.spec_from_file_location(f"shipped_{name}", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _load(name: str, argument: str = "") -> Config:
  get_config = _module(name).get_config
  return get_config(argument) if argument else get_config()


def _fields(config: Config, prefix: str = "") -> set[str]:
  """All dotted names that an object holds, known to its class or not."""
  names = set()
  for name, value in vars(config).items():
    names.add(prefix + name)
    if dataclasses.is_dataclass(value):
      names |= _fields(value, f"{prefix}{name}.")
  return names


def test_every_experiment_is_listed_here():
  found = {p.parent.name for p in (_ROOT / "experiments").glob("*/config.py")}
  assert found == {*_ARGUMENTS, *_BOARDS}
  found = {p.parent.name for p in (_ROOT / "experiments").glob("*/run.py")}
  assert found == _EXACT
  assert set(_module("text_worlds").GAMES) == set(_ARGUMENTS["text_worlds"])


@pytest.mark.parametrize("name, argument", _SHIPPED)
def test_a_shipped_config_and_its_arms_are_sound(name, argument):
  config = _load(name, argument)
  # A plain dataclass takes a misspelt field without a word.
  assert _fields(config) == _fields(Config())
  assert config.simulator_arm in config.arms
  assert set(config.baselines) <= set(_PLAIN)
  assert _FIGURES <= {*config.arms, *config.baselines}
  assert config.num_seeds >= 3
  assert config.env.name in GAMES
  learned = set()
  for arm in config.arms:
    one = study.configure_arm(config, arm, seed=1)
    assert one.prior.kind in KINDS and one.prior.fusion in RULES
    assert one.search.policy in POLICIES and one.player in ("search", "policy")
    replay_of(one)
    run_lib.learn_settings(one)
    assert one.replay.min_size >= one.env.num_lanes
    if one.num_steps:
      learned.add(one.num_steps)
      # The curve begins, goes on and ends with a point.
      assert one.num_steps % one.eval_every == 0
      assert one.num_steps % one.env.num_lanes == 0
      assert one.replay.min_size < one.num_steps
    else:
      assert one.imitation_steps
  assert len(learned) == 1  # All learning arms play the same number of steps.


@pytest.mark.parametrize(
    "name, arm", [(name, arm) for name, arms in _BOARDS.items() for arm in arms]
)
def test_a_shipped_run_on_a_board_is_sound(name, arm):
  config = _load(name, arm)
  assert _fields(config) == _fields(Config())
  assert config.env.name in games_on_device() and config.env.name in EXAMINERS
  algorithm = arm.split("_")[-1]
  is_muzero = algorithm == "muzero" or name in ("atari", "unplugged")
  kind = algorithm if algorithm in _NAMED_ALIKE else "simulator"
  kind = "world" if is_muzero else kind
  kind = "sampled" if name == "sampled" else kind
  assert config.model.kind == kind
  assert config.learn.unroll_steps == 0 or kind in learners.WORLDS
  learners.check(config)
  assert config.search.num_eval_simulations <= 100
  moves = board_run.moves_per_round(config)
  board_run.updates_per_round(config)
  replay_of(config)
  assert moves <= config.replay.min_size < config.num_steps
  # The curve begins, goes on and ends with a point, some in the last quarter.
  assert config.eval_every % moves == config.num_steps % config.eval_every == 0
  assert config.num_steps // config.eval_every >= 4
  assert config.num_seeds == 1 and not config.arms
  with pytest.raises(ValueError, match="No arm 'chess' here"):
    _load(name, "chess")


@pytest.mark.parametrize("name, argument", _SHIPPED)
def test_the_real_game_takes_its_settings(name, argument):
  from mulearn.env.jvm import Jvm
  from mulearn.env.text import TextWorldGame

  config = _load(name, argument)
  spec = run_lib.game_spec(config)
  with Jvm() as jvm:
    load_interface(spec, jvm)
    game = TextWorldGame(spec, jvm)
    for seed, fold in ((0, "train"), (10_000, "dev"), (20_000, "test")):
      observation = game.reset(seed, fold).observation
      assert len(observation.commands) <= config.model.num_slots
      assert len(observation.facts) <= config.model.max_facts


def test_the_study_is_what_it_says():
  for game in _ARGUMENTS["text_worlds"]:
    config = _load("text_worlds", game)
    assert config.env.name == game
    assert config.env.num_test_games >= 200
    assert config.num_seeds == 3
    assert set(_load("demo").arms) <= set(config.arms)
  # The demo's results are those of the study's first game.
  assert _load("text_worlds", "twc") == _load("demo")
  with pytest.raises(ValueError, match="No game 'chess' here"):
    _load("text_worlds", "chess")


def _commands(path: pathlib.Path) -> list[list[str]]:
  """The commands in the fenced code of a Markdown file, as words."""
  text = path.read_text()
  blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
  shell = "".join(body for language, body in blocks if language == "bash")
  lines = shell.replace("\\\n", " ").splitlines()
  words = [shlex.split(line, comments=True) for line in lines]
  return [w for w in words if w and w[0] in ("make", "python")]


_READMES = [_ROOT / "README.md", *sorted(_ROOT.glob("experiments/*/README.md"))]
_COMMANDS = [
    pytest.param(words, id=" ".join(words)[:60])
    for path in _READMES
    for words in _commands(path)
]


def test_the_readme_has_its_commands_and_each_experiment_a_readme():
  words = _commands(_ROOT / "README.md")
  assert words[:2] == [["make", "demo"], ["make", "test"]]
  modules = {w[2] for w in words if w[:2] == ["python", "-m"]}
  assert modules >= {
      "mulearn.main", "mulearn.prior", "mulearn.lm", "mulearn.evaluate",
      "mulearn.explore", "mulearn.play", "mulearn.parallel.compile",
  }  # fmt: skip
  shipped = {*_ARGUMENTS, *_BOARDS, *_EXACT}
  assert len(_READMES) == 3 + len(shipped)  # And pods, and resume.


@pytest.mark.parametrize("words", _COMMANDS)
def test_a_command_of_a_readme_can_be_given(words, monkeypatch):
  if words[0] == "make":
    targets = re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(), re.M)
    assert set(words[1:]) <= set(targets)
    return
  if words[1].endswith("/run.py"):
    _, name, file = words[1].split("/")
    assert _module(name, file).parser().parse_args(words[2:]).out
    return
  assert words[1] == "-m"
  if words[2] == "mulearn.main":
    _check_main(words[3:], monkeypatch)
    return
  if words[2] == "mulearn.parallel.compile":
    _check_compile(words[3:], monkeypatch)
    return
  parsers = {
      "mulearn.evaluate": evaluate_main._parser,
      "mulearn.explore": explore_main._parser,
      "mulearn.play": play_main._parser,
      "mulearn.prior": prior_main._parser,
      "mulearn.lm": lambda: lm_main._parser(words[3:]),
      "experiments.hex_scaling.fit": scaling_fit.parser,
      "experiments.hex_scaling.rate": scaling_rate.parser,
      "experiments.resume.cost": resume_cost.parser,
      "experiments.resume.kills": resume_kills.parser,
      "experiments.resume.together": resume_together.parser,
      "experiments.stochastic.report": stochastic_report.parser,
      "experiments.unplugged.make_data": unplugged_data.parser,
      "experiments.unplugged.report": unplugged_report.parser,
  }
  options = parsers[words[2]]().parse_args(words[3:])
  assert isinstance(options, argparse.Namespace) and callable(options.run)


def _check_main(words: list[str], monkeypatch) -> None:
  """Parses the words as main would; the config they name must load."""
  monkeypatch.chdir(_ROOT)
  monkeypatch.setattr(
      "sys.argv", ["main", *words]
  )  # Where overrides are found.
  values = flags.FlagValues()
  holder = config_flags.DEFINE_config_file("config", None, flag_values=values)
  flags.DEFINE_string("workdir", None, "", flag_values=values)
  assert values(["main", *words]) == ["main"]
  assert isinstance(holder.value, Config) and values.workdir
  for arm in holder.value.arms:
    study.configure_arm(holder.value, arm, 0)


def _check_compile(words: list[str], monkeypatch) -> None:
  """Parses the words as the module would; the chips must share the replay."""
  monkeypatch.chdir(_ROOT)
  monkeypatch.setattr("sys.argv", ["compile", *words])
  config, values = pod_main.parse(["compile", *words])
  num_shards = len(chips.describe(values.topology).devices)
  assert buffer.split(config.replay, config.env.num_lanes, num_shards)


def test_the_tree_of_the_readme_is_the_tree():
  """Every file of the package is named, and no other."""
  text = (_ROOT / "README.md").read_text()
  named = set(re.findall(r"^ +([a-z0-9_/]+\.py) ", text, re.M))
  package = _ROOT / "mulearn"
  files = {
      str(p.relative_to(package))
      for p in package.rglob("*.py")
      if p.stat().st_size and p.name != "__init__.py"
  }
  assert named == files


def test_results_are_not_claimed_without_a_file():
  """A README of an experiment shows results, or says that there are none."""
  for path in _READMES[1:]:
    results = list((path.parent / "results").rglob("*.json"))
    assert bool(results) != ("Not run yet" in path.read_text()), path
