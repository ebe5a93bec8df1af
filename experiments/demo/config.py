"""One text game, every agent, a quarter of an hour on two CPU cores: `make demo`.

The Text World Commonsense game in one room: a thing lies about and belongs in a
place that a child would know. The test games hold things that no train game
has. Six commands are enough for a mistake or two, not for trying every place.
Wants 4 GiB. See experiments/text_worlds for the whole study.
"""

from mulearn.config import Config

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


def get_config() -> Config:
  """The demo."""
  config = Config(
      num_seeds=3,
      arms=ARMS,
      baselines=("random", "lm", "lm_sampled", "simulator_lm", "gold"),
      simulator_arm="muzero_lm",
      num_steps=4800,
      eval_every=1600,
      imitation_games=25,
  )
  config.env.name = "twc"
  config.env.params = {
      "numLocations": 1,
      "numItemsToPutAway": 1,
      "includeDoors": 0,
      "limitInventorySize": 0,
  }
  config.env.step_limit = 6
  config.env.num_train_games = 100
  config.env.num_test_games = 200
  config.env.num_dev_games = 30
  config.prior.dtype = "bfloat16"
  config.prior.calibration_games = 16
  config.model.num_slots = 32  # The most seen is 13.
  config.model.max_facts = 32
  config.model.max_phrases = 4096
  config.replay.batch_size = 64
  config.learn.updates_per_env_step = 0.125  # Moves are cheap here.
  config.search.value_scale = 0.5
  return config
