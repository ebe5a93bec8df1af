"""The agent: language prior, learned world and search, as one thing that plans.

What the prior reads is text, on the host; what search reads are numbers, on the
device. The agent is where they meet: one language-model call and one search for
a batch of real observations.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools

from flax import nnx
import jax
import numpy as np

from mulearn.config import Config, ModelConfig, SearchConfig, choose
from mulearn.env.base import TextObservation
from mulearn.model.base import mask_logits
from mulearn.model.networks import Networks, Observation
from mulearn.model.phrases import ROLES, PhraseTable
from mulearn.model.support import Support
from mulearn.model.world_model import WorldModel
from mulearn.parallel import hosts
from mulearn.parallel.mesh import make_mesh, replicated
from mulearn.prior import base as prior_lib
from mulearn.prior.fusion import RULES, trust_to_gate
from mulearn.search import plan as plan_lib
from mulearn.types import Array, Node, Plan


def make_networks(config: Config, rng_key: Array) -> Networks:
  """Fresh parameters for the config; consumes the key."""
  return Networks(
      config.model,
      text_width=PhraseTable.width,
      num_roles=len(ROLES),
      gate=trust_to_gate(config.prior.trust),
      rngs=nnx.Rngs(rng_key),
  )


@dataclasses.dataclass
class Agent:
  """Plans for text observations.

  Attributes:
    config: of the run.
    networks: the parameters; replaced as they are learned.
    phrases: the phrase table.
    prior: what language believes.
    mesh: the devices that search is spread over, of all processes or of this.
  """

  config: Config
  networks: Networks
  phrases: PhraseTable
  prior: prior_lib.Prior
  mesh: jax.sharding.Mesh = dataclasses.field(default_factory=make_mesh)

  def observe(
      self,
      observations: Sequence[TextObservation],
      *,
      batch_size: int,
  ) -> tuple[Observation, np.ndarray]:
    """Reads texts: numbers and prior, padded to B = `batch_size`.

    Args:
      observations: at most B of them.
      batch_size: B; rows past the last observation repeat the first.

    Returns:
      The `Observation` of `[B, ...]` and the prior `[B, K]`.
    """
    numbers = self.phrases.observe(observations)
    prior = prior_lib.pad(self.prior(observations), self.config.model.num_slots)
    rows = np.arange(batch_size)
    rows[len(observations) :] = 0
    return jax.tree.map(lambda x: x[rows], numbers), prior[rows]

  def plan(
      self,
      rng_key: Array,
      observations: Sequence[TextObservation],
      *,
      num_simulations: int | None = None,
      deterministic: bool = True,
      batch_size: int | None = None,
  ) -> Plan:
    """Searches from each observation.

    Args:
      rng_key: consumed.
      observations: B of them.
      num_simulations: of each search; the config's for evaluation if None.
      deterministic: no exploration noise at the root.
      batch_size: pad the batch to this size, so that one program serves all.

    Returns:
      The `Plan` of the B observations, with its tree; actions are phrases.
    """
    numbers, prior = self.observe(
        observations, batch_size=batch_size or len(observations)
    )
    plan = self.search(
        rng_key,
        numbers,
        prior,
        num_simulations=num_simulations
        or self.config.search.num_eval_simulations,
        deterministic=deterministic,
    )
    return jax.tree.map(lambda x: x[: len(observations)], plan)

  def search(
      self,
      rng_key: Array,
      observation: Observation,
      prior_logits: np.ndarray,
      *,
      num_simulations: int,
      deterministic: bool,
  ) -> Plan:
    """`plan` for what `observe` returned, `[B, ...]`, any B.

    Where several processes share the mesh, B are those of this process, all must
    search at once, and the trees stay where they are.
    """
    size, here = len(prior_logits), hosts.local_mesh(self.mesh)
    shards = here.shape["data"]
    # Every shard searches as many: the last row fills up.
    rows = np.minimum(np.arange(-(-size // shards) * shards), size - 1)
    given = jax.tree.map(lambda x: x[rows], (observation, prior_logits))
    plan = search_batch(
        self.networks,
        *self.phrases.arrays(),
        rng_key,
        *hosts.whole(given, self.mesh),
        settings=TextSettings.from_config(self.config),
        num_simulations=num_simulations,
        deterministic=deterministic,
        mesh=self.mesh,
    )
    if here.size < self.mesh.size:
      plan = hosts.rows_of(plan._replace(tree=None))
    return jax.tree.map(lambda x: x[:size], plan)

  def apart(self) -> "Agent":
    """The agent of this process alone, who is free to look around.

    Others need not search when it does, and what it reads is not remembered.
    """
    networks, mesh = self.networks, hosts.local_mesh(self.mesh)
    if mesh.size < self.mesh.size:
      networks = jax.device_put(hosts.local(networks), replicated(mesh))
    return dataclasses.replace(
        self, networks=networks, phrases=self.phrases.copy(), mesh=mesh
    )

  def glance(
      self, observation: Observation, prior_logits: np.ndarray
  ) -> tuple[Node, Array]:
    """Root nodes `[B]` without search, and the bare head's logits `[B, K]`."""
    return _glance(
        self.networks,
        *self.phrases.arrays(),
        observation,
        prior_logits,
        settings=TextSettings.from_config(self.config),
    )


