# podstream: every action a developer or CI takes. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Which cluster: embedded (a real Kubernetes made on this machine), kind, current, or auto.
CLUSTER ?= auto
NODES ?=
SAMPLE ?= crds/samples/circle.yaml
# Of SAMPLE=intruder.
CAMERAS ?= 2
PYTEST ?=
BENCH ?= $(wildcard tests/bench/bench_*.py)

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
export CLUSTER
# promtool and the Prometheus operator's CRDs, once, from their Go modules; without Go from PATH.
PROMTOOL := ! command -v go >/dev/null || PYTHONPATH=tests/cluster $(PYTHON) -m testcluster monitoring >/dev/null
DEV := PYTHONPATH=tests/tools $(PYTHON) -m podstream_dev

.PHONY: help
help: ## Print this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18
	@echo
	@echo 'Variables: CLUSTER=auto|embedded|kind|current  NODES=1|2  SAMPLE=file|intruder  CAMERAS=2  PYTEST="-k name"  BENCH=file'

##@ Main job

.PHONY: demo
demo: ## Cluster, images, chart, a sample session and its result; SAMPLE=intruder: cameras to alarm
	@$(DEV) demo --sample $(SAMPLE) --cameras $(CAMERAS)

.PHONY: run
run: $(VENV)/ready ## A session without Kubernetes: make run SPEC=crds/samples/circle.yaml [RUN=--help]
	@test -n "$(SPEC)" || { echo 'say which: make run SPEC=crds/samples/circle.yaml' >&2; exit 2; }
	@$(VENV)/bin/podstream-run $(RUN) $(SPEC)

##@ Cluster

.PHONY: cluster-up cluster-down cluster-status cluster-env images install
cluster-up: ## Make the cluster (NODES=2 for two nodes), or make sure that it runs
	@$(DEV) up $(if $(NODES),--nodes $(NODES))
cluster-down: ## Remove the cluster and every trace of it
	@$(DEV) down
cluster-status: ## What runs in it
	@$(DEV) status
cluster-env: ## KUBECONFIG and PATH: eval "$(make -s cluster-env)"
	@$(DEV) env
images: ## Build the images that changed and load them into the cluster
	@$(DEV) images --load
install: images ## Install or upgrade the chart from this checkout
	@$(DEV) install

##@ Checks

.PHONY: setup check test test-unit test-contracts test-chart test-cluster test-e2e test-long bench
setup: $(VENV)/ready ## Python environment in .venv, from the lock file
check: $(VENV)/ready ## Format, lint, types, import layers
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
test: ## Everything a change must pass: checks, unit, contract, chart, cluster and end-to-end tests
	@tests/run-suites check test-unit test-contracts test-chart test-e2e
test-unit: $(VENV)/ready ## Unit and media tests, no cluster
	@$(PY) -m pytest -q -m 'not e2e and not long' --ignore=tests/contracts --ignore=tests/chart $(PYTEST)
test-contracts: $(VENV)/ready ## API, chart, docs and ports agree with each other
	@$(PY) -m pytest -q -m 'not e2e and not long' tests/contracts $(PYTEST)
test-chart: $(VENV)/ready cluster-up ## The chart renders, lints and refuses bad values; alerts work
	@$(PROMTOOL)
	@eval "$$($(DEV) env)" && $(PY) -m pytest -q -m 'not e2e and not long' tests/chart $(PYTEST)
test-e2e: $(VENV)/ready cluster-up install ## Real clients against the chart on the cluster
	@$(PROMTOOL)
	@$(DEV) clients
	@eval "$$($(DEV) env)" && $(PY) -m pytest -q -m 'e2e and not long' $(PYTEST)
test-long: $(VENV)/ready cluster-up install ## Soak, crash, scale and two-node checks, by hand
	@eval "$$($(DEV) env)" && $(PY) -m pytest -q -m long --timeout=3600 $(PYTEST)
bench: $(VENV)/ready cluster-up install ## Each figure against a named baseline in the same run
	@eval "$$($(DEV) env)" && export PYTHONPATH=tests:tests/cluster:tests/tools && \
		for bench in $(BENCH); do echo "== $$bench"; $(PY) $$bench; done

##@ Upkeep

.PHONY: format lock proto generate clean
format: $(VENV)/ready ## Rewrite sources in the project's format
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .
lock: $(VENV)/ready ## Renew requirements.lock from pyproject.toml
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--upgrade --extra dev pyproject.toml -o requirements.lock
proto: $(VENV)/ready ## Make the Python messages from proto/
	@$(PY) tests/tools/image_protos.py
generate: proto ## Copy the CRDs into the chart, write docs/api.md and the dashboard, compile proto/
	@$(PY) tests/tools/pool_template.py
	@$(PY) tests/tools/sync_crds.py
	@$(PY) tests/tools/api_docs.py
	@$(PY) tests/tools/dashboard.py
clean: ## Remove the Python environment and tool caches of this checkout
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build

$(VENV)/ready: pyproject.toml requirements.lock setup.py
	@echo 'making the Python environment in $(VENV) (about a minute) ...' >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "podstream needs Python 3.11 or newer; this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet uv
	@$(VENV)/bin/uv pip install --quiet --python $(PY) -c requirements.lock -e '.[dev]'
	@touch $@
