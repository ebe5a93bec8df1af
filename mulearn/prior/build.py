"""From a config to a prior: which model is asked, how, and with what cache."""

from collections.abc import Sequence
import functools
import pathlib

import jax

from mulearn import lm
from mulearn.config import ModelConfig, PriorConfig
from mulearn.lm import rules
from mulearn.parallel.mesh import make_mesh
from mulearn.prior import base, calibrate, language, prompts
from mulearn.prior.cache import Cache, default_directory
from mulearn.prior.embedding import Embedding

KINDS = ("language", "uniform", "shuffled")


class Language:
  """One language model and its cache, shared by all runs of a process."""

  def __init__(
      self, config: PriorConfig, cache_path: pathlib.Path | None = None
  ):
    """Opens the cache; the model itself is loaded when first needed.

    Args:
      config: which model, in which number format.
      cache_path: of the answers; a file in the user's cache if None.
    """
    path = cache_path or default_directory() / "answers.sqlite"
    self._cache = Cache(path)
    self.load = functools.cache(functools.partial(_load, config))
    self._name = f"{self._sha256(config.model)}:{config.dtype}"

  def _sha256(self, model: str) -> str:
    """What tells this model's answers from those of others."""
    if model in lm.KNOWN_MODELS:
      return lm.KNOWN_MODELS[model].sha256
    path = lm.fetch(model)
    return self.load().sha256 if path.is_dir() else lm.sha256(path)

  def raw_scores(self) -> language.RawScores:
    """A fresh counter of tokens over the shared cache."""
    return language.RawScores(self.load, self._name, self._cache)

  def embedding(self, config: ModelConfig) -> Embedding:
    """The text encoder of the learned world."""
    return Embedding(self.load, self._name, config.layer, self._cache)


def _load(config: PriorConfig) -> lm.LanguageModel:
  """Loads the model, whole on one device or shared by several of this host.

  Raises:
    ValueError: the host has fewer devices.
  """
  size, devices = config.num_devices, jax.local_devices()
  if not 1 <= size <= len(devices):
    raise ValueError(
        f"config.prior.num_devices is {size}, but this host has"
        f" {len(devices)}; as many of them can share the language model."
    )
  if size == 1:
    return lm.load(config.model, config.dtype)
  mesh = make_mesh(devices[:size], model=size)
  return lm.load(
      config.model,
      config.dtype,
      lambda name, shape: rules.sharding(name, shape, mesh),
  )


def choose_scoring(
    config: PriorConfig,
    raw: language.RawScores,
    demonstrations: Sequence[calibrate.Demonstration],
) -> tuple[language.Scoring, list[calibrate.Row]]:
  """The configured scoring, with everything left open calibrated.

  Args:
    config: prompt and method, or "calibrated"; a temperature or 0.
    raw: asks the language model.
    demonstrations: of train games.

  Returns:
    The scoring, and the table of what was tried, the likeliest first.
  """
  methods: tuple[str, ...] = lm.METHODS
  names = tuple(prompts.PROMPTS)
  if config.method != "calibrated":
    methods = (config.method,)
  if config.prompt != "calibrated":
    names = (config.prompt,)
  rows = calibrate.calibrate(
      raw, demonstrations, prompt_names=names, methods=methods
  )
  scoring = rows[0].scoring
  if config.temperature:
    scoring = language.Scoring(
        scoring.prompt, scoring.method, config.temperature
    )
  return scoring, rows


def make_prior(
    kind: str, raw: language.RawScores, scoring: language.Scoring | None
) -> base.Prior:
  """The prior of an arm.

  Raises:
    ValueError: if there is no such kind, or it needs a scoring and has none.
  """
  if kind == "uniform":
    return base.UniformPrior()
  if kind not in KINDS or scoring is None:
    raise ValueError(
        f"prior.kind is {kind!r}; it must be one of {KINDS}, and all but"
        " uniform need a calibrated scoring."
    )
  prior = language.LanguagePrior(raw, scoring)
  return base.ShuffledPrior(prior) if kind == "shuffled" else prior
