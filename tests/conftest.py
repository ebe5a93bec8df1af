"""What holds for every test: the CPU, one device, and compiled programs kept.

A test that wants several devices starts a subprocess with XLA_FLAGS of its
own, because the number of devices is fixed when JAX first looks for them.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

_CACHE = pathlib.Path(__file__).parent.parent / ".cache" / "jax"

# Before jax is imported; subprocesses inherit it.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Pictures are drawn into files, on machines without a screen.
os.environ["MPLBACKEND"] = "agg"
# Else each of many processes reads all its modules from their sources.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import jax  # noqa: E402
from jax._src import compiler  # noqa: E402
import jax.numpy as jnp  # noqa: E402

# Begun first: one that is begun last leaves the other cores idle at the end.
_LONGEST = (
    "main_test.py", "train_test.py", "colab_test.py", "board_train_test.py",
    "resume_test.py", "docs_test.py", "baselines_test.py", "crew_test.py",
    "shards_test.py", "finetune_test.py", "board_step_test.py",
    "board_round_test.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
  """Long files first; the tests of a file stay together, in their order."""

  def rank(item):
    name = item.path.name
    return _LONGEST.index(name) if name in _LONGEST else len(_LONGEST)

  items.sort(key=rank)


# Tiny networks that run for a moment, and are compiled for most of the time.
_COMPILED_IN_HASTE = (
    "act/", "atari_test.py", "conformance/", "env/", "evaluate/", "explore/",
    "learn/", "model/", "play/", "replay/", "search/", "train_test.py",
    "board_run_test.py", "board_train_test.py", "hex_scaling_test.py",
    "resume_test.py", "colab_test.py", "docs_test.py", "lm/benchmark_test.py",
    "lm/encode_test.py", "lm/export_test.py", "lm/finetune_test.py",
    "lm/generate_test.py", "lm/lora_test.py", "lm/main_test.py",
    "lm/perplexity_test.py", "lm/score_test.py", "lm/size_test.py",
)  # fmt: skip
# The older of XLA's two ways to write code for a CPU takes half the time. What
# XLA does not know is an error, so that other releases are not told of it.
_HASTE = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
if not importlib.metadata.version("jaxlib").startswith("0.10."):
  _HASTE = {}
# Whose processes coverage follows, since nothing else runs what is in them. In
# others, time would go into tracing how JAX is imported and compiles.
_FOLLOWED = ("env/", "parallel/hosts_test.py")


def _path(request) -> str:
  """Of a test's file, from here."""
  return request.path.relative_to(pathlib.Path(__file__).parent).as_posix()


@pytest.fixture(scope="module", autouse=True)
def _compile_in_haste(request):
  """Without optimisation; all else is tested as users compile it."""
  hastily = _path(request).startswith(_COMPILED_IN_HASTE)
  jax.config.update("jax_disable_most_optimizations", hastily)
  # What a test starts inherits it.
  os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(hastily))
  jax.devices()  # Here XLA reads its flags, and never again.
  with pytest.MonkeyPatch.context() as patch:
    if hastily:
      patch.setenv("XLA_FLAGS", _flags())
      patch.setattr(compiler, "get_compile_options", _get_hasty_options)
    yield


def _flags(*more: str) -> str:
  """XLA_FLAGS of a process that compiles in haste."""
  hasty = [f"--{name}={value}".lower() for name, value in _HASTE.items()]
  return " ".join([os.environ.get("XLA_FLAGS", ""), *hasty, *more])


def _get_hasty_options(*args, get=compiler.get_compile_options, **kwargs):
  options = get(*args, **kwargs)
  options.env_option_overrides += [*_HASTE.items()]
  return options


@pytest.fixture(scope="module", autouse=True)
def _follow_few_processes(request):
  """What a test starts finds the variables by which coverage would begin."""
  with pytest.MonkeyPatch.context() as patch:
    if not _path(request).startswith(_FOLLOWED):
      patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
      patch.delenv("COVERAGE_PROCESS_START", raising=False)
    yield


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
  """After each file. A process that kept those of all would be aborted.

  Each takes some of the 65,530 memory maps that Linux grants a process; what is
  needed again is read from the cache on disk.
  """
  yield
  jax.clear_caches()


