"""Cached decoding against full passes, and what changes nothing."""

import dataclasses
import importlib

import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.lm import continuation, decoder
from mulearn.lm.generate import generate

# `lm` gives the name to the function.
generate_lib = importlib.import_module("mulearn.lm.generate")
PROMPTS = ["go", "put the sock", "a", "in the kitchen there is\n"]


@pytest.fixture(scope="module")
def windowed(tiny):
  """Norms, windows and two rope bases, as in Gemma 3."""
  config = dataclasses.replace(
      tiny.config, window=5, window_pattern=2, qk_norm=True, post_norms=True,
      embedding_scale=3.0, activation="gelu", rope_base=1e3,
  )  # fmt: skip
  params = lm.Decoder(config, decoder.random_arrays(1))
  return dataclasses.replace(tiny, config=config, params=params)


def greedy_by_full_passes(model, prompt, count):
  """Likeliest tokens without a cache, and the margins they won by."""
  ids = model.tokenizer.encode(prompt)
  start, margins = len(ids), []
  for _ in range(count):
    row = np.zeros((1, 64), np.int32)
    row[0, : len(ids)] = ids
    logits = np.asarray(lm.logits(model, row))[0, len(ids) - 1]
    margins.append(np.diff(np.sort(logits)[-2:])[0])
    ids.append(int(np.argmax(logits)))
  return ids[start:], min(margins)


@pytest.mark.parametrize("name", ["tiny", "windowed"])
def test_greedy_tokens_are_those_of_full_passes(name, request):
  model = request.getfixturevalue(name)
  ids = [model.tokenizer.encode(prompt) for prompt in PROMPTS]
  found = generate(model, ids, max_new_tokens=20, stop_ids=())
  for prompt, tokens in zip(PROMPTS, found):
    wanted, margin = greedy_by_full_passes(model, prompt, 20)
    assert margin > 1e-4  # Else rounding could decide.
    assert tokens == wanted


@pytest.mark.parametrize("name", ["tiny", "windowed"])
def test_cached_logits_are_those_of_full_passes(name, request):
  model = request.getfixturevalue(name)
  row = np.random.default_rng(0).integers(2, 261, (3, 40))
  from mulearn.lm.attention import Cache

  places = np.tile(np.arange(40), (3, 1))
  mask = np.tril(np.ones((3, 40, 40), bool))
  full, seen = model.params(row, places, mask, all_rows=True)
  # Rows are padded differently: what is behind a row's length is not seen.
  lengths = np.array([39, 21, 8])
  known = np.where(places < lengths[:, None], places, -1)
  cache = Cache(tuple(seen.keys), tuple(seen.values), known)
  last = row[np.arange(3), lengths][:, None]
  itself = np.ones((3, 1, 1), bool)
  hidden, _ = model.params(last, lengths[:, None], itself, cache)
  wanted = full[np.arange(3), lengths]
  np.testing.assert_allclose(
      model.params.unembed(hidden[:, 0]),
      model.params.unembed(wanted),
      atol=1e-4,
  )


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_company_and_order_change_nothing(tiny, temperature):
  settings = dict(max_new_tokens=12, temperature=temperature, stop_ids=())
  together = generate(tiny, PROMPTS, **settings)
  backward = generate(tiny, PROMPTS[::-1], **settings)[::-1]
  alone = [generate(tiny, [prompt], **settings)[0] for prompt in PROMPTS]
  padded = generate(tiny, [*PROMPTS, "x" * 40], **settings)[:-1]
  assert together == backward == alone == padded


def test_draws(tiny):
  settings = dict(max_new_tokens=8, temperature=1.0, stop_ids=())
  first = generate(tiny, ["go", "go"], **settings)
  assert first[0] != first[1]
  assert first == generate(tiny, ["go", "go"], **settings)
  assert first != generate(tiny, ["go", "go"], rng_key=1, **settings)
  key = jax.random.key(1)
  assert generate(tiny, ["go"], rng_key=key, **settings) == generate(
      tiny, ["go"], rng_key=1, **settings
  )
  filters = dict(top_k=5, top_p=0.9, min_p=0.05)
  assert generate(tiny, ["go"], **filters, **settings) != first[:1]
  cold = generate(tiny, ["go"], **settings | {"temperature": 1e-4})
  assert cold == generate(tiny, ["go"], **settings | {"temperature": 0.0})


def test_more_prompts_than_a_batch(tiny):
  prompts = [f"{i}" for i in range(70)]
  found = generate(tiny, prompts, max_new_tokens=2, stop_ids=())
  assert found[69] == generate(tiny, ["69"], max_new_tokens=2, stop_ids=())[0]
  assert generate(tiny, []) == []


def test_control_tokens_end_a_continuation(tiny):
  ids = [tiny.tokenizer.encode("go")]
  whole = generate(tiny, ids, max_new_tokens=10, stop_ids=())[0]
  cut = generate(tiny, ids, max_new_tokens=10, stop_ids=[whole[4]])[0]
  assert cut == whole[: whole.index(whole[4])]


def test_stop_strings_and_streams(tiny):
  whole = generate(tiny, ["go"], max_new_tokens=30, stop_ids=())[0]
  stop = whole[9:11]
  end = whole.index(stop)
  told = {0: "", 1: ""}

  def tell(index, text):
    told[index] += text

  settings = dict(max_new_tokens=30, stop_ids=(), stop=[stop, "no such text"])
  assert generate(tiny, ["go"], **settings) == [whole[:end]]
  found = generate(tiny, ["go", "put"], on_token=tell, **settings)
  assert found == [told[0], told[1]]
  assert found[0] == whole[:end]
  ids = generate(tiny, [tiny.tokenizer.encode("go")], **settings)[0]
  assert whole[:end].startswith(tiny.tokenizer.decode(ids))


def test_stops_are_looked_for_every_eight_tokens(tiny, monkeypatch):
  limits, decode = [], generate_lib.decode

  def count(decoder, state, limit, *choice):
    limits.append(limit)
    return decode(decoder, state, limit, *choice)

  monkeypatch.setattr(generate_lib, "decode", count)
  settings = dict(max_new_tokens=30, stop_ids=(), stop=["no such text"])
  generate(tiny, ["go"], **settings)
  assert limits == [9, 17, 25, 30]


def test_a_stream_tells_only_what_is_certain(tiny):
  told = []
  row = continuation.Continuation(
      tiny.tokenizer, 7, ["b\n"], True, lambda i, text: told.append((i, text))
  )
  ends = np.zeros(261, bool)
  for token in tiny.tokenizer.encode("aé") + tiny.tokenizer.encode("b"):
    row.extend(np.array([token]), ends, False)
  assert told == [(7, "a"), (7, "é")]
  row.extend(np.array(tiny.tokenizer.encode("c")), ends, True)
  assert told[-1] == (7, "bc") and row.finished


def test_wrong_arguments(tiny):
  with pytest.raises(ValueError, match="shorten the prompt"):
    generate(tiny, ["x" * 60], max_new_tokens=10)
  with pytest.raises(ValueError, match="max_new_tokens=0"):
    generate(tiny, ["x"], max_new_tokens=0)
  with pytest.raises(ValueError, match="stop string is empty"):
    generate(tiny, ["x"], stop=[""])
  with pytest.raises(ValueError, match="token 261, but .* knows 261"):
    generate(tiny, [[3, 261]])


def test_the_real_model_knows_a_capital(smollm2):
  prompts = ["The capital of France is", "1, 2, 3, 4, 5,"]
  found = generate(smollm2, prompts, max_new_tokens=3)
  assert found[0].startswith(" Paris") and found[1].startswith(" 6")
