"""Do language, a learned world and search need each other? The whole study.

Question: on text games whose test fold brings things that training never saw,
does search in a learned world with a language prior beat each of its parts; how
much does learning the world cost against searching the true game; does the
prior matter inside the tree, or at the root alone; and which fusion rule keeps
a good prior and survives a bad one?

Command, once for each of twc, cookingworld and mapreader:

  python -m mulearn.main --config=experiments/text_worlds/config.py:twc \
      --workdir=runs/text_worlds/twc

The settings are those of the table that shows each half failing where both work
together when search has the true game: 3 rooms and 2 things (twc), 4 rooms, 2
ingredients, 4 distractors (cookingworld), 8 rooms (mapreader); 50 commands. In
300 random and gold games the largest observation had 24 commands and 41 facts
(twc), 59 and 46 (cookingworld), 14 and 48 (mapreader).

Expected cost, not measured: a game is 13 arms that act, of 3 seeds, each of
8,000 environment steps: 312,000 steps, 4 hours at the 22 steps a second of the
demo on 2 CPU cores. Evaluation plays up to 900,000 commands more, in batches of
50, and longer texts cost more. Count on 6 to 12 hours a game, and run one game
on each machine.
"""

from mulearn.config import Config

# Generator settings; slots that hold the most commands ever seen.
GAMES = {
    "twc": (
        {
            "numLocations": 3,
            "numItemsToPutAway": 2,
            "includeDoors": 0,
            "limitInventorySize": 0,
        },
        32,
    ),
    "cookingworld": (
        {
            "numLocations": 4,
            "numIngredients": 2,
            "numDistractorItems": 4,
            "includeDoors": 0,
            "limitInventorySize": 0,
        },
        64,
    ),
    "mapreader": (
        {"numLocations": 8, "maxDistanceApart": 3, "includeDoors": 0},
        32,
    ),
}

IMITATION = {"imitation_steps": 800}

# What each arm changes. All learning arms play the same number of commands.
ARMS = {
    "muzero": {"prior.kind": "uniform"},
    "muzero_lm": {},
    "shuffled": {"prior.kind": "shuffled"},
    "imitation": {
        **IMITATION,
        "prior.kind": "uniform",
        "num_steps": 0,
        "player": "policy",
    },
    "imitation_muzero": {**IMITATION, "prior.kind": "uniform"},
    "imitation_muzero_lm": {**IMITATION},
    # Where the prior acts.
    "root_only": {"prior.in_tree": False},
    # How it is combined with the head: with language, and with an adversary.
    "product": {"prior.fusion": "product"},
    "annealed": {"prior.fusion": "annealed"},
    "exponent": {"prior.fusion": "exponent"},
    "shuffled_product": {"prior.fusion": "product", "prior.kind": "shuffled"},
    "shuffled_annealed": {"prior.fusion": "annealed", "prior.kind": "shuffled"},
    "shuffled_exponent": {"prior.fusion": "exponent", "prior.kind": "shuffled"},
    # How the tree is searched.
    "puct": {"search.policy": "puct"},
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
  params, num_slots = GAMES[game]
  config = Config(
      num_seeds=3,
      arms=ARMS,
      baselines=("random", "lm", "lm_sampled", "simulator_lm", "gold"),
      simulator_arm="muzero_lm",
      num_steps=8000,
      eval_every=1600,
      imitation_games=200,
  )
  config.env.name = game
  config.env.params = dict(params)
  config.env.step_limit = 50
  config.env.num_train_games = 200
  config.env.num_test_games = 200
  config.env.num_dev_games = 40
  config.env.num_simulator_games = 40
  config.prior.dtype = "bfloat16"
  config.model.num_slots = num_slots
  config.model.max_facts = 64
  config.model.max_history = 50  # A whole game.
  config.replay.batch_size = 64
  config.search.value_scale = 0.5
  return config
