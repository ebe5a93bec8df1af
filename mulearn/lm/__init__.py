"""A small language model in JAX: load it, score with it, encode with it."""

from mulearn.lm.config import DecoderConfig, RopeScaling
from mulearn.lm.decoder import Decoder
from mulearn.lm.encode import encode
from mulearn.lm.export import export
from mulearn.lm.files import WeightsError, cache_directory, sha256
from mulearn.lm.generate import generate
from mulearn.lm.model import LanguageModel, describe, load, logits, save
from mulearn.lm.registry import KNOWN_MODELS, fetch
from mulearn.lm.score import (
    METHODS,
    PMI_METHODS,
    Scorer,
    Scores,
    constrained,
    normalise,
    score,
)
