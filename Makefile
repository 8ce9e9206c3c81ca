# Everything a developer does, as targets. Needs Python >= 3.11 and make; the rest installs itself into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=
BROKER ?= auto
# Test processes; each starts servers of its own (about 1 GiB). Three keep two cores busy.
WORKERS ?= 3

# Without data nothing runs and nothing can be deleted: no installation is needed to know that.
HAS_DATA := $(shell home="$(or $(HARBOR_HOME),.harbor)"; \
	case "$$home" in ("~"/*) home="$$HOME/`printf %s "$$home" | cut -c3-`";; esac; test -e "$$home" && echo yes)
NOTHING_RUNS = $(PYTHON) -B -m infra.local.home

.PHONY: help up down status backup restore demo test test-fast check docs bench clean requirements publish-contract

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/stamp: requirements/dev.txt infra/bootstrap.py
	@$(PYTHON) infra/bootstrap.py requirements/dev.txt

up: .venv/stamp ## the whole system; Ctrl-C stops it. DETACH=1: return when ready. BROKER=auto|kafka|none
	@$(PY) -m infra.local up --broker $(BROKER) $(if $(filter 1 yes true,$(DETACH)),--detach,) $(ARGS)

down: $(if $(HAS_DATA),.venv/stamp) ## stop what `make up` started; the data stays
	@$(if $(HAS_DATA),$(PY) -m infra.local down $(ARGS),$(NOTHING_RUNS))

status: $(if $(HAS_DATA),.venv/stamp) ## what runs where
	@$(if $(HAS_DATA),$(PY) -m infra.local status $(ARGS),$(NOTHING_RUNS); exit 1)

backup: .venv/stamp ## the database of what runs, and its secrets apart. TO=directory
	@$(PY) -m infra.local backup "$(or $(TO),backups/harbor-$(shell date -u +%Y%m%dT%H%M%SZ))" $(ARGS)

restore: .venv/stamp ## a backup becomes the data of a home without data. FROM=directory SECRETS=file
	@$(PY) -m infra.local restore "$(or $(FROM),$(error name the backup: make restore FROM=directory))" $(if $(SECRETS),--secrets "$(SECRETS)",) $(ARGS)

demo: .venv/stamp ## orders flowing through the system, reconciled. ARGS="--file orders.csv"
	@$(PY) -m tests.demo $(ARGS)

test: .venv/stamp ## all tests, on real PostgreSQL, Redis and Kafka. ARGS="-k name" WORKERS=0: one process
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: .venv/stamp ## the tests that need no server
	@$(PY) -m pytest -m "not server" -n 2 --hypothesis-profile=fast $(ARGS)

check: .venv/stamp ## lint, types, import directions, generated docs fresh, no floats near money
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(PY) docs/generate.py --check
	@$(PY) -m pytest -q --no-header -p no:cacheprovider tests/domain/test_no_floats.py

docs: .venv/stamp ## regenerate docs/ (OpenAPI, AsyncAPI, events, settings, errors)
	@$(PY) docs/generate.py

bench: .venv/stamp ## the write path beside its peers, 30 minutes. ARGS=--quick: one. ARGS="--only create"
	@$(PY) -m tests.bench $(ARGS)

publish-contract: .venv/stamp ## hold later OpenAPI documents to those of now; refuses breaking changes
	@$(PY) docs/generate.py --publish

requirements: .venv/stamp ## compile requirements/*.txt from pyproject.toml (needs uv: pip install uv)
	uv pip compile pyproject.toml --extra local --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/dev.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/runtime.txt

CACHES := .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/docs/asyncapi/node_modules \
	examples/harbor_client/build
clean: $(if $(HAS_DATA),.venv/stamp) ## stop the stack and delete its data, caches and .venv; HARBOR_HOME=/path: only that home
	@if test -e .venv/stamp; then $(PY) -m infra.local clean; fi
	@$(if $(HARBOR_HOME),,rm -rf $(CACHES) && echo "deleted $(CACHES)"; \
		if test -e backups; then echo "kept backups/, with its secrets"; fi)
