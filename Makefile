# The project's commands. Everything is set up in .venv inside the clone; a second run starts at once.

PYTHON ?= python3
BIN := .venv/bin
SETUP := @PYTHON='$(PYTHON)' tools/setup.sh

.DEFAULT_GOAL := help
.PHONY: help demo test matrix servers lint types docs pictures bench check lock build clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: ## run the support agent: registry, events and enriched spans, on loopback
	$(SETUP) demo
	@$(BIN)/python examples/support_agent/run.py

test: servers ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

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

docs: ## rewrite what is made from the code: tables of the documentation, the schema of evidence, dashboards
	$(SETUP) test
	@$(BIN)/python tools/docs.py
	@$(BIN)/python tools/schema.py
	@$(BIN)/python tools/dashboards.py

pictures: servers ## draw the dashboards and Prometheus' alerts anew; needs Chromium, and Debian's prometheus installed
	@$(BIN)/python -m pytest -q tests/e2e/test_fleet.py -k panels --pictures docs/images

bench: ## measure what the library costs; ARGS="span-llm import" runs some benchmarks only
	$(SETUP) test
	@$(BIN)/python -m benchmarks $(ARGS)

check: lint types test ## all checks, as CI runs them

lock: ## pin the dependencies anew
	@$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install --quiet uv && tools/lock.sh build/uv/bin/uv

build: ## build wheel and sdist into dist/
	$(SETUP) test
	@$(BIN)/python -m hatchling build

clean: ## remove what the commands made
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
