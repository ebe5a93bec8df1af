"""The networks of a board: what a position is worth, and what a move leads to.

`Predictor` judges positions and is all that AlphaZero needs. `Imaginer` adds
the move from latent to latent that makes it MuZero, `ContinuousImaginer` takes
moves that are no numbers of a list. Perceptrons throughout: on small boards and
CPUs they are many times cheaper than convolutions.
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import nnx
import jax
from jax.experimental import layout
import jax.numpy as jnp

from mulearn.config import ModelConfig
from mulearn.model.base import mask_logits
from mulearn.model.proposal import PROPOSALS
from mulearn.types import Array, PyTree

_ZEROS = nnx.initializers.zeros_init()  # Untrained, a head has no opinion.
_LECUN = nnx.initializers.lecun_normal()

_dot = functools.partial(jnp.dot, preferred_element_type=jnp.float32)


@jax.custom_vjp
def product(x: Array, kernel: Array) -> Array:
  """`x @ kernel` of `[N, D]` and `[D, E]`, in the kernel's type."""
  return _dot(x.astype(kernel.dtype), kernel)


def _product_forward(x: Array, kernel: Array) -> tuple[Array, Any]:
  x = x.astype(kernel.dtype)
  return _dot(x, kernel), (x, kernel)


def _product_backward(saved: Any, gradient: Array) -> tuple[Array, Array]:
  x, kernel = saved
  gradient = gradient.astype(kernel.dtype)
  # CPUs are slow at a product whose left side is read by columns: in bfloat16
  # all three take half the time with its transpose written out. The kernel's
  # must not be: contracted as it lies, it is eleven times as fast where a
  # processor has tiles for bfloat16 (AMX).
  by_rows = layout.with_layout_constraint(x.T, layout.Layout((0, 1)))
  of_kernel = _dot(by_rows, gradient).astype(kernel.dtype)
  of_x = jax.lax.dot_general(
      gradient,
      kernel,
      (((1,), (1,)), ((), ())),
      preferred_element_type=jnp.float32,
  )
  return of_x, of_kernel


product.defvjp(_product_forward, _product_backward)


class Linear(nnx.Module):
  """A layer that sums its products in float32, whatever its kernel is in."""

  def __init__(
      self,
      in_features: int,
      out_features: int,
      *,
      kernel_init: nnx.initializers.Initializer = _LECUN,
      rngs: nnx.Rngs,
  ):
    kernel = kernel_init(rngs.params(), (in_features, out_features))
    self.kernel = nnx.Param(kernel)
    self.bias = nnx.Param(_ZEROS(rngs.params(), (out_features,)))

  def __call__(self, x: Array) -> Array:
    """`[..., D]` to `[..., E]`."""
    result = product(x.reshape(-1, x.shape[-1]), self.kernel[...])
    return result.reshape(*x.shape[:-1], -1) + self.bias[...]


class Reward(Linear):
  """Says the reward of each imagined move by itself.

  What imagining carries from move to move is the head's to choose: here it is
  the latent alone, in `value_prefix` a memory beside it.
  """

  def begin(self, latent: Array) -> PyTree:
    """What imagining starts from, of latents `[B, D]`."""
    return latent

  def latent(self, state: PyTree) -> Array:
    """Latents `[B, D]`."""
    return state

  def say(
      self, state: PyTree, latent: Array, outcome: Array
  ) -> tuple[PyTree, Array]:
    """What is carried on, and logits `[B, S]`.

    Args:
      state: before the move.
      latent: after it, `[B, D]`.
      outcome: what came of it, `[B, E]`.
    """
    del state
    return latent, self(outcome)

  def settle(self, state: PyTree, said: Array) -> tuple[PyTree, Array]:
    """What is carried on, and the reward `[B]` that `said` `[B]` means."""
    return state, said

  def taught(self, reward: Array) -> Array:
    """What the head learns to say of moves with rewards `[B, U]`."""
    return reward


