"""Full size: a text world with 8 billion parameters of language and 200 M of world.

Question: what would the agent of `text_worlds` need if both of its models were
large? Nobody has trained it; it is compiled for the slices of this folder's
README, four chips sharing each layer of the language model where one chip is
too small for it:

  python -m mulearn.parallel.compile --config=experiments/pods/full_size.py \\
      --topology=v5e:16x16 --config.prior.num_devices=4

On a slice that can be reached, `mulearn.main` takes the same config and change.
"""

from mulearn.config import Config


def get_config() -> Config:
  """256 games at a time, which 4 to 256 parts of a slice share evenly."""
  config = Config(num_steps=10_000_000, eval_every=1_000_000)
  config.arms = {"muzero_lm": {}}
  config.env.name = "twc"
  config.env.num_lanes = 256
  config.prior.model = "llama3.1-8b"
  config.prior.dtype = "bfloat16"
  config.prior.prompt = "calibrated"
  config.model.width = 3520  # 202 million parameters.
  config.model.max_facts = 32
  config.model.max_phrases = 65_536
  config.search.num_simulations = 32
  config.replay.capacity = 1_048_576
  config.replay.batch_size = 256
  config.replay.min_size = 16_384
  config.learn.updates_per_env_step = 1 / 64
  return config
