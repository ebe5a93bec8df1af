r"""Command line of evaluation: who is stronger, and how wrong a model is.

`arena` lets players of a board game meet in colour-reversed pairs of games from
random openings, prints Elo ratings with 95 % intervals, and writes arena.json
(every game), .png and .svg. `examine` holds the agent of a run against perfect
play as its training did, with other numbers of search or, in connect four,
other positions if you like, and writes examination.json. `model_error` follows
a learned model (MuZero) over imagined moves from positions of a solved game,
and writes model_error.json, .png and .svg. `mistakes` draws how often runs of
connect four leave perfect play, from their results.json, as mistakes.png and
heatmap.png, and .svg.

A player of the arena is one of

  random              any legal move
  minimax:K           all lines of K plies; what has not ended is a draw
  rollouts:N          plain search, N simulations, values by random playouts
  perfect             the solved game
  run:WORKDIR         the agent of a run, with its newest checkpoint
  run:WORKDIR@STEP    with the checkpoint of that environment step; train with
                      --config.num_checkpoints=N to keep more than two
  policy:WORKDIR      its policy head without search; @STEP as above
  NAME=PLAYER         any of these under a name of its own

Examples:
  python -m mulearn.evaluate arena --game=tic_tac_toe \
      --players random minimax:3 rollouts:64 perfect
  python -m mulearn.evaluate arena --simulations=16 --anchor=perfect \
      --players muzero=run:runs/tic_tac_toe/muzero_0 random perfect
  python -m mulearn.evaluate examine --workdir=runs/tic_tac_toe/muzero_0 \
      --simulations=16
  python -m mulearn.evaluate model_error --workdir=runs/tic_tac_toe/muzero_0
  python -m mulearn.evaluate mistakes --results=experiments/connect_four/results
"""

import argparse
from collections.abc import Sequence
import dataclasses
import functools
import json
import pathlib
import re
import sys
import time

from absl import logging
import jax

