"""Do language, a learned world and search need each other? Three text games.

Question: on games whose test fold was never trained on, does search in a
learned world with a language prior beat each of its parts, and how much does
learning the world cost against searching the true game?

Command, once for each of twc, cookingworld and mapreader:

  python -m mulearn.main --config=experiments/text_worlds/config.py:twc \
      --workdir=runs/text_worlds/twc

The games are small, so that three seeds of every arm take minutes on two CPU
cores: one room and one thing that is out of place (twc, what the demo plays),
one room with one ingredient and a distractor (cookingworld), five rooms
(mapreader).
"""

from mulearn.config import Config

# Generator settings; most commands a game may take; slots that hold the most
# commands ever seen; and the prompt (twc's own is found by calibration: the
# short ones let a state recur, and its answer be remembered).
GAMES = {
    "twc": (
        {
            "numLocations": 1,
            "numItemsToPutAway": 1,
            "includeDoors": 0,
            "limitInventorySize": 0,
        },
        6, 32, "calibrated",
    ),
    "cookingworld": (
        {
            "numLocations": 1,
            "numIngredients": 1,
            "numDistractorItems": 1,
            "includeDoors": 0,
            "limitInventorySize": 0,
        },
        14, 64, "recipe",
    ),
    "mapreader": (
        {"numLocations": 5, "maxDistanceApart": 2, "includeDoors": 0},
        10, 24, "errand",
    ),
}  # fmt: skip

# What each arm changes. Those that play while they learn play as many commands.
ARMS = {
    "muzero": {"prior.kind": "uniform"},
    "muzero_lm": {},
    "shuffled": {"prior.kind": "shuffled"},
    "imitation": {
        "prior.kind": "uniform",
        "imitation_steps": 100,
        "num_steps": 0,
        "player": "policy",
    },
    "imitation_muzero_lm": {"imitation_steps": 100},
}


def get_config(game: str = "twc") -> Config:
  """The study of one game.

  Args:
    game: a key of `GAMES`; on the command line `config.py:cookingworld`.

  Returns:
    The config.

  Raises:
    ValueError: if there is no such game.
  """
  if game not in GAMES:
    raise ValueError(f"No game {game!r} here; there are {', '.join(GAMES)}.")
  params, step_limit, num_slots, prompt = GAMES[game]
  config = Config(
      num_seeds=3,
      arms=ARMS,
      baselines=("random", "lm", "lm_sampled", "simulator_lm", "gold"),
      simulator_arm="muzero_lm",
      num_steps=4800,
      eval_every=1600,
      imitation_games=25,
  )
  config.env.name = game
  config.env.params = dict(params)
  config.env.step_limit = step_limit
  config.env.num_train_games = 100
  config.env.num_test_games = 200
  config.env.num_dev_games = 30
  config.env.num_simulator_games = 30
  config.prior.dtype = "bfloat16"
  config.prior.prompt = prompt
  config.prior.calibration_games = 16
  config.model.num_slots = num_slots
  config.model.max_facts = 32
  config.model.max_phrases = 4096 if game == "twc" else 8192
  config.replay.batch_size = 64
  config.learn.updates_per_env_step = 0.125  # Moves are cheap here.
  config.search.value_scale = 0.5
  return config
