# Two commands do everything on a fresh Debian 12: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Databases of tests lie in memory where there is room: SQLite's commits otherwise wait for the disk.
SCRATCH := $(shell [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -1)" -gt 4000000 ] 2>/dev/null && echo TMPDIR=/dev/shm)
PYTEST := $(SCRATCH) $(BIN)/python -m pytest -q -n 2 --dist worksteal
CLIENT_SOURCES := $(shell find telerehab/web/client -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: help install demo test test-long check bench clean

help:  ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(VENV)/bin/python:
	@echo "== making a Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "telerehab needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 ..."; exit 3; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing: apt install python3-venv"; exit 3; }

$(VENV)/.run: requirements.lock $(VENV)/bin/python
	@echo "== installing the locked Python packages"
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.node: requirements-node.lock $(VENV)/.run
	@if $(BIN)/python -c 'import hatch_build; hatch_build.find_npm()' 2>/dev/null; \
	then echo "== building the pages with the Node.js of this machine"; \
	else echo "== no suitable Node.js here: taking one from PyPI"; $(PIP) install --require-hashes -r requirements-node.lock; fi
	@touch $@

$(VENV)/.installed: $(VENV)/.node pyproject.toml hatch_build.py $(CLIENT_SOURCES)
	@echo "== building the pages and installing telerehab"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed  ## Make the environment and the pages; the command stands at .venv/bin/telerehab

demo: install  ## Run the demonstration clinic (ARGS="--homes 4 --for 60")
	@$(BIN)/telerehab demo $(ARGS)

$(VENV)/.test: requirements-dev.lock $(VENV)/.installed
	@echo "== installing the locked packages of the tests"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

check: $(VENV)/.test  ## Format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python hatch_build.py check

test: $(VENV)/.test  ## Run the tests (NO_APT=1: install no Debian packages)
	@.ci/debian-packages
	@$(PYTEST) -m "not long" $(ARGS)

test-long: $(VENV)/.test  ## Run the long tests too: all seeds, soaks, products
	@.ci/debian-packages
	@TELEREHAB_LONG=1 $(PYTEST) --timeout 3600 $(ARGS)

bench: $(VENV)/.test  ## Measure; each figure beside its floor
	@$(BIN)/telerehab bench all $(ARGS)

clean:  ## Remove what was built
	rm -rf $(VENV) telerehab/web/static telerehab/web/client/node_modules dist
