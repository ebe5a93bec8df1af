"""The phrase table: every fact and command, once, as a language model sees it.

Replay and search hold phrase numbers; the table holds their embeddings. A
command that a held-out game brings for the first time gets a row like any
other, which is how the learned world can mean something by it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mulearn.config import ModelConfig
from mulearn.env.base import TextObservation
from mulearn.model.networks import Action, Observation
from mulearn.types import Array

Embed = Callable[[Sequence[str]], np.ndarray]
# Calls what it is given, or has another process call it: see `hosts.lead`.
Lead = Callable[[Callable[[], Sequence[np.ndarray]]], list[np.ndarray]]

# What a fact is about; the phrase proper comes after it.
ROLES = (
    "padding", "task", "room", "carrying", "here", "exit", "note", "last",
    "before", "visited", "elsewhere",
)  # fmt: skip
_TEXT_WIDTH = 96  # of the whitened embedding


class PhraseTable:
  """Phrases by number, with whitened embeddings.

  Attributes:
    width: E, of the whitened embeddings.
  """

  width = _TEXT_WIDTH

  def __init__(
      self,
      embed: Embed,
      config: ModelConfig,
      *,
      lead: Lead = lambda make: list(make()),
  ):
    """An empty table of `config.max_phrases` rows; row 0 is padding.

    Args:
      embed: texts -> `[N, raw width]`, for example `lm.encode`.
      config: sizes of the table and of an observation.
      lead: decides who computes rows, where processes give the same texts to
        their tables at once.
    """
    self._embed = embed
    self._config = config
    self._lead = lead
    self._texts: list[str] = [""]
    self._index: dict[str, int] = {"": 0}
    self._mean = np.zeros((), np.float32)
    self._whiten: np.ndarray | None = None
    self._table = np.zeros((config.max_phrases, _TEXT_WIDTH), np.float32)
    self._vocabulary = np.zeros(config.max_phrases, bool)
    self._device: tuple[Array, Array] | None = None

  def __len__(self) -> int:
    return len(self._texts)

  def text(self, phrase: int) -> str:
    """The phrase's words."""
    return self._texts[phrase]

  def fit(self, observations: Iterable[TextObservation]) -> None:
    """Learns the whitening from a survey of observations, before any use.

    Language-model embeddings share one large mean and few large directions;
    centred and whitened, distances mean more. Su et al. 2021, "Whitening
    sentence representations", https://arxiv.org/abs/2103.15316.

    Args:
      observations: what the train games look like.
    """
    if self._whiten is not None:
      raise ValueError("The phrase table is fitted already; fit it once.")
    texts: dict[str, None] = {}
    for observation in observations:
      texts.update((t, None) for t, _ in _read_facts(observation.facts))
      texts.update((t, None) for t in observation.commands)
    self._mean, self._whiten = self._lead(
        lambda: _whitening(self._embed(list(texts)))
    )

  def add(self, texts: Iterable[str]) -> None:
    """Gives a row to each text that has none.

    Raises:
      ValueError: if the table is full.
    """
    new = [t for t in dict.fromkeys(texts) if t not in self._index]
    if not new:
      return
    if self._whiten is None:
      raise ValueError("The phrase table is not fitted; call fit() first.")
    start, stop = len(self._texts), len(self._texts) + len(new)
    if stop > len(self._table):
      raise ValueError(
          f"The phrase table holds {len(self._table)} phrases and {stop} are"
          " needed; raise config.model.max_phrases."
      )
    [self._table[start:stop]] = self._lead(
        lambda: [(self._embed(new) - self._mean) @ self._whiten]
    )
    self._index.update((t, start + i) for i, t in enumerate(new))
    self._texts.extend(new)
    self._device = None

  def unknown(
      self, observations: Sequence[TextObservation]
  ) -> list[tuple[str, bool]]:
    """What `learn` would change after these observations.

    Args:
      observations: what is read.

    Returns:
      Texts without a row, and commands that imagination does not know; of each
      whether it is such a command.
    """
    commands = {text for o in observations for text in o.commands}
    found: dict[str, None] = {}
    for o in observations:
      facts = [text for text, _ in self._facts(o)]
      found.update(dict.fromkeys((*facts, *o.commands, *o.history)))
    return [
        (text, text in commands)
        for text in found
        if text not in self._index
        or (text in commands and not self._vocabulary[self._index[text]])
    ]

  def learn(self, entries: Iterable[tuple[str, bool]]) -> None:
    """Gives rows to texts, and commands to the vocabulary of imagination.

    Args:
      entries: what `unknown` gave, here or in another process.

    Raises:
      ValueError: if the table is full.
    """
    entries = list(entries)
    self.add(text for text, _ in entries)
    for text, is_command in entries:
      if is_command and text:
        self._vocabulary[self._index[text]] = True
        self._device = None

  def observe(
      self, observations: Sequence[TextObservation], *, learn: bool = False
  ) -> Observation:
    """Numbers for what is read, as numpy arrays.

    Args:
      observations: B of them.
      learn: also enter their commands into the vocabulary of imagination
        (imitation does, evaluation does not; acting calls `learn`).

    Returns:
      An `Observation` of numpy arrays.

    Raises:
      ValueError: if an observation has more commands than slots.
    """
    size, config = len(observations), self._config
    facts = np.zeros((size, config.max_facts), np.int32)
    roles = np.zeros((size, config.max_facts), np.int32)
    commands = np.zeros((size, config.num_slots), np.int32)
    tried = np.zeros((size, config.num_slots), np.float32)
    history = np.zeros((size, config.max_history), np.int32)
    read = [self._facts(o) for o in observations]
    entries = self.unknown(observations)
    self.learn(entries if learn else [(text, False) for text, _ in entries])
    for i, (observation, pairs) in enumerate(zip(observations, read)):
      if len(observation.commands) > config.num_slots:
        raise ValueError(
            f"An observation has {len(observation.commands)} commands but a"
            f" node has {config.num_slots} slots; raise config.model.num_slots."
        )
      facts[i, : len(pairs)] = [self._index[text] for text, _ in pairs]
      roles[i, : len(pairs)] = [role for _, role in pairs]
      numbers = [self._index[text] for text in observation.commands]
      commands[i, : len(numbers)] = numbers
      again = [text in observation.tried for text in observation.commands]
      tried[i, : len(again)] = again
      given = observation.history[-config.max_history :]
      if given:
        history[i, -len(given) :] = [self._index[text] for text in given]
    return Observation(facts, roles, commands, tried, history)

  def _facts(self, observation: TextObservation) -> list[tuple[str, int]]:
    return _read_facts(observation.facts)[: self._config.max_facts]

  def copy(self) -> "PhraseTable":
    """A table that goes on from here by itself."""
    if self._whiten is None:
      raise ValueError("The phrase table is not fitted; call fit() first.")
    twin = PhraseTable(self._embed, self._config)
    twin.restore(*self.save())
    return twin

  def arrays(self) -> tuple[Array, Array]:
    """Embeddings `[P, E]` and vocabulary `[P]`, on the device."""
    if self._device is None:
      # Copies: where a device shares the host's memory, `asarray` would go on
      # changing below a program that runs.
      self._device = (jnp.array(self._table), jnp.array(self._vocabulary))
    return self._device

  def save(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a checkpoint holds of the table: arrays, and JSON."""
    arrays = {
        "table": self._table,
        "vocabulary": self._vocabulary,
        "mean": self._mean,
        "whiten": self._whiten,
    }
    return arrays, {"texts": self._texts}

  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Of the arrays that `save` gives, fitted or not; embeds one text."""
    raw_width = self._embed(["room"]).shape[1]
    rows = self._config.max_phrases
    return {
        "table": jax.ShapeDtypeStruct((rows, _TEXT_WIDTH), np.float32),
        "vocabulary": jax.ShapeDtypeStruct((rows,), bool),
        "mean": jax.ShapeDtypeStruct((raw_width,), np.float32),
        "whiten": jax.ShapeDtypeStruct((raw_width, _TEXT_WIDTH), np.float32),
    }

  def restore(self, arrays: dict[str, Any], host: dict[str, Any]) -> None:
    """Puts back what `save` gave."""
    self._table = np.array(arrays["table"])
    self._vocabulary = np.array(arrays["vocabulary"])
    self._mean = np.array(arrays["mean"])
    self._whiten = np.array(arrays["whiten"])
    self._texts = list(host["texts"])
    self._index = {text: i for i, text in enumerate(self._texts)}
    self._device = None


def _whitening(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The mean `[D]` of embeddings `[N, D]`, and what whitens them `[D, E]`."""
  mean = raw.mean(axis=0)
  _, scale, basis = np.linalg.svd(raw - mean, full_matrices=False)
  scale, basis = scale[:_TEXT_WIDTH], basis[:_TEXT_WIDTH]
  deviation = scale / np.sqrt(len(raw)) + 1e-2 * scale[0] / np.sqrt(len(raw))
  whiten = np.zeros((raw.shape[1], _TEXT_WIDTH), np.float32)
  whiten[:, : len(scale)] = (basis / deviation[:, None]).T
  return mean, whiten


def take_action(
    observation: Observation, prior_logits: np.ndarray, slots: np.ndarray
) -> Action:
  """The command of each slot `[B]`, as the learned world takes it."""
  rows = np.arange(len(slots))
  return Action(
      observation.commands[rows, slots],
      observation.tried[rows, slots],
      prior_logits[rows, slots],
  )


def _read_facts(facts: Sequence[str]) -> list[tuple[str, int]]:
  """Splits "carrying: dirty sock" into its phrase and its role's number."""
  pairs = []
  for fact in facts:
    role, _, text = fact.partition(": ")
    if role in ROLES:
      pairs.append((text, ROLES.index(role)))
    else:  # "kitchen: closed fridge" is about another room.
      pairs.append((fact, ROLES.index("elsewhere")))
  return pairs
