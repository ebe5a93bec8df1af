"""Batches of sequences that the tests of learning share."""

import dataclasses

import jax
import numpy as np
import pytest

from mulearn.model.phrases import take_action
from mulearn.types import Trajectory


@pytest.fixture
def make_batch(phrases, rooms):
  """Random sequences `[B, T]` over the rooms; fields may be given."""

  def make(batch=6, length=5, seed=0, **fields) -> Trajectory:
    rng = np.random.default_rng(seed)
    which = rng.integers(len(rooms), size=batch * length)
    tries = np.random.default_rng((seed, 1)).random((len(which), 8)) < 0.3
    seen = [
        dataclasses.replace(
            rooms[i],
            tried=tuple(c for c, again in zip(rooms[i].commands, row) if again),
        )
        for i, row in zip(which, tries)
    ]
    numbers = phrases.observe(seen, learn=True)
    valid = ~numbers.invalid
    policy = rng.random(valid.shape).astype(np.float32) * valid
    policy /= policy.sum(-1, keepdims=True)
    opinion = np.where(valid, rng.normal(size=valid.shape), -np.inf)
    norm = np.log(np.exp(opinion).sum(-1, keepdims=True))
    prior = np.where(valid, opinion - norm, 0.0).astype(np.float32)
    improvement = np.random.default_rng((seed, 2)).normal(size=valid.shape)
    improvement = np.float32(np.where(valid, improvement, 0.0))
    slots = np.array([rng.integers(v.sum()) for v in valid])
    flat = {
        "observation": numbers,
        "prior_logits": prior,
        "invalid": numbers.invalid,
        "policy": policy,
        "improvement": improvement,
        "action": take_action(numbers, prior, slots),
    }
    shape = (batch, length)
    flat = jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), flat)
    plain = {
        "value": rng.normal(size=shape).astype(np.float32),
        "reward": rng.normal(size=shape).astype(np.float32),
        "discount": np.ones(shape, np.float32),
        "truncated": np.zeros(shape, bool),
        "held_out": np.zeros(shape, bool),
    }
    return Trajectory(**(flat | plain | fields))

  return make
