"""Bugs of peers in how a run is put together, by their number in our list.

8. The score depended on the workers' speed (EfficientZeroV2 #15): updates per
   environment step are a configured ratio, and one that does not come out whole
   is refused.
11. The gold answer steered the search (LATS #6): what search may see and what
   evaluation uses are different types, and no path leads from one to the other.
"""

import copy
import dataclasses
import inspect
import typing

import pytest

from mulearn import board_run, run
from mulearn.act import agent, host
from mulearn.env import base, gold, pool, text
from mulearn.evaluate import play, simulator


@pytest.fixture
def config(tiny_config):
  return copy.deepcopy(tiny_config)


@pytest.mark.parametrize(
    "lanes, ratio, updates", [(16, 0.5, 8), (2, 0.5, 1), (3, 2.0, 6)]
)
def test_row_8_updates_per_act_are_a_fixed_ratio(config, lanes, ratio, updates):
  config.env.num_lanes = lanes
  config.learn.updates_per_env_step = ratio
  assert run.updates_per_act(config) == updates


@pytest.mark.parametrize("lanes, ratio", [(3, 0.5), (4, 0.1), (4, 0.0)])
def test_row_8_a_ratio_that_is_not_whole_is_refused(config, lanes, ratio):
  config.env.num_lanes = lanes
  config.learn.updates_per_env_step = ratio
  with pytest.raises(ValueError, match="updates_per_env_step x env.num_lanes"):
    run.updates_per_act(config)


@pytest.mark.parametrize(
    "lanes, plies, ratio, updates",
    [(4, 4, 0.125, 2), (16, 8, 1 / 128, 1), (2, 3, 2.0, 12)],
)
def test_row_8_updates_per_round_are_a_fixed_ratio(
    board_config, lanes, plies, ratio, updates
):
  """Row 8: on boards, whatever the number of lanes and plies of a round."""
  board = board_config("world")
  board.env.num_lanes, board.self_play.num_plies = lanes, plies
  board.learn.updates_per_env_step = ratio
  assert board_run.updates_per_round(board) == updates
  assert updates / board_run.moves_per_round(board) == ratio


def _reachable(*types):
  """All types that the fields of these dataclasses lead to."""
  seen, waiting = set(), list(types)
  while waiting:
    now = waiting.pop()
    if now in seen:
      continue
    seen.add(now)
    waiting += typing.get_args(now)
    if dataclasses.is_dataclass(now):
      waiting += typing.get_type_hints(now).values()
  return seen


def test_row_11_what_players_see_leads_to_no_gold_path():
  """By type: nothing in a situation, a step or an agent is a gold path."""
  seen = _reachable(play.Situation, base.TextStep, agent.Agent)
  assert base.TextObservation in seen and typing.get_args(base.History)
  assert not {gold.GoldPath, gold.GoldSource} & seen


@pytest.mark.parametrize(
    "game", [base.TextGame, text.TextWorldGame, pool.TextPool]
)
def test_row_11_games_do_not_offer_a_gold_path(game):
  names = [name.lower() for name, _ in inspect.getmembers(game)]
  assert not [n for n in names if "gold" in n or "path" in n]


@pytest.mark.parametrize("module", [agent, host, simulator, pool, text, run])
def test_row_11_who_searches_does_not_know_the_gold_module(module):
  """None of them imports it, or holds anything that was defined there."""
  assert "gold" not in vars(module)
  for value in vars(module).values():
    assert getattr(value, "__module__", "") != gold.__name__