class Block(nnx.Module):
  """A residual perceptron: `norm(x + W relu(V x))`."""

  def __init__(self, width: int, *, rngs: nnx.Rngs):
    self.inner = Linear(width, width, rngs=rngs)
    self.outer = Linear(width, width, rngs=rngs)
    self.norm = nnx.LayerNorm(width, rngs=rngs)

  def __call__(self, x: Array) -> Array:
    """`[..., D]` to `[..., D]`."""
    return self.norm(x + self.outer(jax.nn.relu(self.inner(x))))


def numbers(planes: Array) -> Array:
  """Observations as float32; the brightness of pixels (uint8) as 0 to 1."""
  scale = 255.0 if planes.dtype == jnp.uint8 else 1.0
  return planes.astype(jnp.float32) / scale


def level(latent: Array) -> Array:
  """Latents `[..., D]` with mean 0 and variance 1, so that none run away."""
  latent = latent - jnp.mean(latent, axis=-1, keepdims=True)
  scale = jax.lax.rsqrt(jnp.mean(latent**2, axis=-1, keepdims=True) + 1e-6)
  return latent * scale


class Predictor(nnx.Module):
  """From observations to latents, and from latents to policy and value."""

  def __init__(
      self,
      config: ModelConfig,
      *,
      observation_size: int,
      num_actions: int,
      rngs: nnx.Rngs,
  ):
    width, bins = config.width, config.num_bins
    self.read: nnx.Module = Linear(observation_size, width, rngs=rngs)
    self.read_block = Block(width, rngs=rngs)
    self.judge = Block(width, rngs=rngs)
    self.policy = Linear(width, num_actions, kernel_init=_ZEROS, rngs=rngs)
    self.value = Linear(width, bins, kernel_init=_ZEROS, rngs=rngs)

  def represent(self, planes: Array) -> Array:
    """Latents `[B, D]` of boards `[B, H, W, C]`."""
    flat = numbers(planes.reshape(planes.shape[0], -1))
    return self.read_block(jax.nn.relu(self.read(flat)))

  def predict(self, latent: Array) -> tuple[Array, Array]:
    """Policy logits `[..., A]` and value logits `[..., S]` of latents."""
    hidden = self.judge(latent)
    return self.policy(hidden), self.value(hidden)

  def log_policy(self, outputs: Array, invalid: Array, actions: Any) -> Array:
    """Log-probabilities of the slots of nodes.

    Args:
      outputs: of the policy head, `[..., A]`.
      invalid: `[..., K]`.
      actions: what slots stand for; here they are the actions, K = A.

    Returns:
      Log-probabilities `[..., K]`.
    """
    del actions
    return jax.nn.log_softmax(mask_logits(outputs, invalid))


class ActorCritic(Predictor):
  """A `Predictor` whose value has layers of its own."""

  def __init__(
      self,
      config: ModelConfig,
      *,
      observation_size: int,
      num_actions: int,
      rngs: nnx.Rngs,
  ):
    super().__init__(
        config,
        observation_size=observation_size,
        num_actions=num_actions,
        rngs=rngs,
    )
    self.value_read = Linear(observation_size, config.width, rngs=rngs)
    self.value_read_block = Block(config.width, rngs=rngs)
    self.value_judge = Block(config.width, rngs=rngs)

  def represent(self, planes: Array) -> Array:
    """Latents `[B, 2 D]` of boards: the policy's and the value's."""
    flat = numbers(planes.reshape(planes.shape[0], -1))
    latent = self.value_read_block(jax.nn.relu(self.value_read(flat)))
    return jnp.concatenate([super().represent(planes), latent], axis=-1)

  def predict(self, latent: Array) -> tuple[Array, Array]:
    """Policy logits `[..., A]` and value logits `[..., S]` of latents."""
    of_policy, of_value = jnp.split(latent, 2, axis=-1)
    policy = self.policy(self.judge(of_policy))
    return policy, self.value(self.value_judge(of_value))


