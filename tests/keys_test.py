"""The keys of a run: apart from each other, the same for the same counter."""

import jax
import numpy as np

from mulearn.keys import Keys, at


def test_no_two_purposes_counters_or_seeds_share_a_key():
  keys = [
      at(key, counter)
      for seed in (0, 1)
      for key in Keys.from_seed(seed)
      for counter in (0, 1)
  ]
  values = {tuple(np.asarray(jax.random.key_data(key))) for key in keys}
  assert len(values) == 2 * len(Keys._fields) * 2


def test_the_same_seed_and_counter_give_the_same_key():
  one, two = (at(Keys.from_seed(7).learn, 64) for _ in range(2))
  assert one == two
