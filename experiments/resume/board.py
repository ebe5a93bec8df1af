"""The smallest run of tic-tac-toe that leaves nothing out, for `processes.py`.

Its replay holds every move of the run, so that two runs whose last checkpoints
are equal have played the same games.
"""

from mulearn import config as c


def get_config() -> c.Config:
  """44 rounds of 8 games; 42 of them learn."""
  return c.Config(
      num_steps=44 * 32,
      eval_every=22 * 32,
      checkpoint_every_seconds=0.0,
      num_shards=8,
      env=c.EnvConfig(name="tic_tac_toe", step_limit=9, num_lanes=8),
      model=c.ModelConfig(
          kind="simulator", width=16, num_bins=11, max_return=1.0
      ),
      search=c.SearchConfig(
          num_simulations=2, num_eval_simulations=2, max_considered=4,
          max_depth=2,
      ),
      self_play=c.SelfPlayConfig(num_plies=4, opening_plies=3),
      replay=c.ReplayConfig(capacity=2048, batch_size=8, min_size=96),
      learn=c.LearnConfig(
          unroll_steps=0, td_steps=2, warmup_steps=2, discount=1.0,
          updates_per_env_step=1 / 32,
      ),
  )  # fmt: skip
