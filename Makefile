# Two commands do everything on a machine with Python 3.11+, pip and make: `make demo` and `make test`.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Threads of the numeric libraries: tests run side by side, so each stays on one.
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=2 MPLBACKEND=agg
WORKERS ?= 2
# Tests wait for the disk as often as what they test syncs a file to it; in memory, where there is room, they do not.
IN_MEMORY := $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 8000000 { print "-p /dev/shm" }')
# Where bytecode is not kept, each of the many processes compiles every library anew: most of its time.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test check lint types imports audit tests bench integrations lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.uv:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; choose one with make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	touch $@

$(VENV)/.run: $(VENV)/.uv requirements/run.txt pyproject.toml
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --require-hashes -r requirements/run.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --require-hashes -r requirements/dev.txt
	touch $@

setup: $(VENV)/.dev ## the environment alone, in .venv/

demo: $(VENV)/.run ## the main job: a model on real flight data, from a goal to its replacement
	$(BIN)/everloop demo

test: lint types imports audit tests ## formatting, lint, types, import rules, audit, tests, the docs' examples

lint: $(VENV)/.dev ## ruff's format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## mypy, strict on src
	$(BIN)/mypy

imports: $(VENV)/.dev ## the rooms' import rules
	$(BIN)/lint-imports --no-cache

audit: $(VENV)/.dev ## digests, licences, yanked and vulnerable versions of what we depend on
	$(BIN)/python requirements/audit.py

tests: $(VENV)/.dev
	folder=$$(mktemp -d $(IN_MEMORY))
	trap 'rm -rf "$$folder"' EXIT
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=15 --basetemp "$$folder/tests" -o tmp_path_retention_policy=failed

check: $(VENV)/.dev ## the fast inner loop, under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --maxfail=5 tests/core tests/spec tests/measure tests/table tests/house

bench: $(VENV)/.dev ## benchmarks, each beside a peer or a bound in the same run
	$(BIN)/python -m benchmarks

integrations: ## outside systems, each group in an environment of its own
	$(PYTHON) integrations/run.py

lock: $(VENV)/.uv ## resolve the requirements anew
	$(UV) pip compile --quiet --upgrade --universal -p 3.11 pyproject.toml --extra all --extra postgresql --group dev --no-emit-index-url --no-header --generate-hashes -o requirements/dev.txt
	$(UV) pip compile --quiet --universal -p 3.11 pyproject.toml --extra all -c requirements/dev.txt --no-emit-index-url --no-header --generate-hashes -o requirements/run.txt

clean: ## remove the environments and caches
	rm -rf $(VENV) .venv-integrations .venv-benchmarks .mypy_cache .ruff_cache .pytest_cache .import_linter_cache demo
