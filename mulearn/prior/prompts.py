"""Prompts a language model may be asked with; calibration chooses among them.

A prompt is what comes before every observation, and which lines of the
observation it shows: a small model is soon distracted. None of them was
written with a held-out game in view.
"""

import dataclasses

# Ends a prompt's examples and begins the observation.
_SEPARATOR = "\n\n"


@dataclasses.dataclass(frozen=True)
class Prompt:
  """One way to put the question.

  Attributes:
    examples: the text before every observation.
    shows: beginnings of the lines of an observation that are kept; all lines
      are if there are none.
  """

  examples: str
  shows: tuple[str, ...] = ()


_CAREFUL = (
    "A careful player solves a text adventure. Each command is the most"
    " sensible next step."
)

_HOUSEHOLD_TASK = (
    "Task: pick up objects, then place them in their usual locations in the"
    " environment."
)

_TRANSCRIPT = _SEPARATOR.join(
    (
        _CAREFUL,
        f"""{_HOUSEHOLD_TASK}
You are in the garage.
You see: bicycle, hammer, empty shelf, closed toolbox.
You carry: nothing.
> take hammer""",
        f"""{_HOUSEHOLD_TASK}
You are in the garage.
You see: bicycle, empty shelf, closed toolbox.
You carry: hammer.
> open toolbox""",
        f"""{_HOUSEHOLD_TASK}
You are in the garage.
You see: bicycle, empty shelf, open toolbox.
You carry: hammer.
> put hammer in toolbox""",
        f"""{_HOUSEHOLD_TASK}
You are in the office.
You see: blue dictionary, bookshelf, desk, drawer, waste bin.
You carry: nothing.
> take blue dictionary""",
        f"""{_HOUSEHOLD_TASK}
You are in the office.
You see: bookshelf, desk, drawer, waste bin.
You carry: blue dictionary.
> put blue dictionary in bookshelf""",
    )
)

_QUEST = _SEPARATOR.join(
    (
        _CAREFUL,
        """Task: take the key that is in the shed, and put it into the bag.
You are in the shed.
You see: key, empty bucket.
Exits: north garden.
You carry: nothing.
> take key""",
        """Task: cook the meal of the recipe and eat it.
You are in the canteen.
You see: grill, closed cupboard, sink.
You carry: carrot, knife.
Notes: directions: dice carrot; grill carrot; prepare meal.
> dice carrot""",
    )
)

_HOUSEKEEPER = _SEPARATOR.join(
    (
        "A careful housekeeper puts every object in its usual place.",
        """You carry: hammer.
> put hammer in toolbox""",
        """You carry: nothing.
> take old letter""",
        """You carry: old letter.
> put old letter in mailbox""",
        """You carry: nothing.
> take ball""",
        """You carry: ball.
> open toy box""",
        """You carry: ball.
> put ball in toy box""",
    )
)

_RECIPE = _SEPARATOR.join(
    (
        "A careful cook follows the recipe, step by step.",
        """You carry: nothing.
> read cookbook""",
        """You carry: cookbook.
Notes: ingredients: leek. directions: slice leek; boil leek; prepare meal.
> take leek""",
        """You carry: cookbook, raw leek.
Notes: ingredients: leek. directions: slice leek; boil leek; prepare meal.
> take knife""",
        """You carry: cookbook, knife, raw leek.
Notes: ingredients: leek. directions: slice leek; boil leek; prepare meal.
> slice leek""",
        """You carry: cookbook, knife, sliced boiled leek.
Notes: ingredients: leek. directions: slice leek; boil leek; prepare meal.
> prepare meal""",
    )
)

_ERRAND = _SEPARATOR.join(
    (
        "A careful messenger fetches a thing and brings it where it belongs.",
        """Task: take the key from the shed, and put it into the bag in the hall.
You are in the hall.
You carry: nothing.
> move to the shed""",
        """Task: take the key from the shed, and put it into the bag in the hall.
You are in the shed.
You carry: nothing.
> take key""",
        """Task: take the key from the shed, and put it into the bag in the hall.
You are in the hall.
You carry: key.
> put key in bag""",
    )
)

PROMPTS = {
    "plain": Prompt(_CAREFUL),
    "transcript": Prompt(_TRANSCRIPT),
    "quest": Prompt(_QUEST),
    "housekeeper": Prompt(_HOUSEKEEPER, ("You carry: ",)),
    "recipe": Prompt(_RECIPE, ("You carry: ", "Notes: ")),
    "errand": Prompt(_ERRAND, ("Task: ", "You are in ", "You carry: ")),
}


def prefix(name: str) -> str:
  """The text before every observation; see `_find` for what is raised."""
  return _find(name).examples + _SEPARATOR


def context(name: str, observation_prompt: str) -> str:
  """What the prompt shows of an observation, and the cue for a command.

  Args:
    name: of the prompt; see `_find` for what is raised.
    observation_prompt: the observation as text, a line a kind of fact.
  """
  shows = _find(name).shows
  lines = observation_prompt.splitlines()
  kept = [x for x in lines if not shows or x.startswith(shows)]
  return "\n".join([*kept, ">"])


def candidate(command: str) -> str:
  """A command as it follows the cue."""
  return f" {command}"


def _find(name: str) -> Prompt:
  """The prompt of that name.

  Raises:
    ValueError: if there is none.
  """
  if name not in PROMPTS:
    raise ValueError(f"No prompt {name!r}; there are {sorted(PROMPTS)}.")
  return PROMPTS[name]


# Says nothing about the game: the context of a command's own frequency (PMI).
NULL_CONTEXT = "You are somewhere.\n>"