from mulearn import board_train
from mulearn.act.board_agent import BoardAgent
from mulearn.checkpoint import CheckpointError
from mulearn.env import board
from mulearn.env.games import make_environment
from mulearn.env.hex import Hex
from mulearn.evaluate import (
    arena,
    arena_report,
    error_picture,
    examiners,
    mistake_picture,
    model_error,
    players,
    position_sets,
    solver,
)
from mulearn.evaluate import hex as hex_lib
from mulearn.evaluate.players import Player


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs one command.

  Args:
    arguments: the words after `python -m mulearn.evaluate`; None takes them
      from the command line.

  Returns:
    The exit status: 0, or 1 if a run, a game or a player cannot be used.
  """
  logging.set_verbosity(logging.WARNING)  # Orbax tells of every file.
  options = _parser().parse_args(arguments)
  try:
    options.run(options)
  except (CheckpointError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def make_player(
    words: str, game: str, num_simulations: int | None = None
) -> Player:
  """The player of a name such as `minimax:3`; `--help` lists the forms.

  Args:
    words: the name.
    game: what is played.
    num_simulations: of agents; their own if None.

  Returns:
    The player.

  Raises:
    ValueError: there is no such player, or it does not play this game.
    CheckpointError: there is no such run or checkpoint.
  """
  kind, _, rest = words.partition(":")
  environment = make_environment(game)
  if words == "random":
    return players.random_player(environment)
  if words == "perfect":
    return _perfect_player(game)
  if kind == "minimax" and rest.isdecimal():
    return players.minimax_player(environment, int(rest))
  if kind == "rollouts" and rest.isdecimal():
    return players.playout_player(environment, int(rest))
  if kind in ("run", "policy") and rest:
    agent = _restore(rest)
    if agent.config.env.name != game:
      raise ValueError(
          f"{words} plays {agent.config.env.name}, but the game of this arena is"
          f" {game}; all players have to play one game."
      )
    if kind == "policy":
      return players.policy_player(agent)
    return players.agent_player(agent, num_simulations)
  raise ValueError(
      f"No player {words!r}; there are random, minimax:K, rollouts:N, perfect,"
      " run:WORKDIR[@STEP] and policy:WORKDIR[@STEP]."
  )


@functools.cache  # run: and policy: of one workdir share it.
def _restore(words: str) -> BoardAgent:
  """The agent of `WORKDIR` or `WORKDIR@STEP`."""
  return board_train.restore_agent(*_split(words))


def _split(words: str) -> tuple[pathlib.Path, int | None]:
  """Workdir and step of `WORKDIR@STEP`; a folder may be called so itself."""
  workdir, step = re.fullmatch(r"(.*?)(?:@(\d+))?", words).groups()
  if step is None or pathlib.Path(words).exists():
    return pathlib.Path(words), None
  return pathlib.Path(workdir), int(step)


def _perfect_player(game: str) -> Player:
  """Hex knows every position of its solution, others those of their table."""
  environment = make_environment(game)
  if isinstance(environment, Hex):
    return hex_lib.perfect_player(environment, is_stubborn=False)
  return players.perfect_player(_table(game), environment)


def _table(game: str) -> solver.Table:
  if game not in solver.TABLES:
    raise ValueError(
        f"{game} has no table of perfect play; there are those of"
        f" {', '.join(solver.TABLES)}."
    )
  return solver.TABLES[game]()


def _truth(game: str) -> model_error.Truth | None:
  """Of all positions, where the table holds a sample of them only."""
  environment = make_environment(game)
  if not isinstance(environment, Hex):
    return None
  return functools.partial(hex_lib.truth, environment)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m mulearn.evaluate",
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(required=True, metavar="command")
  _add_arena(commands)
  _add_examine(commands)
  _add_model_error(commands)
  _add_mistakes(commands)
  return parser


def _add_arena(commands) -> None:
  command = commands.add_parser(
      "arena", help="Elo ratings of players of a board game",
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
  )  # fmt: skip
  command.set_defaults(run=_arena)
  command.add_argument(
      "--players", nargs="+", required=True, metavar="PLAYER",
      help="see above; two or more",
  )  # fmt: skip
  command.add_argument(
      "--game", choices=board.GAMES, help="by default that of the runs"
  )
  command.add_argument(
      "--pairs", type=int, default=200, help="of games a match (200)"
  )
  command.add_argument(
      "--opening_plies", type=int, default=2, metavar="PLIES",
      help="random moves before each pair (2)",
  )  # fmt: skip
  command.add_argument(
      "--simulations", type=int, help="of agents; by default the run's own"
  )
  command.add_argument(
      "--anchor", help="name of the player at Elo 0; by default the first"
  )
  _add_seed_and_out(command, "runs/arena")


def _add_examine(commands) -> None:
  text = "how often an agent finds a best move of a solved game"
  command = commands.add_parser("examine", help=text, description=text)
  command.set_defaults(run=_examine)
  command.add_argument(
      "--workdir", required=True, help="of a run on a board; WORKDIR@STEP too"
  )
  command.add_argument(
      "--simulations", type=int, help="of each search; by default the run's"
  )
  command.add_argument(
      "--value_scale", type=float,
      help="how far search trusts values; by default the run's",
  )  # fmt: skip
  command.add_argument(
      "--positions", type=pathlib.Path,
      help="others than the examiner's own: a file of make_positions.py"
      " (connect four)",
  )  # fmt: skip
  _add_seed_and_out(command, None)


def _add_model_error(commands) -> None:
  text = "how wrong a learned model becomes as it imagines"
  command = commands.add_parser("model_error", help=text, description=text)
  command.set_defaults(run=_model_error)
  command.add_argument(
      "--workdir", required=True, help="of a run of MuZero; WORKDIR@STEP too"
  )
  command.add_argument(
      "--moves", type=int, default=10, help="largest number imagined (10)"
  )
  command.add_argument(
      "--lines", type=int, default=16_384, help="of each kind (16384)"
  )
  _add_seed_and_out(command, None)


def _add_mistakes(commands) -> None:
  text = "how often runs of connect four leave perfect play, as a picture"
  command = commands.add_parser("mistakes", help=text, description=text)
  command.set_defaults(run=_mistakes)
  command.add_argument(
      "--results", type=pathlib.Path, required=True, metavar="DIR",
      help="holds <arm>/seed_<n>/results.json; pictures are written there",
  )  # fmt: skip
  command.add_argument(
      "--arms", nargs="+", default=(), metavar="ARM",
      help="whose curves are drawn (all); the heatmap has all",
  )  # fmt: skip


def _add_seed_and_out(command, out: str | None) -> None:
  command.add_argument("--seed", type=int, default=0, help="of all draws (0)")
  command.add_argument(
      "--out", type=pathlib.Path, default=out, metavar="DIR",
      help=f"where JSON and pictures go ({out or 'the workdir'})",
  )  # fmt: skip


def _arena(options: argparse.Namespace) -> None:
  named = [_named(words) for words in options.players]
  names = [name for name, _ in named]
  if len(set(names)) < len(names):
    raise ValueError(
        f"Two players have the same name: {', '.join(names)}. Give one of them"
        " another, as in other=random."
    )
  game = options.game or _game_of([words for _, words in named])
  start = time.monotonic()
  tournament = arena.tournament(
      make_environment(game),
      {name: make_player(w, game, options.simulations) for name, w in named},
      jax.random.key(options.seed),
      num_pairs=options.pairs,
      opening_plies=options.opening_plies,
      anchor=options.anchor or names[0],
      on_match=_tell,
  )
  seconds = time.monotonic() - start
  asked = {"game": game, "named": dict(named), "seconds": round(seconds, 1)}
  kept = ("pairs", "opening_plies", "simulations", "seed")
  asked |= {name: getattr(options, name) for name in kept}
  arena_report.print_table(tournament)
  out = pathlib.Path(options.out)
  _write(out / "arena.json", asked | arena_report.summarise(tournament))
  arena_report.draw_ratings(out / "arena.png", tournament)
  print(f"{seconds:.0f} s. Every game is in {out / 'arena.json'}.")


def _named(words: str) -> tuple[str, str]:
  """The name and the player of `NAME=PLAYER`; the player names itself."""
  name, equals, player = words.partition("=")
  return (name, player) if equals and ":" not in name else (words, words)


def _game_of(players_in_words: Sequence[str]) -> str:
  """The game of the first run among the players."""
  for words in players_in_words:
    kind, _, rest = words.partition(":")
    if kind in ("run", "policy"):
      return _restore(rest).config.env.name
  raise ValueError(
      f"Give --game, one of {', '.join(board.GAMES)}: none of the players is a"
      " run that would tell it."
  )


def _tell(player: str, opponent: str, score: arena.Score) -> None:
  won, drawn, lost = score.counts
  text = f"{player} v {opponent}: {won} won, {drawn} drawn, {lost} lost"
  print(text, file=sys.stderr)


def _examine(options: argparse.Namespace) -> None:
  agent = _restore(options.workdir)
  config, game = agent.config, agent.config.env.name
  search = dataclasses.replace(
      config.search,
      num_eval_simulations=options.simulations
      or config.search.num_eval_simulations,
      eval_value_scale=options.value_scale or config.search.eval_value_scale,
  )
  config = dataclasses.replace(config, search=search)
  agent = dataclasses.replace(agent, config=config)
  examine = examiners.EXAMINERS[game]
  asked = {"game": game, "seed": options.seed}
  if options.positions is not None:
    if examine is not position_sets.examine:
      raise ValueError(
          f"--positions is {options.positions}, but the run plays {game}; only"
          " connect four is examined on sets of positions. Leave it out."
      )
    sets = position_sets.read(options.positions)
    examine = functools.partial(examine, sets=sets)
    asked |= {"positions": options.positions.name}
  found = examine(agent, jax.random.key(options.seed))
  for name, value in found.items():
    print(f"{name:32} {value:.4f}")
  out = options.out or _split(options.workdir)[0]
  asked |= {"search": dataclasses.asdict(search)}
  _write(out / "examination.json", asked | {"found": found})
  print(f"This is in {out / 'examination.json'}.")


def _model_error(options: argparse.Namespace) -> None:
  agent = _restore(options.workdir)
  game = agent.config.env.name
  lines = model_error.model_error(
      agent,
      _table(game),
      jax.random.key(options.seed),
      max_moves=options.moves,
      num_lines=options.lines,
      truth=_truth(game),
  )
  out = options.out or _split(options.workdir)[0]
  asked = {"game": game, "run": options.workdir, "seed": options.seed}
  asked |= {"num_lines": options.lines}
  _write(out / "model_error.json", asked | {"lines": lines})
  error_picture.draw_model_error(out / "model_error.png", lines)
  for kind, points in lines.items():
    print(f"{kind} lines")
    for point in points:
      print("  " + _sentence(point))
  print(f"All figures are in {out / 'model_error.json'}.")


def _mistakes(options: argparse.Namespace) -> None:
  path = options.results / "mistakes.png"
  curves = mistake_picture.read_curves(options.results)
  chosen = mistake_picture.choose(curves, options.arms)
  mistake_picture.draw_mistakes(path, chosen)
  heatmap = options.results / "heatmap.png"
  rows = mistake_picture.final_mistakes(curves)
  mistake_picture.draw_heatmap(heatmap, rows)
  print(f"Drawn: {path}, {heatmap}, and .svg of both.")


def _sentence(point: model_error.Point) -> str:
  legal = point["legal_error"]
  return (
      f"k={point['k']:<2} {point['lines']:>6} lines: value error"
      f" {point['value_error']:.4f}, optimal {point['policy_optimal']:.2%}, KL"
      f" {point['policy_kl']:.4f}, legality error"
      f" {'-' if legal is None else f'{legal:.3%}'}"
  )


def _write(path: pathlib.Path, value: object) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
  sys.exit(main())
