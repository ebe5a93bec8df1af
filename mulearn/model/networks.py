"""The networks of a text world: represent, dynamics, predict, and their heads.

Phrases (facts and commands) arrive as rows of a table of language-model
embeddings, so a command that was never tried still means something. Rows are
gathered first and projected after: the table itself has no gradient, and a
gradient through a gather would be a slow scatter.
"""

from typing import NamedTuple

from flax import nnx
import jax
import jax.numpy as jnp

from mulearn.config import ModelConfig
from mulearn.types import Array

_AGAIN = -6.0  # nats: what was tried at this very sight is of little use


class Observation(NamedTuple):
  """What a text network reads; row 0 of the phrase table is padding.

  Attributes:
    facts: phrase of each fact, `[B, F]`.
    roles: role of each fact (room, exit, carrying, ...), `[B, F]`.
    commands: phrase of each admissible command, `[B, K]`.
    tried: 1 where a command was given before at this very sight, `[B, K]`.
    history: phrases of the commands given in this game, the newest last and
      zeros before the first, `[B, H]`.
  """

  facts: Array
  roles: Array
  commands: Array
  tried: Array
  history: Array

  @property
  def invalid(self) -> Array:
    """True where a slot holds no command, `[B, K]`."""
    return self.commands == 0


class Action(NamedTuple):
  """A command as the learned world takes it.

  Attributes:
    command: its phrase, `[...]`.
    tried: 1 if it was given before: at the same sight, if it is a real one;
      in this game, if it is imagined, `[...]`.
    prior: the language model's log-probability of it; 0 for none, `[...]`.
  """

  command: Array
  tried: Array
  prior: Array


def was_tried(commands: Array, history: Array) -> Array:
  """1 where one of `[..., K]` commands is in the history `[..., H]`."""
  equal = commands[..., :, None] == history[..., None, :]
  return jnp.any(equal & (commands[..., :, None] > 0), axis=-1) * 1.0


class Head(nnx.Module):
  """Scores commands at a latent: `q(h) . e + w . relu(U h + V e)`."""

  def __init__(self, text_width: int, width: int, *, rngs: nnx.Rngs):
    hidden = width // 2
    zeros = nnx.initializers.zeros_init()  # Untrained, it has no opinion.
    self.query = nnx.Linear(width, text_width, kernel_init=zeros, rngs=rngs)
    self.latent = nnx.Linear(width, hidden, rngs=rngs)
    self.phrase = nnx.Linear(text_width, hidden, use_bias=False, rngs=rngs)
    self.out = nnx.Linear(hidden, 1, kernel_init=zeros, rngs=rngs)
    self.again = nnx.Linear(
        width,
        1,
        kernel_init=zeros,
        bias_init=nnx.initializers.constant(_AGAIN),
        rngs=rngs,
    )
    self.phrase_again = nnx.Linear(
        text_width, 1, use_bias=False, kernel_init=zeros, rngs=rngs
    )

  def __call__(
      self, latent: Array, phrases: Array, tried: Array | None = None
  ) -> Array:
    """Logits `[..., K]` of phrases `[..., K, E]` at latents `[..., D]`.

    `tried` `[..., K]` adds what a second attempt is worth.
    """
    match = jnp.einsum("...e,...ke->...k", self.query(latent), phrases)
    hidden = jax.nn.relu(
        self.latent(latent)[..., None, :] + self.phrase(phrases)
    )
    logits = match + self.out(hidden)[..., 0]
    if tried is not None:
      again = self.again(latent) + self.phrase_again(phrases)[..., 0]
      logits += tried * again
    return logits


