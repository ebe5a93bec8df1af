"""How wrong a learned model becomes as it imagines, beside the solved game.

From positions of a solved game the learned dynamics imagine k moves while the
rules play the same moves; what the model says of the latent is then held
against what is true of the position. The line is the agent's own, or perfect,
or random: a model that is good on its own lines may be bad elsewhere (He et al.
2024, "What model does MuZero learn?", https://arxiv.org/abs/2306.00840).
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mulearn.act.board_agent import BoardAgent, BoardSettings
from mulearn.evaluate.position_index import PositionIndex
from mulearn.evaluate.solver import Table
from mulearn.model.base import mask_logits
from mulearn.model.board_networks import Imaginer
from mulearn.types import Array, PyTree

# What chooses the moves of a line.
LINES = ("own", "perfect", "random")

# States `[N]` -> value `[N]` and optimal moves `[N, A]` where games go on.
Truth = Callable[[PyTree], tuple[np.ndarray, np.ndarray]]

Point = dict[str, float | int | None]


def model_error(
    agent: BoardAgent,
    table: Table,
    rng_key: Array,
    *,
    max_moves: int = 10,
    num_lines: int = 16_384,
    truth: Truth | None = None,
) -> dict[str, list[Point]]:
  """Follows lines of imagined moves from positions of a solved game.

  A line begins at a position with a number of moves played that is drawn
  uniformly, so that long lines are not rare. It goes on with moves drawn from
  the bare policy head at the true position ("own"), from the optimal moves
  ("perfect") or from the legal ones ("random"), until the game ends.

  Args:
    agent: with a learned model.
    table: positions of its game that lines begin at; all of them, without
      `truth`.
    rng_key: consumed.
    max_moves: the largest k.
    num_lines: of each kind.
    truth: of any position; None looks it up in the table.

  Returns:
    For each kind of line one point for each k, as far as any line goes on:
    `k` and the number of `lines` that go on after k moves; over them
    `value_error` (mean absolute), `value_sign` (share of decided positions
    whose value has the right sign), `policy_optimal` (share whose likeliest
    legal move keeps the value of the game), `policy_kl` (nats, from the policy
    that the same network gives at the true position), `legal_error` (share of
    actions that the head takes for what they are not) and `legal_log_loss`
    (nats an action), both None at k = 0, where the head is never asked; the
    first three also with the suffix `_seen`, for the same network at the true
    positions. Over the `moves` that led to k, from positions that went on:
    `end_error` (share of moves after which the head errs about the end),
    `end_log_loss` and `reward_error` (mean absolute).

  Raises:
    ValueError: the agent has no learned model, or a number is less than 1.
  """
  if agent.config.model.kind == "simulator":
    raise ValueError(
        "The agent's model is the simulator: it moves by the rules and makes no"
        " error. Model error is a question to an agent with a learned model"
        " (config.model.kind = 'world', such as an experiment's muzero arm)."
    )
  if max_moves < 1 or num_lines < 1:
    raise ValueError(
        f"max_moves is {max_moves} and num_lines {num_lines}; both have to be"
        " at least 1."
    )
  truth = truth or PositionIndex(table, agent.environment).truth
  return {
      line: _follow(
          agent, table, truth, line, jax.random.fold_in(rng_key, i), max_moves,
          num_lines,
      )
      for i, line in enumerate(LINES)
  }  # fmt: skip


def _follow(
    agent: BoardAgent,
    table: Table,
    truth: Truth,
    line: str,
    rng_key: Array,
    max_moves: int,
    num_lines: int,
) -> list[Point]:
  """The points of one kind of line."""
  settings = BoardSettings.from_config(agent.config)
  start_key, line_key = jax.random.split(rng_key)
  start = _starts(table, start_key, num_lines)
  states = table.states(agent.environment)
  states = jax.tree.map(lambda x: x[start], states)
  latent = None
  alive = np.ones(num_lines, bool)
  arrived: Point = {}
  points: list[Point] = []
  for k in range(max_moves + 1):
    exact, optimal = truth(states)
    latent, said = _judge(
        agent.networks, latent, states, exact, optimal, settings=settings
    )
    if k == 0:  # The root is told what is legal.
      said["legal_error"] = said["legal_log_loss"] = None
    points.append({"k": k, "lines": int(alive.sum())})
    points[-1] |= {name: _mean(x, alive) for name, x in said.items()} | arrived
    if k == max_moves:
      break
    action = _LINE_MOVES[line](
        jax.random.fold_in(line_key, k),
        agent.networks, states, optimal,
        settings=settings,
    )  # fmt: skip
    latent, states, over, found = _imagine(
        agent.networks, latent, states, action, settings=settings
    )
    arrived = {"moves": int(alive.sum())}
    arrived |= {name: _mean(x, alive) for name, x in found.items()}
    alive &= ~np.asarray(over)
    if not alive.any():
      break
  return points


def _starts(table: Table, rng_key: Array, num: int) -> Array:
  """Rows `[num]`: a number of moves uniformly, then a position of so many."""
  played = (table.moves >= 0).sum(axis=1)
  logits = -np.log(np.bincount(played)[played])
  return jax.random.categorical(rng_key, jnp.asarray(logits), shape=(num,))


def _mean(x: Array | None, alive: np.ndarray) -> float | None:
  """The mean where `x` `[N]` is known (not NaN) and the line goes on."""
  if x is None:
    return None
  x = np.asarray(x, np.float64)[alive]
  x = x[~np.isnan(x)]
  return float(x.mean()) if x.size else None


def _look(
    networks: Imaginer, states: PyTree, settings: BoardSettings
) -> tuple[Array, Array]:
  """Latents `[N, D]` of true positions, and what is invalid there `[N, A]`."""
  planes = jax.vmap(settings.environment.observation)(states)
  invalid = jax.vmap(settings.environment.invalid)(states)
  return networks.represent(planes), invalid


@functools.partial(jax.jit, static_argnames="settings")
def _judge(
    networks, latent, states, exact, optimal, *, settings
) -> tuple[Array, dict[str, Array]]:
  """Compares what is said of the latents with what is true, each `[N]`."""
  seen, invalid = _look(networks, states, settings)
  latent = seen if latent is None else latent

  def judge(latent: Array, suffix: str) -> tuple[Array, dict[str, Array]]:
    logits, value = networks.predict(latent)
    log_policy = jax.nn.log_softmax(mask_logits(logits, invalid))
    value = settings.support.to_scalar(value)
    right = (jnp.sign(value) == exact).astype(float)
    best = jnp.where(invalid, -jnp.inf, logits).argmax(axis=-1)
    return log_policy, {
        f"value_error{suffix}": jnp.abs(value - exact),
        f"value_sign{suffix}": jnp.where(exact == 0, jnp.nan, right),
        f"policy_optimal{suffix}": optimal[jnp.arange(len(best)), best],
    }

  imagined_policy, said = judge(latent, "")
  seen_policy, said_of_seen = judge(seen, "_seen")
  ratio = jnp.where(invalid, 0.0, seen_policy - imagined_policy)
  legal = networks.legal_logits(latent)
  log_loss = optax.sigmoid_binary_cross_entropy(legal, 1.0 - invalid)
  said |= said_of_seen | {
      "policy_kl": jnp.sum(jnp.exp(seen_policy) * ratio, axis=-1),
      "legal_error": ((legal > 0.0) == invalid).mean(axis=-1),
      "legal_log_loss": log_loss.mean(axis=-1),
  }
  return latent, said


@functools.partial(jax.jit, static_argnames="settings")
def _imagine(
    networks, latent, states, action, *, settings
) -> tuple[Array, PyTree, Array, dict[str, Array]]:
  """Makes one move in the model and by the rules."""
  latent, reward, goes_on = networks.dynamics(latent, action)
  states = jax.vmap(settings.environment.step)(states, action)
  over = jax.vmap(settings.environment.terminated)(states)
  true_reward = jax.vmap(settings.environment.reward)(states)
  found = {
      "end_error": (goes_on > 0.0) == over,
      "end_log_loss": optax.sigmoid_binary_cross_entropy(goes_on, 1.0 - over),
      "reward_error": jnp.abs(settings.support.to_scalar(reward) - true_reward),
  }
  return latent, states, over, found


@functools.partial(jax.jit, static_argnames="settings")
def _own_move(rng_key, networks, states, optimal, *, settings) -> Array:
  latent, invalid = _look(networks, states, settings)
  logits = networks.predict(latent)[0]
  return jax.random.categorical(rng_key, jnp.where(invalid, -jnp.inf, logits))


@functools.partial(jax.jit, static_argnames="settings")
def _perfect_move(rng_key, networks, states, optimal, *, settings) -> Array:
  return jax.random.categorical(rng_key, jnp.where(optimal, 0.0, -jnp.inf))


@functools.partial(jax.jit, static_argnames="settings")
def _random_move(rng_key, networks, states, optimal, *, settings) -> Array:
  invalid = jax.vmap(settings.environment.invalid)(states)
  return jax.random.categorical(rng_key, jnp.where(invalid, -jnp.inf, 0.0))


_LINE_MOVES: dict[str, Callable[..., Any]] = dict(
    zip(LINES, (_own_move, _perfect_move, _random_move), strict=True)
)
