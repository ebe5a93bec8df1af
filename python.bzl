"""py_library and py_test that need no rules from elsewhere.

Bazel's own fetch others over the network before anything can run (4.2 rules_cc,
8 and later rules_python). The attributes are theirs: where rules_python is at
hand, the line of BUILD that loads this file is all that changes. A test runs
under the interpreter that the environment variable PYTHON names (`.bazelrc`).
"""

_ATTRIBUTES = {
    "srcs": attr.label_list(allow_files = [".py"]),
    "data": attr.label_list(allow_files = True),
    "deps": attr.label_list(),
}

# Tests run where the files of the whole repository lie side by side.
_RUN = """#!/bin/sh
if [ ! -x "$PYTHON" ]; then
  echo "PYTHON is '$PYTHON', which cannot be run. Tests need an interpreter that" \\
    "has the packages: make setup, then PYTHON=\\$PWD/.venv/bin/python bazel" \\
    "test ..." >&2
  exit 1
fi
export PYTHONPATH="$PWD" PYTHONDONTWRITEBYTECODE=1
exec "$PYTHON" {main} "$@"
"""

def _runfiles(ctx):
    files = ctx.runfiles(files = ctx.files.srcs + ctx.files.data)
    for dep in ctx.attr.deps:
        files = files.merge(dep[DefaultInfo].default_runfiles)
    return files

def _library(ctx):
    return [DefaultInfo(
        files = depset(ctx.files.srcs),
        runfiles = _runfiles(ctx),
    )]

def _test(ctx):
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    text = _RUN.replace("{main}", ctx.file.main.short_path)
    ctx.actions.write(script, text, is_executable = True)
    return [DefaultInfo(executable = script, runfiles = _runfiles(ctx))]

py_library = rule(implementation = _library, attrs = _ATTRIBUTES)

py_test = rule(
    implementation = _test,
    attrs = dict(
        _ATTRIBUTES,
        main = attr.label(allow_single_file = [".py"], mandatory = True),
    ),
    test = True,
)
