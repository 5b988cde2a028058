# The project's commands. They install everything into .venv in the clone; a second run starts immediately.

PYTHON ?= python3
BIN := .venv/bin
SETUP := @PYTHON='$(PYTHON)' tools/setup.sh

unexport PYTHONDONTWRITEBYTECODE # the tests start hundreds of processes, which would compile the package each time
unexport PYTHONUNBUFFERED # the tests see processes as most machines run them

.DEFAULT_GOAL := help
.PHONY: help demo test quick matrix servers lint types docs site pictures bench coverage fuzz mutants soak upstream check lock build release clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: ## run the support agent on this machine, and show its events and LLM calls
	$(SETUP) demo
	@$(BIN)/python examples/support_agent/run.py

# The limit of a test's time ends the process of a test that hangs. Without --max-worker-restart, the test starts again.
# Without reordering, files run in the order of the folders. Otherwise the files with few tests run last, and these take longest.
test: servers ## run all tests except those of make matrix; ARGS="tests/test_entry.py -k date" runs some
	@$(BIN)/python -m pytest -n 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder $(ARGS)

quick: ## run the fast tests without servers, on all cores
	$(SETUP) test
	@$(BIN)/python -m pytest -q -n auto --max-worker-restart 0 -m "not e2e and not slow and not hypothesis" $(ARGS)

# The SDKs take longest, so that they start first, and the other files run beside them.
matrix: ## test with the real instrumentations, SDK versions and recipes of the documentation; ARGS=--write-docs updates their tables
	$(SETUP) test
	@$(BIN)/python -m pytest -m matrix -n 2 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder tests/matrix/test_sdks.py tests/matrix $(ARGS)

servers: ## build or download Collector, Jaeger, Prometheus and Chromium for the tests; takes minutes once; uses Go of the PATH or installs it
	$(SETUP) test
	@$(BIN)/python tools/servers.py

lint: ## check code rules, format, changelog fragments and prose
	$(SETUP) lint
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --diff
	@$(BIN)/python tools/fragments.py
	@$(BIN)/python tools/prose.py

types: ## check types (mypy strict), that all public types are complete (pyright), and users' samples against the wheel (both)
	$(SETUP) lint
	@$(BIN)/mypy
	@$(BIN)/python tools/verifytypes.py
	@$(BIN)/python tools/typing_samples.py

docs: ## rewrite what is generated from the code: documentation tables, collector.yaml, schemas, semantic conventions, dashboards, Kubernetes objects, sample evidence
	$(SETUP) test
	@$(BIN)/python tools/docs.py
	@$(BIN)/python tools/collector_config.py
	@$(BIN)/python tools/schema.py
	@$(BIN)/python tools/calendar_schema.py
	@$(BIN)/python tools/framework_schema.py
	@$(BIN)/python tools/registry_schema.py
	@$(BIN)/python tools/semconv.py
	@$(BIN)/python tools/sbom.py
	@$(BIN)/python tools/dashboards.py
	@$(BIN)/python tools/kubernetes.py
	@$(BIN)/python tools/sample_evidence.py

site: ## build the documentation site into build/site; it has a search, and loads nothing from other hosts
	$(SETUP) test
	@$(BIN)/python tools/documentation.py

pictures: servers ## redraw the diagram, and the pictures of commands, the report and dashboards; UI=FOLDER GENAI_UI=FOLDER, builds of Jaeger's page, also redraw those of Jaeger
	@$(BIN)/python tools/diagram.py docs/images
	@$(BIN)/python tools/terminal_pictures.py docs/images
	@$(BIN)/python tools/report_pictures.py docs/images
	@$(BIN)/python -m pytest -q tests/e2e/test_fleet.py -k panels --pictures docs/images
	$(if $(UI),@$(BIN)/python -m pytest -q tests/e2e/test_jaeger_page.py -k file --pictures docs/images --jaeger-page $(UI))
	$(if $(UI),@$(BIN)/python tools/jaeger_pictures.py docs/images $(UI) $(GENAI_UI))

bench: ## measure what the library costs; ARGS="span-llm import" runs some benchmarks, ARGS=others measures other packages' processors
	$(SETUP) test
	@$(BIN)/python -m benchmarks $(ARGS)

coverage: ## measure the branch coverage of _core and otel in the tests without servers; fails under 95 %
	$(SETUP) test
	@$(BIN)/python tools/branches.py $(ARGS)

fuzz: ## search for inputs that make the library break a promise, for 10 minutes; ARGS="--seconds 60 yaml names" limits time and targets
	$(SETUP) test
	@$(BIN)/python tools/fuzz.py $(ARGS)

mutants: ## put small faults into the code, and report those that no test notices; ARGS="-n 50 otel _core/entry.py" limits them
	$(SETUP) test
	@$(BIN)/python tools/mutants.py $(ARGS)

soak: ## run a service under load for 10 minutes, and compare memory and threads at the start and at the end; ARGS="--seconds 3600" runs longer
	$(SETUP) test
	@PYTHONPATH=tests $(BIN)/python tests/faults/test_soak.py --check --seconds 600 $(ARGS)

upstream: ## run the released tests of other packages with and without the span processor; takes minutes; ARGS="logfire" runs some
	$(SETUP) test
	@$(BIN)/python tools/upstream.py $(ARGS)

check: lint types test ## run lint, types and test; CI also runs matrix

lock: ## update the pinned dependencies
	@$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt && tools/lock.sh build/uv/bin/uv

# The checks of the repository run first, because they take seconds and the tests take minutes.
release: ## check, test and build a release into dist/, without tag and upload; docs/releasing.md describes it
	$(SETUP) lint
	@$(BIN)/python tools/release.py check
	@$(MAKE) --no-print-directory lint types test matrix
	@$(BIN)/python tools/release.py build

build: ## build wheel and sdist into dist/
	$(SETUP) test
	@$(BIN)/python -m hatchling build

clean: ## remove .venv, build results and caches
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
