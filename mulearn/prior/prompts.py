"""Prompts a language model may be asked with; calibration chooses among them.

A prompt is what comes before every observation. None of them was written with a
held-out game in view.
"""

# Ends a prompt's examples and begins the observation.
_SEPARATOR = "\n\n"

PLAIN = (
    "A careful player solves a text adventure. Each command is the most"
    " sensible next step."
)

_HOUSEHOLD_TASK = (
    "Task: pick up objects, then place them in their usual locations in the"
    " environment."
)

TRANSCRIPT = _SEPARATOR.join(
    (
        PLAIN,
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

QUEST = _SEPARATOR.join(
    (
        PLAIN,
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

PROMPTS = {"plain": PLAIN, "transcript": TRANSCRIPT, "quest": QUEST}


def prefix(name: str) -> str:
  """The text before every observation.

  Raises:
    ValueError: if there is no prompt of that name.
  """
  if name not in PROMPTS:
    raise ValueError(f"No prompt {name!r}; there are {sorted(PROMPTS)}.")
  return PROMPTS[name] + _SEPARATOR


def context(observation_prompt: str) -> str:
  """An observation, and the cue for a command."""
  return f"{observation_prompt}\n>"


def candidate(command: str) -> str:
  """A command as it follows the cue."""
  return f" {command}"


# Says nothing about the game: the context of a command's own frequency (PMI).
NULL_CONTEXT = context("You are somewhere.")
