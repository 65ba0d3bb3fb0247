# Every target makes what it needs first; everything is installed into .venv.
PYTHON ?= python3
# Debian's Python is built for speed, as the peers are; bench/README.md says more.
BENCH_PYTHON ?= $(firstword $(wildcard /usr/bin/python3.1[1-9]) $(PYTHON))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install setup demo test check bench compose constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/run.stamp ## shadow-proxy alone, as .venv/bin/shadow-proxy

setup: .venv/dev.stamp ## environment and development tools, in exactly the versions of constraints.txt

demo: .venv/run.stamp ## two scoring backends, traffic, the proxy; Ctrl-C ends everything
	$(BIN)/shadow-proxy demo $(ARGS)

test: setup ## all tests; those whose tool is missing skip with the reason
	$(BIN)/python -m pytest -m 'not slow' $(ARGS)

check: setup ## lint, format, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv-bench/dev.stamp ## side by side with nginx and Envoy, and comparators with DeepDiff
	.venv-bench/bin/python -m bench.load $(ARGS)
	.venv-bench/bin/python -m bench.compare --json bench/results/compare.json

compose: ## the demo in containers, with Prometheus and Grafana
	deploy/compose/up

constraints: ## write constraints.txt anew, with the newest versions that pyproject.toml allows
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check '.[dev,fleet]'
	{ sed '/^[^#]/,$$d' constraints.txt; \
	  build/constraints/bin/python -m pip freeze --exclude shadow-proxy; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean: ## remove what the other targets made
	rm -rf .venv .venv-bench build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev,fleet]'
	@touch $@ .venv/run.stamp

.venv-bench/dev.stamp: pyproject.toml constraints.txt
	$(BENCH_PYTHON) -m venv .venv-bench || { rm -rf .venv-bench; exit 1; }
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Half an environment would count as a whole one the next time.
.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
