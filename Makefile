# The two commands for a fresh machine: `make demo` and `make test`. Everything they need, they set up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CLUSTER ?= demo
APPROVE ?= auto

.PHONY: help setup generate verify unit e2e safety chaos mutation test demo down accuracy bench integrations plugin docs docs-pictures lock clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## virtual environment from the hashed lock file

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "IIRP needs Python 3.11 or newer: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# uv comes from the same hashed lock; it installs the rest in seconds.
	$(PYTHON) tools/lock_entry.py uv requirements/dev.txt > $(VENV)/uv.txt
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

generate: setup ## CRD YAML, chart copies and API reference from the types
	$(BIN)/python -m crds.generate

verify: setup ## generated files equal, lint, types, import contracts
	$(BIN)/python -m crds.generate --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup ## unit tests
	$(BIN)/pytest tests/unit -n 2 -q

e2e: setup ## real cluster, real telemetry, one namespace per test
	$(BIN)/pytest tests/e2e -q --timeout 900 -p no:cacheprovider

safety: setup ## ask a real API server for all that must be refused; prints the matrix (CLUSTER=NAME uses a kept one; ADMISSION=webhook)
	IIRP_GENERATED=full $(BIN)/pytest tests/unit/safety -q -p no:cacheprovider --timeout 900
	$(BIN)/python -m tests.safety --cluster $(if $(filter file,$(origin CLUSTER)),safety,$(CLUSTER)) $(if $(ADMISSION),--admission $(ADMISSION))

chaos: setup ## kill -9, freeze, double and cut off the executor at every write; the API server's audit log judges (REPEAT=N)
	$(BIN)/python -m tests.safety.chaos --cluster $(if $(filter file,$(origin CLUSTER)),safety,$(CLUSTER)) --repeat $(or $(REPEAT),1)

$(VENV)/.mutation: $(STAMP) requirements/mutation.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/mutation.txt
	touch $@

mutation: $(VENV)/.mutation ## change the modules that decide about actions, line by line: the tests have to notice 85 % (ONLY='controllers.approval.decide*')
	$(BIN)/python -m mutmut run --max-children 1 $(if $(ONLY),'$(ONLY)') || true
	$(BIN)/python tools/mutation.py

integrations: setup ## k9s, Argo CD, Grafana, Prometheus, kubectl plugin and chart with the real tools
	$(BIN)/python -m integrations.check

plugin: setup ## dist/kubectl-iirp: the kubectl plugin as one file, with its krew manifest
	$(BIN)/python -m cli.plugin.build

test: verify ## verify + unit + e2e, counted in one closing line
	$(BIN)/pytest tests/e2e tests/unit -q --timeout 900 -p no:cacheprovider

demo: setup ## from nothing to a resolved incident (APPROVE=ask leaves the decision to you)
	$(BIN)/iirp demo --name $(CLUSTER) --approve $(APPROVE)

down: setup ## remove the demo: processes, links, mounts, state
	$(BIN)/iirp demo down --name $(CLUSTER)

$(VENV)/.bench: $(STAMP) requirements/bench.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.txt
	touch $@

accuracy: $(VENV)/.bench ## accuracy on public and generated data, beside its floors
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks accuracy

bench: $(VENV)/.bench ## speed of the hot path on one core, beside its peers
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks bench

$(VENV)/.docs: $(STAMP) requirements/docs.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/docs.txt
	touch $@

docs: $(VENV)/.docs ## the docs site in build/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

docs-pictures: setup ## the docs' pictures anew: a real leak in a real browser (IIRP_E2E_CLUSTER=NAME uses a kept cluster)
	$(BIN)/pytest tests/e2e/pictures.py -q --timeout 900 -p no:cacheprovider

lock: setup ## resolve the lock files anew
	tools/lock

clean: down ## down, and the virtual environment
	rm -rf $(VENV) build dist
