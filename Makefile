# The project's commands. They install everything into .venv in the clone; a second run starts immediately.

PYTHON ?= python3
BIN := .venv/bin
SETUP := @PYTHON='$(PYTHON)' tools/setup.sh

unexport PYTHONDONTWRITEBYTECODE # the tests start hundreds of processes, which would compile the package each time

.DEFAULT_GOAL := help
.PHONY: help demo test quick matrix servers lint types docs pictures bench mutants upstream check lock build clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: ## run the support agent: registry, events and enriched spans, on loopback
	$(SETUP) demo
	@$(BIN)/python examples/support_agent/run.py

# Without reordering, files run in the order of the folders. Otherwise the files with few tests run last, and these take longest.
test: servers ## run all tests except those of make matrix; ARGS="tests/test_entry.py -k date" runs some
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

quick: ## run the fast tests without servers, on all cores
	$(SETUP) test
	@$(BIN)/python -m pytest -q -n auto -m "not e2e and not slow and not hypothesis" $(ARGS)

matrix: ## test with the real instrumentations, SDK versions and recipes of the documentation; ARGS=--write-docs updates their tables
	$(SETUP) test
	@$(BIN)/python -m pytest -m matrix tests/matrix $(ARGS)

servers: ## build or download Collector, Jaeger, Prometheus and Chromium for the tests; once, takes minutes; uses Go of the PATH or installs it
	$(SETUP) test
	@$(BIN)/python tools/servers.py

lint: ## check code rules, format, changelog fragments and prose
	$(SETUP) lint
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --diff
	@$(BIN)/python tools/fragments.py
	@$(BIN)/python tools/prose.py

types: ## check types (mypy strict), and that all public types are complete (pyright)
	$(SETUP) lint
	@$(BIN)/mypy
	@$(BIN)/python tools/verifytypes.py

docs: ## rewrite what is generated from the code: documentation tables, collector.yaml, schemas, dashboards
	$(SETUP) test
	@$(BIN)/python tools/docs.py
	@$(BIN)/python tools/collector_config.py
	@$(BIN)/python tools/schema.py
	@$(BIN)/python tools/calendar_schema.py
	@$(BIN)/python tools/registry_schema.py
	@$(BIN)/python tools/dashboards.py

pictures: servers ## redraw the pictures of commands, the report, dashboards and alerts; needs Chromium and Debian's prometheus package; UI=FOLDER, a build of Jaeger's page: also those of Jaeger
	@$(BIN)/python tools/terminal_pictures.py docs/images
	@$(BIN)/python tools/report_pictures.py docs/images
	@$(BIN)/python -m pytest -q tests/e2e/test_fleet.py -k panels --pictures docs/images
	$(if $(UI),@$(BIN)/python -m pytest -q tests/e2e/test_jaeger_page.py -k file --pictures docs/images --jaeger-page $(UI))

bench: ## measure what the library costs; ARGS="span-llm import" runs some benchmarks
	$(SETUP) test
	@$(BIN)/python -m benchmarks $(ARGS)

mutants: ## put small faults into the code, and report those that no test notices; ARGS="-n 50 otel _core/entry.py" limits them
	$(SETUP) test
	@$(BIN)/python tools/mutants.py $(ARGS)

upstream: ## run the released tests of other packages with and without the span processor; takes minutes; ARGS="logfire" runs some
	$(SETUP) test
	@$(BIN)/python tools/upstream.py $(ARGS)

check: lint types test ## run lint, types and test; CI also runs matrix

lock: ## update the pinned dependencies
	@$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install --quiet uv && tools/lock.sh build/uv/bin/uv

build: ## build wheel and sdist into dist/
	$(SETUP) test
	@$(BIN)/python -m hatchling build

clean: ## remove .venv, build results and caches
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
