"""Hugging Face directories against transformers, for each family."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from mulearn import lm
from mulearn.parallel.mesh import make_mesh

DATA = pathlib.Path(__file__).parents[1] / "testdata" / "hugging_face"
FAMILIES = ("llama3", "gemma3", "qwen3")


@pytest.fixture(params=FAMILIES)
def directory(request) -> pathlib.Path:
  return DATA / request.param


def largest_difference(model, directory) -> float:
  with np.load(directory / "reference.npz") as reference:
    logits = np.asarray(lm.logits(model, reference["tokens"]), np.float64)
    total = np.log(np.exp(logits).sum(-1))
    return max(
        np.abs(logits[..., ::8] - reference["logits"]).max(),
        np.abs(total - reference["logsumexp"]).max(),
    )


def test_logits(directory):
  assert largest_difference(lm.load(directory), directory) <= 1e-4


@pytest.mark.parametrize(
    "family, field, value",
    [
        ("llama3", "rope_parameters", {"rope_theta": 5000.0}),
        ("llama3", "rms_norm_eps", 1e-2),
        ("gemma3", "sliding_window", 9),
        ("gemma3", "query_pre_attn_scalar", 8),
        ("gemma3", "layer_types", ["sliding_attention"] * 7),
        (
            "gemma3",
            "rope_parameters",
            {
                "full_attention": {"rope_theta": 1e6},
                "sliding_attention": {"rope_theta": 1e4},
            },
        ),
        (
            "gemma3",
            "rope_parameters",
            {
                "full_attention": {
                    "rope_theta": 1e6,
                    "rope_type": "linear",
                    "factor": 4.0,
                },
                "sliding_attention": {"rope_theta": 1e6},
            },
        ),
        ("qwen3", "rope_parameters", {"rope_theta": 1e4}),
    ],
)
def test_every_detail_shows(family, field, value, tmp_path):
  """The reference would notice if a field were not respected."""
  changed = copy(DATA / family, tmp_path, {field: value})
  assert largest_difference(lm.load(changed), DATA / family) > 3e-3


def copy(source, tmp_path, changes) -> pathlib.Path:
  target = shutil.copytree(source, tmp_path / "model")
  fields = json.loads((source / "config.json").read_text()) | changes
  (target / "config.json").write_text(json.dumps(fields))
  return target


def test_older_files_have_rope_fields_of_other_names(tmp_path):
  scaling = json.loads((DATA / "llama3" / "config.json").read_text())
  scaling = scaling["rope_parameters"]
  theta = scaling.pop("rope_theta")
  older = copy(
      DATA / "llama3",
      tmp_path,
      {"rope_parameters": None, "rope_theta": theta, "rope_scaling": scaling},
  )
  assert lm.load(older).config == lm.load(DATA / "llama3").config


def test_arrays_are_made_in_their_sharding(directory):
  mesh = make_mesh(jax.devices()[:1])
  asked = {}

  def sharding(name, shape):
    axes = [None] * len(shape)
    axes[-1] = "model"
    spec = jax.sharding.PartitionSpec(*axes)
    asked[name] = jax.sharding.NamedSharding(mesh, spec)
    return asked[name]

  model = lm.load(directory, sharding=sharding)
  assert model.params.blocks[0].attention.q[...].sharding == (
      asked["blocks.0.attention.q"]
  )
  assert len(asked) == len(jax.tree.leaves(model.params))
  assert largest_difference(model, directory) <= 1e-4


def test_bfloat16(directory):
  model = lm.load(directory, dtype="bfloat16")
  assert model.params.embedding[...].dtype == jax.numpy.bfloat16
  # Norms are computed in float32 and stay in it.
  assert model.params.norm.scale[...].dtype == np.float32
  assert 0 < largest_difference(model, directory) < 0.5


def test_tokenizer(directory):
  tokenizer = lm.load(directory).tokenizer
  assert tokenizer.start_ids == [256] and tokenizer.end_id == 257
  assert tokenizer.decode(tokenizer.encode("go ニャー")) == "go ニャー"
  assert 257 not in tokenizer.encode("a</s>")
  assert tokenizer.encode("a</s>", special=True)[-1] == 257
  text = tokenizer.render([{"role": "user", "content": " hi "}])
  assert text == "<s>user: hi\nyou: "
  ids = tokenizer.chat([{"role": "user", "content": "hi"}], answer=False)
  assert ids == [256] + tokenizer.encode("user: hi\n")


def test_a_control_token_that_is_not_embedded(tmp_path):
  target = copy(DATA / "gemma3", tmp_path, {})
  fields = json.loads((target / "tokenizer.json").read_text())
  end = fields["added_tokens"][-1]
  fields["added_tokens"].append(end | {"id": 258, "content": "<picture>"})
  (target / "tokenizer.json").write_text(json.dumps(fields))
  tokenizer = lm.load(target).tokenizer
  assert tokenizer.vocab_size == 258 and tokenizer.special_ids == [256, 257]
  text = "a<picture></s>"
  assert tokenizer.decode(tokenizer.encode(text, special=True)) == text
  fields["added_tokens"][-1]["special"] = False
  (target / "tokenizer.json").write_text(json.dumps(fields))
  with pytest.raises(lm.WeightsError, match="259 tokens but only 258"):
    lm.load(target)


def test_the_decoder_inside_a_multimodal_model(tmp_path):
  source = DATA / "gemma3"
  fields = json.loads((source / "config.json").read_text())
  target = copy(source, tmp_path, {})
  fields = {"model_type": "gemma3", "text_config": fields, "vision_config": {}}
  (target / "config.json").write_text(json.dumps(fields))
  header, body = split(target / "model.safetensors")
  header = {
      "language_model." + name if name != "__metadata__" else name: entry
      for name, entry in header.items()
  }
  join(target / "model.safetensors", header, body)
  assert largest_difference(lm.load(target), source) <= 1e-4


def split(path):
  data = path.read_bytes()
  size = int.from_bytes(data[:8], "little")
  return json.loads(data[8 : 8 + size]), data[8 + size :]


def join(path, header, body):
  text = json.dumps(header).encode()
  path.chmod(0o600)
  path.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "mamba"}, "mamba"),
        ({"hidden_size": "16"}, "hidden_size is '16'"),
        ({"hidden_size": None}, "lacks 'hidden_size'"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
        ({"num_hidden_layers": 10**9}, "layers"),
        ({"num_hidden_layers": 3}, "layers.2"),
        ({"num_hidden_layers": 1}, "family does not know"),
        ({"intermediate_size": 25}, r"\(25, 16\)"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"hidden_act": "relu"}, "relu"),
        ({"vocab_size": 200}, "258 tokens"),
        ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "yarn"}}, "yarn"),
        ({"num_key_value_heads": 3}, "num_kv_heads=3"),
    ],
)
def test_what_cannot_be_read_is_named(changes, message, tmp_path):
  with pytest.raises(lm.WeightsError, match=message):
    lm.load(copy(DATA / "llama3", tmp_path, changes))


@pytest.mark.parametrize(
    "missing, message",
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "tokenizer.json"),
        ("model-00002-of-00003.safetensors", "00002-of"),
        ("model.safetensors.index.json", "model.safetensors"),
    ],
)
def test_a_missing_file_is_named(missing, message, tmp_path):
  target = copy(DATA / "llama3", tmp_path, {})
  (target / missing).unlink()
  with pytest.raises(lm.WeightsError, match=message):
    lm.load(target)


def test_kinds_of_layers_are_as_many_as_layers(tmp_path):
  kinds = ["sliding_attention"] * 9
  target = copy(DATA / "gemma3", tmp_path, {"layer_types": kinds})
  with pytest.raises(lm.WeightsError, match="not a regular pattern of"):
    lm.load(target)


def test_a_template_that_cannot_be_read(tmp_path):
  target = copy(DATA / "llama3", tmp_path, {})
  (target / "chat_template.jinja").write_bytes(b"\xff")
  with pytest.raises(lm.WeightsError, match="decode byte 0xff"):
    lm.load(target)


def test_an_index_cannot_lead_outside(tmp_path):
  target = copy(DATA / "llama3", tmp_path, {})
  index = target / "model.safetensors.index.json"
  index.write_text('{"weight_map": {"a": "../../secret"}}')
  with pytest.raises(lm.WeightsError, match="weight_map"):
    lm.load(target)


def test_the_hash_is_that_of_all_files(directory, tmp_path):
  first = lm.load(directory).sha256
  assert len(first) == 64 and first == lm.load(directory).sha256
  changed = copy(directory, tmp_path, {"note": 1})
  assert lm.load(changed).sha256 != first
