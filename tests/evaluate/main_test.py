"""The command line of evaluation, on a run that has two checkpoints."""

import dataclasses
import json
import re

import jax
import pytest

from mulearn import board_run
from mulearn.act.board_agent import BoardAgent
from mulearn.checkpoint import Checkpointer
from mulearn.evaluate import __main__ as main
from mulearn.evaluate import arena, arena_report, examiners, position_sets
from mulearn.model.board_kinds import make_networks


@pytest.fixture(scope="module")
def workdir(board_config, make_board_networks, tmp_path_factory):
  """It ends in `@80`, as a step does; the two checkpoints differ."""
  config = board_config("world")
  workdir = tmp_path_factory.mktemp("run@8")
  (workdir / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
  run = board_run.begin(config, jax.random.key(0), jax.random.key(1))
  checkpointer = Checkpointer(workdir / "checkpoints")
  for step in (16, 32):
    networks = make_board_networks("world", seed=step)
    run.state = dataclasses.replace(run.state, params=networks)
    run.env_steps = step
    run.save(checkpointer)
  return workdir


def test_an_arena_is_printed_written_and_drawn(workdir, tmp_path, capsys):
  words = ["arena", "--pairs=5", "--simulations=2", f"--out={tmp_path / 'a'}"]
  words += ["--anchor=anybody", "--players", "minimax:1", "perfect"]
  words += ["anybody=random", f"run:{workdir}", f"policy:{workdir}@16"]
  assert main.main(words) == 0
  shown = capsys.readouterr()
  assert "anybody" in shown.out and "minimax:1" in shown.out
  assert "minimax:1 v perfect:" in shown.err
  found = json.loads((tmp_path / "a" / "arena.json").read_text())
  assert found["game"] == "tic_tac_toe" and found["anchor"] == "anybody"
  assert found["named"]["anybody"] == "random"
  assert len(found["players"]) == 5 and len(found["matches"]) == 10
  assert found["players"][0]["name"] == "perfect"
  elos = [p["elo"] for p in found["players"]]
  assert elos == sorted(elos, reverse=True)
  for row in found["players"]:
    assert row["games"] == 4 * 10 == row["wins"] + row["draws"] + row["losses"]
  assert sum(p["points"] for p in found["players"]) == pytest.approx(2.5)
  first = found["matches"][0]
  assert (first["player"], first["opponent"]) == ("minimax:1", "perfect")
  points = sum(map(sum, first["pairs"]))
  assert points == first["wins"] + 0.5 * first["draws"]
  assert (tmp_path / "a" / "arena.png").stat().st_size > 10_000
  assert (tmp_path / "a" / "arena.svg").exists()
  again = arena_report.summarise(arena_report.read(tmp_path / "a/arena.json"))
  assert {name: found[name] for name in again} == again


def test_a_checkpoint_is_chosen_by_its_step(workdir):
  newest, same, older = (
      jax.tree.leaves(main._restore(f"{workdir}{step}").networks)
      for step in ("", "@32", "@16")
  )
  assert all((a == b).all() for a, b in zip(same, newest))
  assert all((a != b).any() for a, b in zip(older, newest))


def test_perfect_hex_wins_whatever_the_other_does():
  perfect, anybody = (
      main.make_player(name, "hex_3") for name in ("perfect", "random")
  )
  score = arena.match(
      main.make_environment("hex_3"),
      perfect,
      anybody,
      jax.random.key(0),
      num_pairs=20,
      opening_plies=0,
  )
  assert (score.games[:, 0] == 1.0).all()  # Whoever begins wins.
  assert score.points > 0.6
  with pytest.raises(ValueError, match="size is 5"):
    main.make_player("perfect", "hex_5")


def test_an_agent_is_examined_again_with_other_numbers(
    workdir, tmp_path, capsys
):
  words = ["examine", f"--workdir={workdir}", f"--out={tmp_path}"]
  values = {"own": [], "few": ["--simulations=2"], "loud": ["--value_scale=9"]}
  found = {}
  for name, more in values.items():
    assert main.main([*words, *more]) == 0
    kept = json.loads((tmp_path / "examination.json").read_text())
    found[name] = kept["found"]
    rate = f"{kept['found']['optimal_rate']:.4f}"
    assert re.search(rf"^optimal_rate +{rate}$", capsys.readouterr().out, re.M)
  assert kept["search"]["eval_value_scale"] == 9.0
  agent = main._restore(str(workdir))
  own = examiners.EXAMINERS["tic_tac_toe"](agent, jax.random.key(0))
  assert found["own"] == own
  # What search does differs, what the networks say without it does not.
  assert len({one["optimal_rate"] for one in found.values()}) == 3
  assert len({one["policy_rate"] for one in found.values()}) == 1


def test_an_agent_is_examined_on_other_positions(
    board_config, tmp_path, monkeypatch
):
  config = board_config("simulator")
  config.env.name = "connect_four"
  agent = BoardAgent(config, make_networks(config, jax.random.key(0)))
  monkeypatch.setattr(main, "_restore", lambda _: agent)
  path = tmp_path / "positions.csv"
  lines = position_sets.PATH.read_text().splitlines()
  path.write_text("\n".join(lines[:20]))
  words = ["examine", "--workdir=run", f"--positions={path}"]
  assert main.main([*words, f"--out={tmp_path}"]) == 0
  kept = json.loads((tmp_path / "examination.json").read_text())
  assert kept["positions"] == "positions.csv"
  assert "mistake/end-easy" in kept["found"]
  assert "mistake/begin-hard" not in kept["found"]


def test_only_connect_four_has_sets_of_positions(workdir, capsys):
  words = ["examine", f"--workdir={workdir}", "--positions=others.csv"]
  assert main.main(words) != 0
  assert "but the run plays tic_tac_toe" in capsys.readouterr().err


def test_model_error_is_written_beside_the_run(workdir, capsys):
  words = ["model_error", f"--workdir={workdir}", "--moves=2", "--lines=50"]
  assert main.main(words) == 0
  shown = capsys.readouterr().out
  assert "perfect lines" in shown and "k=0      50 lines" in shown
  found = json.loads((workdir / "model_error.json").read_text())
  assert set(found["lines"]) == {"own", "perfect", "random"}
  for points in found["lines"].values():
    assert [p["k"] for p in points] == [0, 1, 2]
    assert points[0]["policy_kl"] == pytest.approx(0.0, abs=1e-5)
    assert points[0]["value_error"] == points[0]["value_error_seen"]
    assert points[2]["policy_kl"] > 0.01
  assert (workdir / "model_error.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "words, says",
    [
        (["--players", "random", "perfect"], "Give --game"),
        (["--players", "random", "stockfish"], "No player 'stockfish'"),
        (["--players", "random", "minimax:x"], "No player 'minimax:x'"),
        (["--players", "random", "random"], "the same name"),
        (["--players", "random", "minimax:0"], "at least 1 ply"),
        (["--players", "random"], "at least two players"),
        (["--players", "random", "run:/no/such"], "holds no run on a board"),
        (["--players", "random", "run:WORKDIR@7"], "no checkpoint of step 7"),
        (["--players", "random", "run:WORKDIR"], "have to play one game"),
    ],
)
def test_an_error_is_one_line(words, says, workdir, capsys):
  game = "connect_four" if "one game" in says else "tic_tac_toe"
  words = [w.replace("WORKDIR", str(workdir)) for w in words]
  words += [] if "--game" in says else [f"--game={game}"]
  assert main.main(["arena", *words]) == 1
  error = capsys.readouterr().err
  assert error.startswith("error: ") and says in error
  assert len(error.splitlines()) == 1


def test_a_game_without_a_table_has_no_perfect_player():
  with pytest.raises(ValueError, match="no table of perfect play"):
    main._table("connect_four")


def test_help_shows_examples_and_players(capsys):
  for words in (["--help"], ["arena", "--help"]):
    with pytest.raises(SystemExit) as stopped:
      main.main(words)
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "python -m mulearn.evaluate model_error" in shown
    assert "run:WORKDIR@STEP" in shown
