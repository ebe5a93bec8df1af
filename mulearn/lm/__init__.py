"""A small language model in JAX: load it, score with it, encode with it."""

from mulearn.lm.decoder import Decoder, DecoderConfig
from mulearn.lm.encode import encode
from mulearn.lm.files import WeightsError, cache_directory, sha256
from mulearn.lm.model import LanguageModel, load, logits
from mulearn.lm.registry import KNOWN_MODELS, fetch
from mulearn.lm.score import METHODS, Scorer, Scores, score
