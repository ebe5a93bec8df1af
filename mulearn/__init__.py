"""mulearn: learn the world, let language suggest, let search decide."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Found when first asked for: `import mulearn` alone stays instant, and the
# layers below need not know those above.
_HOMES = {"restore_agent": "mulearn.board_train"}


def __getattr__(name: str) -> Any:
  if name not in _HOMES:
    raise AttributeError(f"module 'mulearn' has no attribute {name!r}")
  return getattr(importlib.import_module(_HOMES[name]), name)
