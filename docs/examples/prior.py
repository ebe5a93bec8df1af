"""A new prior: what a player believes of commands before any search.

It prefers commands that share words with the task. A language model knows more;
this one costs nothing, and shows all that a prior has to do.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from mulearn.env.base import TextObservation
from mulearn.prior import fusion


class SharedWordsPrior:
  """A `mulearn.prior.base.Prior` that counts the words of the task.

  Attributes:
    num_tokens: of a language model, which is not asked.
  """

  num_tokens = 0

  def __init__(self, nats_a_word: float = 1.0):
    """A command gains `nats_a_word` for each word it shares with the task."""
    self._nats = nats_a_word

  def __call__(
      self, observations: Sequence[TextObservation]
  ) -> list[np.ndarray]:
    """Log-probabilities of the commands of each observation, float32."""
    return [self._log_probs(observation) for observation in observations]

  def _log_probs(self, observation: TextObservation) -> np.ndarray:
    task = set(observation.task.lower().split())
    shared = [len(task & set(c.split())) for c in observation.commands]
    logits = self._nats * np.array(shared, np.float32)
    return logits - np.log(np.sum(np.exp(logits)))


def main() -> None:
  """Asks it about one room, and mixes the answer with a policy head's."""
  observation = TextObservation(
      task="Put the dirty sock in the washing machine",
      facts=(),
      prompt="",
      commands=("eat dirty sock", "look around", "put sock in washing machine"),
  )
  [prior] = SharedWordsPrior()([observation])
  head = jnp.zeros(3)  # An untrained head has no opinion.
  policy = jnp.exp(fusion.gated(head, jnp.asarray(prior), jnp.float32(0.0)))
  for command, alone, mixed in zip(observation.commands, np.exp(prior), policy):
    print(f"{alone:.2f} {mixed:.2f} {command}")


if __name__ == "__main__":
  main()
