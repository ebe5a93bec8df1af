"""How strength grows with compute: small agents on small boards of Hex.

Jones 2021, "Scaling scaling laws with board games",
https://arxiv.org/abs/2104.03113. `config.py:hex_4_16` is AlphaZero on 4x4 with a
perceptron 16 wide. Its parameters are kept at every point of its curve, which
come ever further apart, and `rate.py` lets each meet perfect play. It learns from
4 simulations a move; `config.py:hex_4_16_n16` learns from 16, and its points
begin with the first round.
"""

from experiments.hex import config as hex_config
from mulearn.config import Config

WIDTHS = (4, 8, 16, 32, 64)
NUM_STEPS = {"hex_3": 131_072, "hex_4": 262_144}
_SIZES = [f"{game}_{width}" for game in NUM_STEPS for width in WIDTHS]
ARMS = (*_SIZES, *(f"{size}_n16" for size in _SIZES))


def get_config(arm: str = "hex_4_16") -> Config:
  """One run; the arm says the board and how wide the networks are."""
  if arm not in ARMS:
    raise ValueError(f"No arm {arm!r} here; there are {', '.join(ARMS)}.")
  game, width = arm.removesuffix("_n16").rsplit("_", 1)
  config = hex_config.get_config(f"{game}_alphazero")
  config.num_steps = NUM_STEPS[game]
  config.eval_every = 2048
  config.eval_growth = 2**0.5
  config.keep_agents = True
  config.model.width = int(width)
  config.search.num_simulations = 4
  config.search.num_eval_simulations = 4
  # As soon as can be: once each lane holds a whole sequence.
  config.replay.min_size = 1024
  if arm.endswith("_n16"):
    config.search.num_simulations = 16
    # Few lanes, so that whole games are learned from after few moves.
    config.env.num_lanes = 16
    config.replay.min_size = 16 * (config.learn.td_steps + 1)
    config.eval_every = 128
    config.eval_growth = 2.0
  return config
