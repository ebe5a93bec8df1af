"""A line of moves on a board as it is, and as a learned world imagines it.

The model sees the first position alone. From there the rules and the learned
dynamics take the same moves, and what is imagined is held against what is so:
which moves may be made, whether the game is over, and who will win.
"""

from collections.abc import Sequence
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.act.board_agent import BoardAgent, BoardSettings
from mulearn.evaluate.position_index import PositionIndex
from mulearn.evaluate.solver import Table
from mulearn.explore.board_episode import Moment, Thinker
from mulearn.model.board_networks import Imaginer
from mulearn.types import Array


@dataclasses.dataclass(frozen=True)
class Glimpse:
  """One position of a line. Values are those of the first player, -1 to 1.

  Attributes:
    move: that led here; empty at the first position.
    stones: of each cell, as `boards.Board.stones` gives them.
    last: the cell of the newest stone, -1 for none.
    is_open: whether a move there is legal, `[C]`; none is once the game is over.
    imagined_open: its imagined probability, `[C]`; at the first position that
      is known, not imagined.
    is_over: the game has ended.
    imagined_over: the imagined probability of that.
    value: of the solved game; None without a table.
    seen_value: what the network says when it sees this position.
    imagined_value: what it says of what it imagines.
  """

  move: str
  stones: tuple[int, ...]
  last: int
  is_open: tuple[bool, ...]
  imagined_open: tuple[float, ...]
  is_over: bool
  imagined_over: float
  value: float | None
  seen_value: float
  imagined_value: float


def imagine_line(
    agent: BoardAgent, moves: Sequence[str], table: Table | None = None
) -> list[Glimpse]:
  """Plays a line from the beginning, in the game and in the learned world.

  Args:
    agent: with a learned model.
    moves: K names, as `boards.Board.name` gives them.
    table: the solved game, for the true values.

  Returns:
    K + 1 positions.

  Raises:
    ValueError: the agent has no learned model, or a move cannot be made.
  """
  if agent.config.model.kind == "simulator":
    raise ValueError(
        "The agent's model is the simulator, which imagines nothing: take an"
        " agent with a learned model (config.model.kind = 'world', such as an"
        " experiment's muzero arm)."
    )
  thinker = Thinker(agent, num_simulations=1)
  moments, actions = _play(thinker, moves)
  said = _unroll(
      agent.networks,
      moments[0].facts.planes,
      jnp.array(actions, jnp.int32),
      settings=BoardSettings.from_config(agent.config),
  )
  legal, over, imagined, reward = map(np.asarray, said)
  states = jax.tree.map(lambda *x: jnp.stack(x), *[m.state for m in moments])
  seen = np.asarray(agent.glance(states).value)
  exact = None
  if table is not None:
    rows = PositionIndex(table, agent.environment).known_rows(states)
    exact = table.value[np.asarray(rows)]
  glimpses = []
  for k, moment in enumerate(moments):
    is_open, imagined_open = _cells(thinker, moment, legal[k])
    real = (moment.reward, float(not moment.is_over))
    glimpses.append(
        Glimpse(
            move=moves[k - 1] if k else "",
            stones=moment.sight.stones,
            last=moment.sight.last,
            is_open=is_open,
            imagined_open=imagined_open if k else tuple(map(float, is_open)),
            is_over=moment.is_over,
            imagined_over=float(over[k]) if k else 0.0,
            value=None if exact is None else _worth(moment, *real, exact[k]),
            seen_value=_worth(moment, *real, seen[k]),
            imagined_value=_worth(
                moment, reward[k], 1.0 - over[k], imagined[k]
            ),
        )
    )
  return glimpses


def _play(
    thinker: Thinker, moves: Sequence[str]
) -> tuple[list[Moment], list[int]]:
  """The real positions of a line, and its actions."""
  moments, actions = [thinker.start(jax.random.key(0))], []
  for name in moves:
    now = moments[-1]
    action = thinker.board.action(now.mover, name)
    legal = [] if now.is_over else thinker.legal(now)
    if action not in legal:
      names = ", ".join(thinker.board.name(now.mover, a) for a in legal)
      raise ValueError(
          f"{name!r} cannot be played as move {len(moments)};"
          f" {f'there are {names}' if names else 'the game is over there'}."
      )
    actions.append(action)
    moments.append(thinker.play(now, action))
  return moments, actions


def _cells(
    thinker: Thinker, moment: Moment, legal: np.ndarray
) -> tuple[tuple[bool, ...], tuple[float, ...]]:
  """Actions `[A]` as the cells `[C]` that they put a stone on."""
  board, stones = thinker.board, np.asarray(moment.sight.stones)
  is_open, imagined = np.zeros(stones.size, bool), np.zeros(stones.size)
  allowed = set() if moment.is_over else set(thinker.legal(moment))
  for action, probability in enumerate(legal):
    cell = board.cell(stones, moment.mover, action)
    if cell >= 0:
      is_open[cell], imagined[cell] = action in allowed, probability
  return tuple(is_open.tolist()), tuple(imagined.tolist())


def _worth(
    moment: Moment, reward: float, goes_on: float, value: float
) -> float:
  """Of a position for the first player.

  Args:
    moment: the position.
    reward: of the move that led there, to who made it.
    goes_on: probability that the game does.
    value: of what follows, to who moves there.
  """
  to_mover = float(value) * float(goes_on) - float(reward)
  return to_mover if moment.mover == 0 else -to_mover


@functools.partial(jax.jit, static_argnames="settings")
def _unroll(
    networks: Imaginer, planes: Array, actions: Array, *, settings
) -> tuple[Array, Array, Array, Array]:
  """What is said of the first position and of those imagined from it.

  Args:
    networks: the parameters.
    planes: of the first position, as its observation.
    actions: `[K]`.
    settings: of the board.

  Returns:
    For the K + 1 positions: probability that each action is legal, `[K+1, A]`,
    that the game is over, value to who moves there, and reward of the move
    that led there, to who made it, `[K+1]` each.
  """
  to_scalar = settings.support.to_scalar
  first = networks.represent(planes[None])

  def step(latent, action):
    latent, reward, goes_on = networks.dynamics(latent, action[None])
    return latent, (latent, to_scalar(reward), jax.nn.sigmoid(-goes_on))

  _, (latents, reward, over) = jax.lax.scan(step, first, actions)
  latents = jnp.concatenate([first[None], latents])[:, 0]
  _, value = networks.predict(latents)
  legal = jax.nn.sigmoid(networks.legal_logits(latents))
  reward, over = (jnp.pad(x[:, 0], (1, 0)) for x in (reward, over))
  return legal, over, to_scalar(value), reward
