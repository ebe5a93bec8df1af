"""What every game in the terminal asks and prints."""


def ask(prompt: str) -> str | None:
  """The next line that is not empty, stripped; None at the end of the input."""
  while True:
    try:
      line = input(prompt).strip()
    except EOFError:
      print()
      return None
    if line:
      return line


def signed(value: float | None) -> str:
  """A value with its sign; a dash where search never looked."""
  return "-" if value is None else f"{value:+.2f}"
