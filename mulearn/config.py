"""One schema for every run: a sentence and a unit for each field.

An experiment's `config.py` builds a `Config` and names what it changes. Any
field can be set on the command line: `--config.search.num_simulations=32`.
The classes are plain (not frozen) so that typed overrides work; those without
dictionaries hash by value, so that `jax.jit` can take them as static arguments.
Nothing changes a config once a run has begun.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any, TypeVar

_Choice = TypeVar("_Choice")


def choose(choices: Mapping[str, _Choice], field: str, value: str) -> _Choice:
  """What a field of a config names.

  Args:
    choices: all that it can name.
    field: where it stands, such as `search.policy`.
    value: the name that it holds.

  Raises:
    ValueError: there is no such thing.
  """
  if value not in choices:
    raise ValueError(
        f"config.{field} is {value!r}; it must be one of {', '.join(choices)}."
    )
  return choices[value]


def whole_count(
    name: str, ratio: float, unit: str, moves: int, *, at_least: int = 0
) -> int:
  """A fixed ratio to the moves played, as a number for each so many of them.

  Args:
    name: field of the config that holds the ratio.
    ratio: to one move.
    unit: what the moves are in the config's words, such as `env.num_lanes`.
    moves: played between two times.
    at_least: the least that makes sense.

  Raises:
    ValueError: it does not come out whole.
  """
  count = round(ratio * moves, 6)
  if count < at_least or count != int(count):
    raise ValueError(
        f"{name} x {unit} is {count:g}; a whole number of at least {at_least}"
        " is needed, so that data and work keep their ratio whatever the speed."
    )
  return int(count)


@dataclasses.dataclass(kw_only=True)
class EnvConfig:
  """Which games are played, and how they are hosted."""

  name: str = "twc"  # twc, cookingworld, mapreader, coin, tic_tac_toe, ...
  params: dict[str, int] = dataclasses.field(default_factory=dict)
  step_limit: int = 12  # commands until an episode is cut
  num_train_games: int = 100  # train seeds that acting draws from
  num_test_games: int = 100  # held-out test seeds of the final evaluation
  num_dev_games: int = 40  # dev seeds of the curve along the way
  num_simulator_games: int = 30  # test seeds that search in the true game plays
  num_lanes: int = 16  # games that step together while acting
  num_eval_lanes: int = 50  # games that step together while evaluating
  num_processes: int = 2  # worker processes that host the lanes
  timeout_seconds: float = 60.0  # a worker silent for this long is restarted


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class PriorConfig:
  """What language already believes, and how far it is trusted."""

  kind: str = "language"  # language, uniform or shuffled
  model: str = "smollm2-135m"  # a name known to lm.load, or a path
  dtype: str = "float32"  # float32 or bfloat16
  num_devices: int = 1  # of each host, that share its copy of the model
  prompt: str = "calibrated"  # calibrated, or a name in prior/prompts.py
  method: str = "calibrated"  # calibrated, or a name in lm.METHODS
  temperature: float = 0.0  # of the scores; 0 = calibrated on train games
  calibration_games: int = 40  # train games whose gold commands calibrate
  fusion: str = "gated"  # gated, product, annealed, exponent or head
  trust: float = 0.5  # initial weight of the language model, in (0, 1)
  learn_trust: bool = True  # False keeps the weight where it starts
  in_tree: bool = True  # False: the prior acts at the root alone


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class ModelConfig:
  """The learned world."""

  kind: str = "world"  # world (MuZero) or, on the device, simulator
  # (AlphaZero), stochastic (a world with chance), sampled (a world with
  # continuous actions) or a baseline that does not search: ppo, a2c,
  # trpo, dqn
  num_codes: int = 32  # of chance, that a stochastic world tells apart
  width: int = 128  # of every hidden layer, and of latents that are no maps
  channels: int = 0  # of latents that are maps, in a world on the device: of
  # pictures, by convolutions, or of boards, by windows; 0 is a perceptron
  window: int = 0  # side of the windows of a board that are read first, all
  # with the same weights, by a simulator or a world (with channels: of its
  # maps, which moves are written through as well); 0 reads cells
  window_features: int = 128  # that each window is read as; half as many for
  # what a move does to a map
  prefix_moves: int = 0  # imagined moves over which rewards are predicted as
  # one running sum (EfficientZero's value prefix); 0 predicts each by itself
  max_facts: int = 48  # facts of an observation that are read
  max_history: int = 16  # newest commands of the game that are remembered
  num_slots: int = 64  # candidate commands of a node (the most seen is 56)
  num_imagined: int = 16  # of them that an imagined node fills, at most
  max_phrases: int = 16384  # distinct phrases the phrase table can hold
  num_bins: int = 51  # of the categorical value and reward
  max_return: float = 2.0  # the support covers [-max_return, max_return]
  squashes_returns: bool = True  # bins lie evenly in MuZero's h, for returns of
  # many sizes; not needed where a game earns 1, 0 or -1
  dtype: str = "float32"  # of the matrices of boards, in search and loss;
  # bfloat16 is faster where the processor has it
  num_samples: int = 16  # actions that each node of kind sampled draws
  proposal: str = "tanh_gaussian"  # that they are drawn from, or discretised
  num_action_bins: int = 11  # of each dimension, where they are discretised
  proposal_temperature: float = (
      1.0  # above 1, drawn more widely than the policy
  )
  layer: int = 20  # of the language model, whose states embed a phrase


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class SearchConfig:
  """Thinking."""

  policy: str = "gumbel"  # gumbel, puct or regularized
  num_simulations: int = 16  # a move, while acting
  num_eval_simulations: int = 32  # a move, while evaluating
  max_considered: int = 16  # root actions of sequential halving
  value_scale: float = 0.1  # of the completed Q-values (Gumbel)
  eval_value_scale: float = 0.0  # the same while evaluating, where values of
  # more simulations may be trusted further; 0 takes value_scale
  eval_symmetries: bool = False  # judge all symmetries of a position while
  # evaluating, and take the mean; in searches, for simulators and worlds
  rescale_values: bool = False  # stretch each node's Q-values to [0, 1]; with
  # rewards of known size it would blow up the noise of an untrained value
  max_depth: int = 8  # of the tree, in moves


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class SelfPlayConfig:
  """Doing, on boards, where a game is played against oneself."""

  num_plies: int = 8  # moves of every lane between two rounds of learning
  opening_rate: float = 0.8  # share of games that open with random moves
  opening_plies: int = 8  # most of them; their number n is drawn from 1 to this
  opening_exponent: float = 0.0  # with chances that go as n to this power
  openings_at_once: bool = False  # random moves are made when a game begins,
  # neither searched nor remembered, and none ends the game
  temperature: float = 1.0  # of the search policy that moves are drawn from
  temperature_plies: int = 4  # moves until the search's own choice is played:
  # with Gumbel the best, with others a draw from what `search.policy` returns
  epsilon: float = 0.4  # chance of a random move, in the boldest lane of DQN


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class ReplayConfig:
  """Remembering."""

  capacity: int = 20_000  # environment steps over all lanes
  batch_size: int = 128  # sequences an update
  min_size: int = 512  # environment steps before the first update
  prioritised: bool = False  # sample sequences by their value error
  priority_exponent: float = 0.6  # chances go with the error to this power
  importance_exponent: float = 0.4  # weights with the chances to minus this;
  # 1 gives the gradient of uniform sampling back, in expectation
  reanalysed_per_env_step: float = 0.0  # stored moves searched again with the
  # newest target; of the targets learned from that is a share of
  # 1 - (1 - exp(-r)) / r: 21 % for .5, 37 % for 1, 99.5 % for 199
  data: str = ""  # folder of a data set of games (replay/recorded.py): nothing
  # is played, and a round learns as if its moves had been; "" plays


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class LearnConfig:
  """Improving."""

  teacher: str = "search"  # what stored moves are taught anew: search, or
  # critic (learn/crr.py)
  advantage_scale: float = 0.0  # of CRR, in units of reward: a move weighs
  # exp(advantage / scale), at most 20; 0: 1 if above the policy's, else 0
  unroll_steps: int = 4  # imagined moves the loss looks ahead
  unroll_gradient: float = 0.5  # share of the gradient that an imagined move
  # of a board hands back to where it began
  td_steps: int = 5  # rewards before the bootstrap
  trace_decay: float = 1.0  # lambda of TD(lambda); 1 is the n-step return
  correction_steps: int = 0  # optimiser steps of age by which a stored move's
  # return loses one reward before its bootstrap (EfficientZero's off-policy
  # correction, boards); 0 never
  explored_below: float = 0.0  # a move with less than this share of the search
  # policy's mode ends the return before it (boards); 0 never
  explored_nats: float = 0.0  # the same for a move that search raised by so
  # many nats less than another, which it thinks worse, not only rarer; 0 never
  discount: float = 0.95  # a move
  learning_rate: float = 1e-3  # peak, cosine to a tenth of it
  warmup_steps: int = 50  # optimiser steps
  weight_decay: float = 1e-3  # AdamW's
  max_grad_norm: float = 5.0  # of each group of parameters
  gate_learning_rate: float = 0.02  # of the trust
  updates_per_env_step: float = 0.5  # optimiser steps an environment step
  num_microbatches: int = 1  # parts of a batch on a board that are learned from
  # one after another, their gradients added up: less memory, and faster where
  # a part fits the cache of a CPU
  num_minibatches: int = 4  # of an epoch over a round, for PPO and the value of
  # TRPO; 1 for A2C
  clip_ratio: float = 0.2  # how far PPO may turn the odds of a move
  entropy_weight: float = 0.0  # of the policy's entropy, for PPO and A2C
  kl_limit: float = 0.01  # nats that a step of TRPO's policy may go, on average
  fisher_damping: float = 0.1  # added to the diagonal of TRPO's Fisher matrix
  target_decay: float = 0.0  # share of the target network that an optimiser
  # step keeps; it searches in place of the newest; 0 for none
  value_weight: float = 0.5  # weights of the loss's terms; policy has 1
  reward_weight: float = 1.0
  continue_weight: float = 0.5
  admissible_weight: float = 0.5
  chance_weight: float = 1.0  # of the odds of chance, in a stochastic world
  commitment_weight: float = 0.25  # of its encoder to the codes it names
  prior_weight: float = 1.0
  consistency_weight: float = 0.0  # of 1 - cosine of imagined and seen latents


@dataclasses.dataclass(kw_only=True)
class Config:
  """One experiment: a run, or a study of several arms and seeds.

  `arms` maps the name of an arm to what it changes, as dotted fields. Every
  arm is run with `num_seeds` seeds, counted from `seed`.
  """

  seed: int = 0  # the first seed
  num_seeds: int = 1  # runs of each learning arm
  arms: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
  baselines: tuple[str, ...] = ()  # random, lm, lm_sampled, simulator_lm, gold
  simulator_arm: str = ""  # arm whose agents `simulator_lm` plays with
  player: str = "search"  # how an arm is evaluated: search, or policy (bare)
  num_steps: int = 4000  # environment steps of each learning arm
  imitation_steps: int = 0  # optimiser steps on gold paths of train games
  imitation_games: int = 100  # train games whose gold paths are cloned
  eval_every: int = 1000  # environment steps between points of the curve
  eval_growth: float = 1.0  # above 1, a board's points after `eval_every` come
  # each at so many times the environment steps of the last
  keep_agents: bool = False  # a board's parameters at every point, in agents/
  checkpoint_every_seconds: float = 30.0  # between checkpoints
  num_checkpoints: int = 2  # newest that are kept; 2 survive a damaged one
  num_shards: int = 0  # parts of a board's lanes and replay that draw apart,
  # shared by the devices: fixed when a run begins; 0 is one a device
  env: EnvConfig = dataclasses.field(default_factory=EnvConfig)
  prior: PriorConfig = dataclasses.field(default_factory=PriorConfig)
  model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
  search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
  self_play: SelfPlayConfig = dataclasses.field(default_factory=SelfPlayConfig)
  replay: ReplayConfig = dataclasses.field(default_factory=ReplayConfig)
  learn: LearnConfig = dataclasses.field(default_factory=LearnConfig)
