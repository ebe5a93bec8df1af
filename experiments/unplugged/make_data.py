"""Makes the games that this experiment learns from, and never plays again.

A player runs for the plain ball and never for the golden one. In each game he
moves at random with a chance of his own, drawn evenly from 0 to 1: some games are
played as well as he can, and some as badly as can be.
"""

import argparse
from collections.abc import Iterable, Iterator
import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.env import catch
from mulearn.replay import demonstrations, recorded
from mulearn.replay.recorded import Played

OUT = pathlib.Path("runs/unplugged/data")
NUM_GAMES, SEED = 10_000, 0


def behaviour() -> np.ndarray:
  """The player's actions where nothing is random, by position, int32 `[N]`."""
  state = catch.Catch().positions()
  return np.asarray(jnp.sign(state.plain - state.paddle) + 1)


def mean_policy() -> np.ndarray:
  """His policy, if he drew his carelessness anew with every move, `[N, A]`."""
  return (np.eye(3)[behaviour()] + np.full(3, 1 / 3)) / 2


def play(num_games: int, seed: int) -> Iterator[Played]:
  """Yields games; the same seed gives the same games."""
  game = catch.Catch()
  length = catch.ROWS - 1

  def one(rng_key):
    start_key, epsilon_key, move_key = jax.random.split(rng_key, 3)
    epsilon = jax.random.uniform(epsilon_key)

    def move(state, key):
      often_key, which_key = jax.random.split(key)
      strays = jax.random.bernoulli(often_key, epsilon)
      chased = jnp.sign(state.plain - state.paddle) + 1
      anything = jax.random.randint(which_key, (), 0, 3)
      action = jnp.where(strays, anything, chased)
      after = game.step(state, action)
      over = game.terminated(after)
      return after, (game.observation(state), action, after.reward, 1.0 - over)

    last, steps = jax.lax.scan(
        move, game.init(start_key), jax.random.split(move_key, length)
    )
    return game.observation(last), steps

  keys = jax.random.split(jax.random.key(seed), num_games)
  last, steps = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(keys))
  for i in range(num_games):
    seen, action, reward, discount = (x[i] for x in steps)
    seen = np.concatenate([seen, last[i : i + 1]])
    yield Played(seen, action.astype(np.int32), reward, discount)


def digest(games: Iterable[Played]) -> str:
  """SHA-256 of the arrays of games; their files are packed otherwise each time."""
  found = hashlib.sha256()
  for game in games:
    for array in vars(game).values():
      found.update(np.ascontiguousarray(array).tobytes())
  return found.hexdigest()


def provenance(games: list[Played], seed: int) -> dict:
  """What decides the games, for `demonstrations.write`."""
  return {
      "game": "catch",
      "rows": catch.ROWS,
      "columns": catch.COLUMNS,
      "worth": [catch.GOLD, catch.PLAIN],
      "wind": catch.WIND,
      "player": "runs for the plain ball; random with a chance drawn per game",
      "generator": "experiments/unplugged/make_data.py",
      "games": len(games),
      "seed": seed,
      "sha256": digest(games),
  }


def parser() -> argparse.ArgumentParser:
  """The command line."""
  options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  options.add_argument("--games", type=int, default=NUM_GAMES)
  options.add_argument("--seed", type=int, default=SEED)
  options.add_argument("--out", type=pathlib.Path, default=OUT)
  options.set_defaults(run=run)
  return options


def run(chosen: argparse.Namespace) -> None:
  """Writes the games, or finds them written; says what they are."""
  games = list(play(chosen.games, chosen.seed))
  demonstrations.write(
      chosen.out,
      games,
      provenance=provenance(games, chosen.seed),
      layout=recorded.layout(games[0].observation[0]),
  )
  earned = np.mean([game.reward.sum() for game in games])
  print(f"{len(games)} games in {chosen.out} earned {earned:.3f} on average.")
  print((chosen.out / "provenance.json").read_text())


if __name__ == "__main__":
  arguments = parser().parse_args()
  arguments.run(arguments)
