"""Fine-tuning: it learns, resumes exactly, and is the same on any mesh."""

import dataclasses
import json
import os
import signal

import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.checkpoint import CheckpointError
from mulearn.lm import finetune, text_data, train_step, weights
from mulearn.parallel import mesh as mesh_lib

CONFIG = finetune.FinetuneConfig(
    num_steps=6, batch_size=2, length=32, learning_rate=3e-3, warmup_steps=2,
    save_every=3, eval_every=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(tiny):
  examples = [
      {"prompt": f"{i} > ", "completion": "put the sock in the box"}
      for i in range(8)
  ]
  (encoded,) = zip(*(text_data.encode(tiny.tokenizer, e) for e in examples))
  return text_data.pack(encoded, CONFIG.length)


def train(tiny, rows, workdir, **changes):
  config = dataclasses.replace(CONFIG, **changes)
  return finetune.train(tiny, rows, config, workdir)


def numbers(model):
  return weights.parameter_arrays(model.params)


@pytest.mark.parametrize("rank", [0, 4])
def test_it_learns(tiny, rows, tmp_path, rank):
  config = dataclasses.replace(
      CONFIG, num_steps=30, learning_rate=2e-2, lora_rank=rank, save_every=30,
      eval_every=30,
  )  # fmt: skip
  done = finetune.train(tiny, rows, config, tmp_path, valid=rows)
  assert done.step == 30 and done.losses[-1] < 0.5 * done.losses[0]
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert [json.loads(line)["step"] for line in lines] == list(range(1, 31))
  assert json.loads(lines[-1])["valid_loss"] < 0.5 * done.losses[0]
  # What was learnt is used by the decoder as it is.
  before, after = (
      lm.score(model, ["3 > "], [["put the sock in the box"]])[0][0]
      for model in (tiny, done.model)
  )
  assert after > before + 1
  assert jax.tree.structure(done.model.params) == jax.tree.structure(
      tiny.params
  )


def test_a_stopped_run_continues_exactly(tiny, rows, tmp_path, monkeypatch):
  whole = train(tiny, rows, tmp_path / "whole")
  write, steps = finetune.Progress.update, []

  def interrupt(self, step, **rest):
    write(self, step, **rest)
    steps.append(step)
    if step == 2:
      os.kill(os.getpid(), signal.SIGINT)

  monkeypatch.setattr(finetune.Progress, "update", interrupt)
  first = train(tiny, rows, tmp_path / "parts")
  assert first.step == 2  # Ctrl-C stops after the step, and saves.
  monkeypatch.undo()
  second = train(tiny, rows, tmp_path / "parts")
  assert first.losses + second.losses == whole.losses
  for name, array in numbers(second.model).items():
    np.testing.assert_array_equal(array, numbers(whole.model)[name])
  assert not train(tiny, rows, tmp_path / "parts").losses


def test_another_run_is_not_continued(tiny, rows, tmp_path):
  train(tiny, rows, tmp_path, num_steps=1)
  with pytest.raises(CheckpointError, match="learning_rate was 0.003"):
    train(tiny, rows, tmp_path, num_steps=1, learning_rate=1.0)
  with pytest.raises(CheckpointError, match="another config"):
    train(tiny, rows, tmp_path, num_steps=1, lora_rank=2)


def test_only_adapters_are_trained_and_saved(tiny, rows):
  config = dataclasses.replace(CONFIG, lora_rank=2)
  run = train_step.Run(tiny.params, config, mesh_lib.make_mesh())
  assert {name[-2:] for name in run.state.params} == {".a", ".b"}
  assert not any(name.endswith((".a", ".b")) for name in run.frozen)


def test_the_model_given_stays_as_it_is(tiny, rows, tmp_path):
  before = {n: np.array(a) for n, a in numbers(tiny).items()}
  train(tiny, rows, tmp_path, num_steps=2)
  for name, array in numbers(tiny).items():
    np.testing.assert_array_equal(array, before[name])


def test_batches_that_do_not_fit(tiny, rows, tmp_path):
  with pytest.raises(ValueError, match="less than one batch of 64"):
    train(tiny, rows, tmp_path, batch_size=64)


@pytest.mark.parametrize("name", ["num_steps", "save_every", "eval_every"])
def test_counts_begin_at_one(name):
  with pytest.raises(ValueError, match=f"{name}=0; give 1 or more"):
    dataclasses.replace(CONFIG, **{name: 0})


_BOTH_MESHES = """
import sys
import jax, numpy as np
from mulearn import lm
from mulearn.lm import decoder, finetune, text_data, train_step
from mulearn.parallel import mesh as mesh_lib

config = lm.DecoderConfig(
    vocab_size=128, num_layers=2, width=32, hidden_width=64, num_heads=4,
    num_kv_heads=2, head_width=8)
model = lm.LanguageModel(
    config, lm.Decoder(config, decoder.random_arrays(0)), None, "none", "none")
rng = np.random.default_rng(0)
examples = [
    text_data.Encoded(
        rng.integers(0, 128, n).tolist(), [False] + [True] * (n - 1))
    for n in rng.integers(4, 24, 60).tolist()]
rows = text_data.pack(examples, 32)
one = mesh_lib.make_mesh(jax.devices()[:1])
eight = mesh_lib.make_mesh(fsdp=4, model=2)
for rank, shares in ((0, 8), (4, 4)):
  settings = finetune.FinetuneConfig(
      num_steps=20, batch_size=8, length=32, learning_rate=3e-3, lora_rank=rank)
  placed = train_step.Run(model.params, settings, eight).state
  held = max(len({str(s.index) for s in x.addressable_shards})
             for x in jax.tree.leaves(placed))
  assert held == shares, held
  losses = [
      finetune.train(
          model, rows, settings, f"{sys.argv[1]}/{rank}/{i}", mesh=m).losses
      for i, m in enumerate((one, eight))]
  assert losses[0][-1] < losses[0][0] - 0.01, losses
  print(np.abs(np.subtract(*losses)).max())
"""


def test_eight_devices_learn_what_one_does(tmp_path, run_on_devices):
  found = run_on_devices(8, "-c", _BOTH_MESHES, str(tmp_path))
  all_weights, adapters = map(float, found.split())
  assert all_weights <= 1e-4 and adapters <= 1e-4
