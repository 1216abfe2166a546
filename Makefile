# Two words on a fresh Debian 12 machine: `make up`. What each target does: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help up down test test-unit test-long check format lock docs

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

up: ## everything, from nothing to an answer through the public IP (root, Debian 12)
	@scripts/bootstrap localcloud
	@scripts/up

down: ## remove everything that `make up` started or made (the cached image and .venv stay)
	@scripts/bootstrap localcloud
	@scripts/down

test: ## all tests that CI runs (root, Debian 12)
	@scripts/bootstrap dev
	@scripts/test

test-unit: ## the program and the provisioning on Pulumi mocks and fakes: pip alone, no root
	@scripts/bootstrap unit
	@$(BIN)/python -m pytest tests/unit -q -n 2

test-long: ## the full counts (hours)
	@scripts/bootstrap dev
	@scripts/test --long

check: ## style, types, direction of imports, spelling
	@scripts/bootstrap dev
	@scripts/check

format: ## let ruff write the style
	@scripts/bootstrap dev
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

lock: ## pin the packages anew (requirements/*.txt)
	@scripts/lock