@dataclasses.dataclass(frozen=True)
class TextSettings:
  """What the compiled programs depend on, compared by value.

  Attributes:
    fusion: the rule by which head and prior become one policy.
    in_tree: whether the prior acts below the root.
    discount: of one move.
    model: the sizes of the learned world.
    search: the numbers of search.
  """

  fusion: str
  in_tree: bool
  discount: float
  model: ModelConfig
  search: SearchConfig

  @classmethod
  def from_config(cls, config: Config) -> "TextSettings":
    """The settings of a run."""
    return cls(
        fusion=config.prior.fusion,
        in_tree=config.prior.in_tree,
        discount=config.learn.discount,
        model=config.model,
        search=config.search,
    )

  def world(
      self, networks: Networks, table: Array, vocabulary: Array
  ) -> WorldModel:
    """The model that these parameters and phrases make."""
    return WorldModel(
        networks=networks,
        table=table,
        vocabulary=vocabulary,
        fusion=choose(RULES, "prior.fusion", self.fusion),
        support=Support.from_config(self.model),
        discount=self.discount,
        num_imagined=min(self.model.num_imagined, self.model.num_slots),
        in_tree=self.in_tree,
    )


@functools.partial(
    jax.jit,
    static_argnames=("settings", "num_simulations", "deterministic", "mesh"),
)
def search_batch(
    networks: Networks,
    table: Array,
    vocabulary: Array,
    rng_key: Array,
    observation: Observation,
    prior_logits: Array,
    *,
    settings: TextSettings,
    num_simulations: int,
    deterministic: bool,
    mesh: jax.sharding.Mesh,
) -> Plan:
  """The compiled search of `Agent.search`, B divisible by the mesh."""
  return search_texts(
      networks, table, vocabulary, rng_key, observation, prior_logits,
      settings=settings,
      deterministic=deterministic,
      plan=functools.partial(
          plan_lib.plan, num_simulations=num_simulations, mesh=mesh
      ),
  )  # fmt: skip


def search_texts(
    networks: Networks,
    table: Array,
    vocabulary: Array,
    rng_key: Array,
    observation: Observation,
    prior_logits: Array,
    *,
    settings: TextSettings,
    deterministic: bool,
    plan: Callable[..., Plan],
) -> Plan:
  """Searches from texts in numbers, inside a program.

  Args:
    networks: the parameters.
    table: embeddings of the phrases, `[P, E]`.
    vocabulary: of imagination, `[P]`.
    rng_key: split into one key for the roots and one for search.
    observation: `[B, ...]`.
    prior_logits: of the language prior, `[B, K]`.
    settings: what is compiled in.
    deterministic: no exploration noise at the root.
    plan: `search.plan.plan` or `plan_shard`, but for `search`.

  Returns:
    The `Plan` of the B roots.
  """
  root_key, search_key = jax.random.split(rng_key)
  model = settings.world(networks, table, vocabulary)
  policy = choose(plan_lib.POLICIES, "search.policy", settings.search.policy)
  search = policy(settings.search, deterministic=deterministic)
  root = model.root(root_key, observation, prior_logits)
  return plan(model, search_key, root, search=search)


@functools.partial(jax.jit, static_argnames="settings")
def _glance(
    networks, table, vocabulary, observation, prior_logits, *, settings
):
  model = settings.world(networks, table, vocabulary)
  node = model.root(jax.random.key(0), observation, prior_logits)
  head = networks.policy_logits(
      table, node.state[0], observation.commands, observation.tried
  )
  return node, mask_logits(head, observation.invalid)
