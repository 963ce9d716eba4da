# Two commands are all a new machine needs: `make demo` and `make test`. Each sets up .venv by itself.

.DEFAULT_GOAL := help
.PHONY: help demo test quick lint format fuzz faults soak bench clean venv system

BIN := .venv/bin
# The stamp's name holds the folder's: an environment does not survive being moved, so it is made anew.
STAMP := .venv/.installed-$(shell printf '%s' '$(CURDIR)' | cksum | cut -d ' ' -f 1)

help: ## Show what there is to do
	@echo "OmniScope ML: on a new machine, «make demo» shows it and «make test» checks it."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{printf "%-14s %s\n", $$1, $$2}'

demo: $(STAMP) ## Train a model on real omics data and show it (embedded broker, ends by itself)
	@$(BIN)/omniscope-ml demo

test: lint ## Everything that must pass: lint, format, types, import contracts, tests
	@echo "== tests (pytest)"
	@$(BIN)/pytest

quick: $(STAMP) ## The fast tests only
	@$(BIN)/pytest -m "not slow" tests/unit

lint: $(STAMP) ## Lint, format check, types, import contracts
	@echo "== lint (ruff check)"
	@$(BIN)/ruff check .
	@echo "== format (ruff format --check)"
	@$(BIN)/ruff format --check .
	@echo "== types (mypy)"
	@$(BIN)/mypy
	@echo "== import contracts (lint-imports)"
	@$(BIN)/lint-imports

format: $(STAMP) ## Put the code into its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

fuzz: $(STAMP) ## 10,000 random and damaged events against a real worker (FUZZ_SEED=… for others)
	@FUZZ_EVENTS=10000 $(BIN)/pytest tests/faults/test_fuzz.py

faults: $(STAMP) ## Every fault of the table, at full length: the broker away for a minute, 10,000 damaged events
	@FUZZ_EVENTS=10000 LONG_OUTAGE_S=60 $(BIN)/pytest tests/faults

soak: $(STAMP) ## A thousand jobs on Apache Kafka while everything that can die is killed (about 10 minutes)
	@PYTHONPATH=.:tests $(BIN)/python -m soak

bench: $(STAMP) ## Measure speed and memory
	@$(BIN)/python -m benchmarks

venv: $(STAMP) ## Only set up .venv

system: ## Install what some tests need and pip cannot bring: Java, Maven, PostgreSQL, Node.js, cc (Debian, Ubuntu)
	@sh scripts/install-system-packages

clean: ## Remove .venv, caches and builds; your data in omniscope-data/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .kafka
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt scripts/set-up
	@PYTHON='$(PYTHON)' sh scripts/set-up
	@touch $@
