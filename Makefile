# Every target makes what it needs first; everything is installed into .venv.
PYTHON ?= python3
# The compiled wheel runs on Debian's Python if there is one, which is built for speed; bench/README.md says more.
WHEEL_PYTHON ?= $(firstword $(wildcard /usr/bin/python3.1[1-9]) $(PYTHON))
BIN := .venv/bin
SOURCES := $(shell find proxy comparators -name '*.py')
COMPILED_TESTS ?= $(addprefix tests/,wire faults fuzz unit/comparators unit/core unit/http unit/ipc unit/judge unit/worker)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install setup demo test check fuzz wheel compiled bench faults soak compose constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/run.stamp ## shadow-proxy alone, as .venv/bin/shadow-proxy

setup: .venv/dev.stamp ## environment and development tools, in exactly the versions of constraints.txt

demo: .venv/run.stamp ## two scoring backends, traffic, the proxy; Ctrl-C ends everything
	$(BIN)/shadow-proxy demo $(ARGS)

# Most of a test's time is waiting, for sockets and processes: four at once, whatever the cores.
PYTEST := python -m pytest -n 4 --dist worksteal -m 'not slow'

test: setup ## all tests; those whose tool is missing skip with the reason
	$(BIN)/$(PYTEST) $(ARGS)

check: setup ## lint, format, types, floors, and a minute of fuzz
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.fuzz.hunt --minutes 1 --seed shadow-proxy

fuzz: setup ## search for bytes that the wire gets wrong, for MINUTES=30; what is found is printed as a named case
	$(BIN)/python -m tests.fuzz.hunt --minutes $(or $(MINUTES),30) $(ARGS)

wheel: dist/compiled.stamp ## a wheel with the hot modules compiled, in dist/; needs gcc and Python's headers

# Both run in a folder without the sources, which would be imported instead of the wheel.
compiled: .venv-wheel/dev.stamp ## the tests of what is compiled once more, on the compiled wheel
	rm -rf build/compiled && mkdir -p build/compiled
	cp -r tests bench pyproject.toml build/compiled
	cd build/compiled && ../../.venv-wheel/bin/$(PYTEST) -m 'not slow and not interpreted' $(COMPILED_TESTS) $(ARGS)

bench: .venv-wheel/dev.stamp ## side by side with nginx and Envoy, and comparators with DeepDiff
	mkdir -p build/bench && ln -sfn ../../bench build/bench/bench
	cd build/bench && ../../.venv-wheel/bin/python -m bench.load $(ARGS)
	cd build/bench && ../../.venv-wheel/bin/python -m bench.grid $(GRID)
	cd build/bench && ../../.venv-wheel/bin/python -m bench.compare --json bench/results/compare.json

faults: .venv-wheel/dev.stamp ## each faulty candidate under load: what clients see with mirroring on and off
	mkdir -p build/bench && ln -sfn ../../bench build/bench/bench && ln -sfn ../../tests build/bench/tests
	cd build/bench && ../../.venv-wheel/bin/python -m bench.faults $(ARGS)

soak: .venv-wheel/dev.stamp ## faults, reloads, mode changes and kills in turn for MINUTES=60: does all come back?
	mkdir -p build/bench && ln -sfn ../../bench build/bench/bench && ln -sfn ../../tests build/bench/tests
	cd build/bench && ../../.venv-wheel/bin/python -m bench.soak --minutes $(or $(MINUTES),60) $(ARGS)

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
	rm -rf .venv .venv-wheel build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev,fleet]'
	@touch $@ .venv/run.stamp

.venv-wheel/dev.stamp: dist/compiled.stamp
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$$(echo dist/*.whl)[dev]"
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/*.whl
	@touch $@

dist/compiled.stamp: pyproject.toml hatch_build.py constraints.txt $(SOURCES) | .venv-wheel/bin/python
	rm -rf dist
	HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 PIP_CONSTRAINT=constraints.txt \
	  .venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@touch $@

# Half an environment would count as a whole one the next time.
.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv-wheel/bin/python:
	$(WHEEL_PYTHON) -m venv .venv-wheel || { rm -rf .venv-wheel; exit 1; }
