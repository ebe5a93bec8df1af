"""2048 by random play and by playouts of the rules; then the table and a picture.

Between these two a learned world may be placed: what needs no learning at all,
and what the rules are worth to a player who only tries them.
"""

import argparse
import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mulearn import board_train
from mulearn.act.board_agent import BoardAgent
from mulearn.config import Config
from mulearn.env.game_2048 import Game2048, State2048
from mulearn.env.games import make_environment
from mulearn.evaluate import results, returns, returns_picture
from mulearn.types import Array, Plan

NUM_PLAYOUTS, NUM_MOVES = 8, 20  # Of each action; of each playout.


def _random(rng_key: Array, invalid: Array) -> Array:
  return jax.random.categorical(rng_key, jnp.where(invalid, -jnp.inf, 0.0))


def _playout(game: Game2048, rng_key: Array, state: State2048, action: Array):
  """What a random continuation of an action earns, `[]`."""
  chance_key, move_key = jax.random.split(rng_key)
  # The state knows what chance will do; a player must not.
  state = state._replace(chance=jax.random.key_data(chance_key))

  def move(carry, rng_key):
    state, total = carry
    over = game.terminated(state)
    after = game.step(state, _random(rng_key, game.invalid(state)))
    earned = jnp.where(over, 0.0, game.reward(after))
    state = jax.tree.map(lambda a, b: jnp.where(over, a, b), state, after)
    return (state, total + earned), None

  state = game.step(state, action)
  carry = state, game.reward(state)
  keys = jax.random.split(move_key, NUM_MOVES - 1)
  (_, total), _ = jax.lax.scan(move, carry, keys)
  return total


@dataclasses.dataclass
class Baseline:
  """A player as `returns.examine` takes it: random, or by playouts."""

  config: Config
  num_playouts: int
  environment: Game2048 = dataclasses.field(
      default_factory=lambda: make_environment("2048")
  )

  def __post_init__(self):
    self._choose = jax.jit(jax.vmap(self._choose_one))

  def plan(self, rng_key: Array, state: State2048) -> Plan:
    """See `returns.Player`; only the action is said."""
    keys = jax.random.split(rng_key, state.chance.shape[0])
    action = self._choose(keys, state)
    return Plan(**{f: None for f in Plan._fields} | {"action": action})

  def _choose_one(self, rng_key: Array, state: State2048) -> Array:
    game = self.environment
    invalid = game.invalid(state)
    if not self.num_playouts:
      return _random(rng_key, invalid)
    keys = jax.random.split(rng_key, self.num_playouts)
    earned = jax.vmap(
        lambda action: jax.vmap(lambda key: _playout(game, key, state, action))(
            keys
        ).mean()
    )(jnp.arange(game.num_actions))
    return jnp.argmax(jnp.where(invalid, -jnp.inf, earned))


def measure() -> dict[str, dict[str, float]]:
  """What the two baselines earn: 64 games at random, 16 by playouts."""
  config = Config()
  config.env.step_limit = 2000
  how = {"random play": (0, 64), "playouts of the rules": (NUM_PLAYOUTS, 16)}
  return {
      name: returns.examine(
          Baseline(config, num_playouts), jax.random.key(0), num_games
      )
      for name, (num_playouts, num_games) in how.items()
  }


def told(agent: BoardAgent, rng_key: Array) -> tuple[float, float]:
  """What codes tell of chance where board and action are known.

  Boards are those of random play; of each, one action has 60 answers drawn.

  Args:
    agent: of a `2048_stochastic` run.
    rng_key: consumed.

  Returns:
    Entropies of the code and of the answer itself, in nats, means over boards.
  """
  game = agent.environment

  def answers(rng_key: Array) -> tuple[Array, Array, Array]:
    keys = jax.random.split(rng_key, 5)
    start_key, length_key, play_key, action_key, chance_key = keys
    length = jax.random.randint(length_key, (), 5, 90)

    def move(i, state):
      key = jax.random.fold_in(play_key, i)
      after = game.step(state, _random(key, game.invalid(state)))
      stays = game.terminated(after) | (i >= length)
      return jax.tree.map(lambda a, b: jnp.where(stays, a, b), state, after)

    state = jax.lax.fori_loop(0, 90, move, game.init(start_key))
    # All four alike, as in learning: the encoder is centred over the batch.
    action = _random(action_key, game.invalid(state))
    keys = jax.random.key_data(jax.random.split(chance_key, 60))
    came = jax.vmap(
        lambda key: game.observation(
            game.step(state._replace(chance=key), action)
        )
    )(keys)
    return game.observation(state), action, came

  seen, action, came = jax.jit(jax.vmap(answers))(jax.random.split(rng_key, 96))
  networks = agent.networks
  after = networks.act(networks.represent(seen), action)
  rows = came.reshape(-1, *came.shape[2:])
  names = networks.encode(
      jnp.repeat(after, came.shape[1], axis=0), rows, jnp.ones(len(rows))
  )
  codes = np.asarray(names.argmax(-1)).reshape(*came.shape[:2], 1)
  flat = np.asarray(came.reshape(*came.shape[:2], -1))
  return (
      float(np.mean([_entropy(row) for row in codes])),
      float(np.mean([_entropy(row) for row in flat])),
  )


def _entropy(rows: np.ndarray) -> float:
  """Of what was drawn `[N, D]`, in nats."""
  _, counts = np.unique(rows, axis=0, return_counts=True)
  return float(stats.entropy(counts))


def _half(values: list[float]) -> float:
  """Half of Student's 95 % interval of a mean."""
  return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def parser() -> argparse.ArgumentParser:
  """The arguments of the command."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--results", type=pathlib.Path, required=True)
  options.add_argument("--agents", type=pathlib.Path, nargs="*", default=[])
  options.set_defaults(run=run)
  return options


def run(options: argparse.Namespace) -> None:
  """Plays the baselines if they have not been, prints a table, draws."""
  folder = options.results
  path = folder / "baselines_2048.json"
  if not path.exists():
    path.write_text(json.dumps(measure(), indent=1) + "\n")
  baselines = json.loads(path.read_text())
  arms = {
      arm: curves
      for arm, curves in results.read_runs(folder).items()
      if arm.startswith("2048")
  }
  for arm, curves in arms.items():
    for words, points in (
        ("at the end", [[curve[-1]] for curve in curves]),
        ("over the curve", [curve[1:] for curve in curves]),
    ):
      means = [sum(p["mean_return"] for p in c) / len(c) for c in points]
      mean = sum(means) / len(means)
      seeds = ", ".join(f"{value:,.0f}" for value in means)
      print(f"{arm} {words}: {mean:,.0f} +- {_half(means):,.0f} ({seeds})")
  for name, found in baselines.items():
    print(f"{name}: {found['mean_return']:,.0f}, {found['return_error']:,.0f}")
  for workdir in options.agents:
    agent = board_train.restore_agent(workdir)
    code, answer = told(agent, jax.random.key(5))
    print(f"{workdir}: codes tell {code:.3f} of {answer:.3f} nats")
  random = baselines["random play"]["mean_return"]
  returns_picture.draw_returns(
      folder / "2048.png", {"2048": arms}, {"2048": random}
  )


def main(arguments: list[str] | None = None) -> None:
  """Does what `parser` says."""
  options = parser().parse_args(arguments)
  options.run(options)


if __name__ == "__main__":
  main()
