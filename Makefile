# Thin on purpose: each target is a line of a real tool. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench lock clean distclean

# Tests that load ONNX Runtime themselves send no usage data to its maker either.
export ORT_DISABLE_TELEMETRY := 1

BIN := .venv/bin
DEVICE_BIN := .venv-device/bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make the environments .venv and .venv-device, once (other targets do it by themselves)
	@scripts/setup.sh

demo: setup ## the whole line once: convert, enrol, roll out, roll back, drift (KEEP=1 leaves it running)
	$(BIN)/edge-sdk demo --agent-python $(DEVICE_BIN)/python $(if $(KEEP),--keep)

# Conversions wait for no clock: two at a time, a file's tests together, for they share what was converted.
SPREAD := tests/architecture tests/docs tests/edge_converters tests/edge_profiles

test: lint ## lint, then every test; what a device runs, in the environment of a device (ARGS=... goes to pytest)
	$(BIN)/pytest -n 2 --dist loadfile $(SPREAD) $(ARGS)
	$(BIN)/pytest --ignore tests/edge_agent $(addprefix --ignore ,$(SPREAD)) $(ARGS)
	$(DEVICE_BIN)/pytest tests/edge_agent tests/edge_contracts $(ARGS)

lint: setup ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## every headline figure again (each script prints a ratio)
	set -e; for script in $(wildcard benchmarks/[a-z]*.py); do echo "== $$script"; $(BIN)/python $$script; done

lock: setup ## renew requirements/*.txt from pyproject.toml (ARGS=--upgrade takes newer versions)
	scripts/lock.sh $(ARGS)

clean: ## remove what runs and tests left behind
	rm -rf .build dist demo-run .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## and the environments and cached work
	rm -rf .venv .venv-device .cache
