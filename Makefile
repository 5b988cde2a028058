# The project's commands. They set up everything in .venv inside the clone; a second run starts at once.

PYTHON ?= python3
BIN := .venv/bin
SETUP := @PYTHON='$(PYTHON)' tools/setup.sh

.DEFAULT_GOAL := help
.PHONY: help demo test quick matrix servers lint types docs pictures bench check lock build clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: ## run the support agent: registry, events and enriched spans, on loopback
	$(SETUP) demo
	@$(BIN)/python examples/support_agent/run.py

test: servers ## run the tests; ARGS="tests/test_entry.py -k date" runs a part of them
	@$(BIN)/python -m pytest $(ARGS)

quick: ## run the fast tests that need no server, on all cores
	$(SETUP) test
	@$(BIN)/python -m pytest -q -n auto -m "not e2e and not slow and not hypothesis" $(ARGS)

matrix: ## every instrumentation, SDK and recipe of the documentation, for real; ARGS=--write-docs renews their tables
	$(SETUP) test
	@$(BIN)/python -m pytest -m matrix tests/matrix $(ARGS)

servers: ## get the Collector, Jaeger and Prometheus that tests run, once; minutes, with Go from PATH or as a package
	$(SETUP) test
	@$(BIN)/python tools/servers.py

lint: ## check rules and format
	$(SETUP) lint
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --diff
	@$(BIN)/python tools/fragments.py

types: ## check types: mypy strict, and pyright: the public types are complete
	$(SETUP) lint
	@$(BIN)/mypy
	@$(BIN)/python tools/verifytypes.py

docs: ## rewrite what is generated from the code: tables of the documentation, collector.yaml, evidence schema, dashboards
	$(SETUP) test
	@$(BIN)/python tools/docs.py
	@$(BIN)/python tools/collector_config.py
	@$(BIN)/python tools/schema.py
	@$(BIN)/python tools/dashboards.py

pictures: servers ## redraw the dashboards and Prometheus' alerts; needs Chromium, and Debian's prometheus installed
	@$(BIN)/python -m pytest -q tests/e2e/test_fleet.py -k panels --pictures docs/images

bench: ## measure what the library costs; ARGS="span-llm import" runs some benchmarks only
	$(SETUP) test
	@$(BIN)/python -m benchmarks $(ARGS)

check: lint types test ## all checks, as CI runs them

lock: ## renew the pinned dependencies
	@$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install --quiet uv && tools/lock.sh build/uv/bin/uv

build: ## build wheel and sdist into dist/
	$(SETUP) test
	@$(BIN)/python -m hatchling build

clean: ## remove what the commands made
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
