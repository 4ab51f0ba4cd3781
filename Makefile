# seegrasp: `make demo` and `make test` work on a fresh machine. ROS 2 is used where it is sourced.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint clean

# The Python to set up with; empty: tools/bootstrap.py looks for one.
PYTHON ?=
SYSTEM_PYTHON := $(if $(PYTHON),$(PYTHON),python3)
# More arguments for the demo (ARGS="--seed 3 --objects 5") or for pytest (ARGS="-k doctor").
ARGS ?=

# Best-effort messages may be lost on a busy machine: a failed test gets two more chances (the summary lists them). The
# plug-in comes with the ROS wheels.
RERUNS = $$(python -c 'import pytest_rerunfailures' 2>/dev/null && echo --reruns 2 --reruns-delay 1 -rR)

help: ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: ## make .venv from the lock files and build the workspace; seconds when that is done
	@PYTHON="$(PYTHON)" $(SYSTEM_PYTHON) tools/bootstrap.py

demo: setup ## the simulated robot clears a bin; report in out/demo/
	@bin/seegrasp demo $(ARGS)

test: setup lint ## set up, lint, all tests
	@. tools/env.sh && python -m pytest $(RERUNS) $(ARGS)

lint: setup ## ruff: rules and format
	@. tools/env.sh && ruff check && ruff format --check

clean: ## remove what was built and written; keeps .venv
	rm -rf build install log out .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
