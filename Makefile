# Set-up, checks and tests. Everything runs in .venv, which the first target makes; see the README.

PYTHON ?= python3
VENV := .venv/bin/python
# Tests wait more than they work: more of them at once than there are cores, each worker with servers of its own.
WORKERS ?= 4
AT_ONCE := --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --annotation-style line $(if $(UPGRADE),--upgrade) pyproject.toml

.PHONY: help up down purge test test-unit test-integration test-systemd test-coverage lint bench chaos lock development programs programs-external compose-env
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

up: ## install what is missing, start everything, and a first session
	@$(PYTHON) -m setup.environment run
	@$(VENV) -m setup.up

down: ## end everything; keeps the data
	@if test -x $(VENV); then $(VENV) -m setup.down; fi

purge: ## end everything and delete it: the sessions' history too, after asking
	@if test -x $(VENV); then $(VENV) -m setup.down --delete; fi
	@rm -rf .venv

test: development programs ## the whole suite, on servers that it starts and ends itself
	@$(VENV) -m pytest $(AT_ONCE)

test-unit: development ## what needs no server
	@$(VENV) -m pytest tests/unit

test-integration: development programs ## what needs servers
	@$(VENV) -m pytest $(AT_ONCE) --ignore=tests/unit

test-systemd: development programs ## the service, under a systemd of its own; as root
	@$(VENV) -m pytest --systemd tests/systemd

test-coverage: development programs ## the whole suite, and which lines it does not reach
	@$(VENV) -m pytest $(AT_ONCE) --cov --cov-report=term-missing:skip-covered

lint: development ## style, types and the direction of imports
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

compose-env: ## passwords for temporal-compose, made once
	@$(PYTHON) -m setup.compose_env

bench: development programs ## measure, and compare with the budgets
	@$(VENV) -m tests.benchmarks

chaos: development programs ## kill anything at any moment, and check every promise; SECONDS= SEED= SESSIONS= HOSTS= REAL=
	@$(VENV) -m tests.chaos.harness --seconds $(or $(SECONDS),180) $(if $(SEED),--seed $(SEED)) \
		--sessions $(or $(SESSIONS),12) --hosts $(or $(HOSTS),2) --real $(or $(REAL),2)

lock: development ## lock the dependencies anew; with UPGRADE=1 in their newest versions
	@$(LOCK) --group dev --output-file requirements/dev.txt
	@$(LOCK) --group install --constraint requirements/dev.txt --output-file requirements/run.txt

development:
	@$(PYTHON) -m setup.environment dev

programs: development
	@$(VENV) -m setup.programs

programs-external: programs ## what 'pytest --servers external' needs beside: a Temporal cluster, built from source
	@$(VENV) -m setup.temporal_cluster