@pytest.fixture(scope="session")
def run_on_devices():
  """(count, *words) -> what a program prints that sees so many devices."""

  def run(count: int, *words: str) -> str:
    env = os.environ | {
        "XLA_FLAGS": _flags(f"--xla_force_host_platform_device_count={count}"),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    done = subprocess.run(
        [sys.executable, *words], env=env, capture_output=True, text=True,
        timeout=900, cwd=pathlib.Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

  return run


@pytest.fixture(scope="session")
def embed():
  """A stand-in for the language model: texts -> `[N, 32]`, by their hash."""

  def vector(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=32).astype(np.float32)

  return lambda texts: np.stack([vector(text) for text in texts])


@pytest.fixture(scope="session")
def tiny_config():
  """The smallest sizes that leave nothing out; do not change it."""
  from mulearn import config as c

  return c.Config(
      env=c.EnvConfig(num_lanes=2, num_eval_lanes=3, num_processes=1),
      model=c.ModelConfig(
          width=16, max_facts=8, num_slots=8, num_imagined=4, max_phrases=64,
          num_bins=11,
      ),
      search=c.SearchConfig(
          num_simulations=6, num_eval_simulations=6, max_considered=4,
          max_depth=3,
      ),
      replay=c.ReplayConfig(capacity=64, batch_size=4, min_size=10),
      learn=c.LearnConfig(unroll_steps=2, td_steps=2, warmup_steps=2),
  )  # fmt: skip


@pytest.fixture(scope="session")
def rooms():
  """Text observations of three small rooms, with 2, 3 and 4 commands."""
  from mulearn.env.base import TextObservation

  def room(name: str, *commands: str) -> TextObservation:
    facts = ("task: tidy up", f"room: {name}", f"here: {name} shelf")
    return TextObservation(
        "tidy up", facts, f"You are in the {name}.", tuple(sorted(commands))
    )

  return [
      room("attic", "go down", "take hat"),
      room("hall", "go up", "go west", "take shoe"),
      room("cellar", "go east", "open box", "put hat in box", "take lamp"),
  ]


@pytest.fixture(scope="session")
def known_rooms(rooms):
  """The rooms again, at a sight where the first command was given before."""
  return [
      dataclasses.replace(
          room,
          history=(room.commands[0], "look around", room.commands[1]),
          tried=room.commands[:1],
      )
      for room in rooms
  ]


@pytest.fixture
def phrases(embed, tiny_config, rooms):
  """A phrase table that was fitted on the rooms and learnt none of them."""
  from mulearn.model.phrases import PhraseTable

  table = PhraseTable(embed, tiny_config.model)
  table.fit(rooms)
  return table


@pytest.fixture(scope="session")
def make_networks(tiny_config):
  """(seed, trust) -> networks with opinions: no parameter is left at zero."""
  from mulearn.act import agent
  from mulearn.prior.fusion import trust_to_gate

  @functools.cache
  def draw(seed: int):
    key = jax.random.key(seed)
    return _with_opinions(agent.make_networks(tiny_config, key), seed)

  def make(seed: int = 0, trust: float = 0.5):
    networks = jax.tree.map(jnp.array, draw(seed))
    networks.gate[...] = np.float32(trust_to_gate(trust))
    return networks

  return make


def _with_opinions(networks, seed: int):
  """The networks with noise on every parameter, as arrays of NumPy."""
  leaves, structure = jax.tree.flatten(networks)
  keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
  leaves = [
      np.asarray(x + 0.2 * jax.random.normal(key, x.shape))
      for x, key in zip(leaves, keys)
  ]
  return jax.tree.unflatten(structure, leaves)


@pytest.fixture(scope="session")
def board_config():
  """kind of model -> the smallest run of tic-tac-toe; do not change it."""
  from mulearn import config as c

  def make(kind: str) -> c.Config:
    return c.Config(
        num_steps=64,
        eval_every=32,
        checkpoint_every_seconds=0.0,
        env=c.EnvConfig(name="tic_tac_toe", step_limit=9, num_lanes=4),
        model=c.ModelConfig(kind=kind, width=16, num_bins=11, max_return=1.0),
        search=c.SearchConfig(
            num_simulations=4, num_eval_simulations=4, max_considered=4,
            max_depth=4,
        ),
        self_play=c.SelfPlayConfig(num_plies=4, opening_plies=3),
        replay=c.ReplayConfig(capacity=64, batch_size=4, min_size=32),
        learn=c.LearnConfig(
            unroll_steps=0 if kind == "simulator" else 2, td_steps=2,
            warmup_steps=2, discount=1.0, updates_per_env_step=0.125,
            explored_below=0.5,
        ),
    )  # fmt: skip

  return make


@pytest.fixture(scope="session")
def make_board_networks(board_config):
  """(kind, seed) -> networks with opinions: no parameter is left at zero."""
  from mulearn.model import board_kinds

  @functools.cache
  def draw(kind: str, seed: int):
    key = jax.random.key(seed)
    networks = board_kinds.make_networks(board_config(kind), key)
    return _with_opinions(networks, seed)

  def make(kind: str, seed: int = 0):
    return jax.tree.map(jnp.array, draw(kind, seed))

  return make


@pytest.fixture(scope="session")
def board_workdir(board_config, make_board_networks, tmp_path_factory):
  """kind of model -> the workdir of a run of tic-tac-toe, with opinions."""
  from mulearn import board_run
  from mulearn.checkpoint import Checkpointer

  @functools.cache
  def make(kind: str) -> pathlib.Path:
    config = board_config(kind)
    workdir = tmp_path_factory.mktemp(kind)
    values = json.dumps(dataclasses.asdict(config))
    (workdir / "config.json").write_text(values)
    run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
    networks = make_board_networks(kind)
    run.state = dataclasses.replace(run.state, params=networks)
    run.env_steps = 32
    run.save(Checkpointer(workdir / "checkpoints"))
    return workdir

  return make


@pytest.fixture(scope="session")
def board_states():
  """(moves, moves, ...) -> a batch of tic-tac-toe after those moves."""
  from mulearn.env.games import make_environment

  game = make_environment("tic_tac_toe")
  start, step = game.init(jax.random.key(0)), jax.jit(game.step)

  def make(*lines: tuple[int, ...]):
    states = []
    for moves in lines:
      state = start
      for move in moves:
        state = step(state, move)
      states.append(state)
    return jax.tree.map(lambda *x: jnp.stack(x), *states)

  return make


@pytest.fixture(scope="session")
def language_shares():
  """What the language model of `text_agent` gives a room's commands."""
  return (0.5, 0.25, 0.125, 0.125)


@pytest.fixture
def text_agent(tiny_config, make_networks, phrases, rooms, language_shares):
  """An agent with opinions, whose prior likes the first command best."""
  from mulearn.act.agent import Agent
  from mulearn.prior.base import UniformPrior

  class Prior(UniformPrior):

    def __call__(self, observations):
      rows = [
          np.float32(language_shares[: len(o.commands)]) for o in observations
      ]
      return [np.log(row / row.sum()) for row in rows]

  phrases.observe(rooms, learn=True)
  return Agent(tiny_config, make_networks(trust=0.25), phrases, Prior())


@pytest.fixture
def make_text_pool(rooms):
  """() -> a `TextPool` of one game that goes through the rooms, to success."""
  from mulearn.env.base import TextStep

  class Pool:

    def __enter__(self):
      return self

    def __exit__(self, *unused):
      pass

    def reset(self, starts):
      self.start, self.given = starts, []
      return {0: self._answer()}

    def restore(self, lane, seed, fold, commands):
      self.start, self.given = {lane: (seed, fold)}, list(commands)
      return self._answer()

    def history(self, lane):
      return (*self.start[lane], tuple(self.given))

    def step(self, commands):
      assert commands[0] in rooms[len(self.given)].commands
      self.given.append(commands[0])
      return {0: self._answer()}

    def _answer(self):
      at, end = len(self.given), len(rooms) - 1
      done = at == end
      return TextStep(rooms[at], float(done), done, False, at / end, done)

  return Pool


@pytest.fixture
def text_workdir(text_agent, embed, tmp_path, monkeypatch):
  """A finished study of one arm and one seed, without its language model."""
  from mulearn.checkpoint import Checkpointer
  from mulearn.explore import text_episode
  from mulearn.types import TrainState

  config = dataclasses.replace(
      text_agent.config, arms={"plain": {"prior.kind": "uniform"}}
  )
  results = {"config": dataclasses.asdict(config)}
  (tmp_path / "results.json").write_text(json.dumps(results))
  workdir = tmp_path / "plain" / "seed_0"
  table, texts = text_agent.phrases.save()
  state = TrainState(text_agent.networks, (), np.zeros((), np.int32))
  memory = {"moves": np.zeros(3)}
  Checkpointer(workdir / "checkpoints").save(
      5, (state, memory, table), {"phrases": texts}
  )

  class Language:

    def __init__(self, unused_config):
      self.raw_scores = lambda: None
      self.embedding = lambda unused_config: embed

  monkeypatch.setattr(text_episode.build, "Language", Language)
  return workdir