class Networks(nnx.Module):
  """All parameters of the learned text world."""

  def __init__(
      self,
      config: ModelConfig,
      *,
      text_width: int,
      num_roles: int,
      gate: float,
      rngs: nnx.Rngs,
  ):
    width = config.width

    def linear(inputs, outputs, **kwargs):
      return nnx.Linear(inputs, outputs, rngs=rngs, **kwargs)

    self.role = nnx.Embed(num_roles, width, rngs=rngs)
    self.fact = linear(text_width, width)
    self.command = linear(text_width, width)
    self.fact_hidden = linear(width, width)
    self.command_hidden = linear(width, width)
    self.merge = linear(4 * width, width)
    self.merge_out = linear(width, width)
    self.latent_norm = nnx.LayerNorm(width, rngs=rngs)
    self.action = linear(text_width, width)
    self.action_again = linear(text_width, width)
    self.action_prior = linear(1, width, use_bias=False)
    self.dynamics_in = linear(width, width)
    self.compare_latent = linear(width, width)
    self.compare_action = linear(text_width, width)
    self.dynamics_hidden = linear(width, width)
    self.dynamics_out = linear(width, width)
    self.outcome = linear(width, width)
    zeros = nnx.initializers.zeros_init()
    self.reward = linear(width, config.num_bins, kernel_init=zeros)
    self.continues = linear(width, 1, kernel_init=zeros)
    self.value_hidden = linear(width, width)
    self.value = linear(width, config.num_bins, kernel_init=zeros)
    self.policy = Head(text_width, width, rngs=rngs)
    self.prior = Head(text_width, width, rngs=rngs)
    self.query = linear(width, width)
    self.admissible = linear(text_width, width)
    self.admissible_bias = nnx.Param(jnp.full((), -4.0))
    self.admissible_still = nnx.Param(jnp.full((), 2.0))
    self.predictor = linear(width, width)
    self.gate = nnx.Param(jnp.asarray(gate, jnp.float32))

  def represent(self, table: Array, observation: Observation) -> Array:
    """Latent `[B, D]` of an observation: two pooled sets, then an MLP."""
    facts = self.fact(table[observation.facts])
    facts = facts + self.role(observation.roles)
    facts = jax.nn.relu(self.fact_hidden(jax.nn.relu(facts)))
    commands = jax.nn.relu(self.command(table[observation.commands]))
    commands = jax.nn.relu(self.command_hidden(commands))
    pooled = jnp.concatenate(
        [
            *_pool(facts, observation.facts > 0),
            *_pool(commands, observation.commands > 0),
        ],
        axis=-1,
    )
    hidden = jax.nn.relu(self.merge(pooled))
    return self.latent_norm(self.merge_out(hidden))

  def dynamics(
      self, table: Array, latent: Array, action: Action
  ) -> tuple[Array, Array, Array]:
    """Imagines one move.

    Args:
      table: phrase embeddings, `[P, E]`.
      latent: `[B, D]`.
      action: the command, leaves `[B]`.

    Returns:
      The next latent `[B, D]`, reward logits `[B, S]`, and the logit that the
      game goes on `[B]`.
    """
    # The language model's opinion is an input, unless it is not trusted at all.
    heard = jax.lax.stop_gradient(jax.nn.sigmoid(self.gate[...]) > 0.0)
    prior = 0.3 * heard * action.prior[..., None]
    embedding = table[action.command]
    match = self.compare_latent(latent) * self.compare_action(embedding)
    hidden = jax.nn.relu(
        self.dynamics_in(latent)
        + self.action(embedding)
        + self.action_prior(prior)
        + action.tried[..., None] * self.action_again(embedding)
        + match
    )
    hidden = jax.nn.relu(self.dynamics_hidden(hidden))
    outcome = jax.nn.relu(self.outcome(hidden))
    next_latent = self.latent_norm(latent + self.dynamics_out(hidden))
    return next_latent, self.reward(outcome), self.continues(outcome)[..., 0]

  def value_logits(self, latent: Array) -> Array:
    """Categorical value `[B, S]` of a latent `[B, D]`."""
    return self.value(jax.nn.relu(self.value_hidden(latent)))

  def policy_logits(
      self, table: Array, latent: Array, commands: Array, tried: Array
  ) -> Array:
    """Policy head `[..., K]` over commands `[..., K]`, `tried` or not."""
    return self.policy(latent, table[commands], tried)

  def prior_logits(self, table: Array, latent: Array, commands: Array) -> Array:
    """What the language model would say `[B, K]`, from the latent alone.

    The latent is not shaped by this head, so that two runs which differ in
    their language model differ in their search and in nothing else.
    """
    latent = jax.lax.stop_gradient(latent)
    return self.prior(latent, table[commands])

  def admissible_logits(
      self, phrases: Array, latent: Array, was_admissible: Array
  ) -> Array:
    """Logit that each phrase is an admissible command at a latent.

    Args:
      phrases: `[..., P, E]`.
      latent: `[..., D]`.
      was_admissible: whether each was at the root; most still are, `[..., P]`.

    Returns:
      Logits `[..., P]`.
    """
    scale = self.query.out_features**-0.5
    keys = self.admissible(phrases)
    scores = jnp.einsum("...d,...pd->...p", self.query(latent), keys)
    still = self.admissible_still[...] * was_admissible
    return scores * scale + self.admissible_bias[...] + still


def _pool(values: Array, mask: Array) -> tuple[Array, Array]:
  """Mean and maximum of `[B, N, D]` over the marked of `[B, N]`."""
  weights = mask[..., None].astype(values.dtype)
  total = jnp.maximum(jnp.sum(weights, axis=-2), 1.0)
  mean = jnp.sum(values * weights, axis=-2) / total
  return mean, jnp.max(values * weights, axis=-2)  # values are >= 0