class Imaginer(Predictor):
  """A `Predictor` that also imagines moves."""

  def __init__(
      self,
      config: ModelConfig,
      *,
      observation_size: int,
      num_actions: int,
      rngs: nnx.Rngs,
  ):
    super().__init__(
        config,
        observation_size=observation_size,
        num_actions=num_actions,
        rngs=rngs,
    )
    width = config.width
    # As loud as the latent: with flax's default, a sixteenth of it, the rules
    # of tic-tac-toe take five times as many updates to learn.
    self.move: nnx.Embed | Linear = nnx.Embed(
        num_actions,
        width,
        embedding_init=nnx.initializers.normal(1.0),
        rngs=rngs,
    )
    self.move_in = Linear(width, width, rngs=rngs)
    self.move_out = Linear(width, width, rngs=rngs)
    self.move_block = Block(width, rngs=rngs)
    self.outcome = Linear(width, width, rngs=rngs)
    self.reward = Reward(width, config.num_bins, kernel_init=_ZEROS, rngs=rngs)
    self.continues = Linear(width, 1, kernel_init=_ZEROS, rngs=rngs)
    self.legal = Linear(width, num_actions, kernel_init=_ZEROS, rngs=rngs)
    # For the consistency of what is imagined with what is seen (SimSiam).
    self.projector: Callable[[Array], Array] = Block(width, rngs=rngs)
    self.predictor: Callable[[Array], Array] = Block(width, rngs=rngs)

  def dynamics(
      self, state: PyTree, action: Array
  ) -> tuple[PyTree, Array, Array]:
    """Imagines one move.

    Args:
      state: `reward.begin` of latents `[B, D]`, or what came of another move;
        seen by the player who moves.
      action: `[B]`.

    Returns:
      The next state, seen by the player who moves next; logits `[B, S]` of
      what the reward head says, for the player who moved; and the logit that
      the game goes on `[B]`.
    """
    latent, outcome = self.imagine(self.reward.latent(state), action)
    state, reward = self.reward.say(state, latent, outcome)
    return state, reward, self.continues(outcome)[..., 0]

  def imagine(self, latent: Array, action: Array) -> tuple[Array, Array]:
    """Latents `[B, D]` after actions `[B]`, and what came of them `[B, E]`."""
    hidden = jax.nn.relu(self.move_in(latent) + self.move(action))
    hidden = self.move_block(hidden)
    outcome = jax.nn.relu(self.outcome(hidden))
    return level(self.move_out(hidden)), outcome

  def legal_logits(self, latent: Array) -> Array:
    """Logits `[..., A]` that each action is legal at latents `[..., D]`."""
    return self.legal(latent)


class ContinuousImaginer(Imaginer):
  """An `Imaginer` whose moves are vectors in `[-1, 1]^D`, all of them legal.

  What its policy head says are the numbers of `proposal`.
  """

  def __init__(
      self,
      config: ModelConfig,
      *,
      observation_size: int,
      num_actions: int,
      rngs: nnx.Rngs,
  ):
    """Draws the parameters; `num_actions` is D.

    Raises:
      ValueError: there is no such proposal.
    """
    if config.proposal not in PROPOSALS:
      raise ValueError(
          f"config.model.proposal is {config.proposal!r}; it must be one of"
          f" {', '.join(PROPOSALS)}."
      )
    self.proposal = PROPOSALS[config.proposal](config)
    super().__init__(
        config,
        observation_size=observation_size,
        num_actions=self.proposal.num_outputs(num_actions),
        rngs=rngs,
    )
    self.move = Linear(num_actions, config.width, rngs=rngs)
    del self.legal

  def log_policy(self, outputs: Array, invalid: Array, actions: Array) -> Array:
    """Log-densities `[..., K]` of actions `[..., K, D]`; all are valid."""
    del invalid
    return self.proposal.log_prob(outputs, actions)


def with_kernels_in(networks: Predictor, dtype: str) -> Predictor:
  """The networks with all matrices in `dtype`, "float32" or "bfloat16".

  Most of the time goes into matrix products, which modern processors do about
  twice as fast in bfloat16.
  """
  return jax.tree.map(lambda x: x.astype(dtype) if x.ndim == 2 else x, networks)
