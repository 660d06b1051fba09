# The commands of the project. `make start` and `make test` are all a fresh machine needs.
# ARGS goes on to the command: make start ARGS="--once --json", make test ARGS="-k parity".

.PHONY: help setup start test lint format lab bench proofs lock clean
.DEFAULT_GOAL := help

PY := .venv/bin/python

help: ## show this list
	@sed -n 's/^\([a-z]*\): .*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; \
	do printf '  make %-8s %s\n' "$$name" "$$what"; done

setup: ## create .venv and install the locked packages and the project
	@python=$$(.ci/find-python) && "$$python" .ci/setup.py

start: setup ## set up, then run the demo: study, report, local exchange, live instance, dashboard
	@.venv/bin/workbench demo $(ARGS)

test: ## set up with peers and Chromium, then pass every test
	@python=$$(.ci/find-python) && "$$python" .ci/setup.py peers chromium
	@.ci/test $(ARGS)

lint: setup ## check style, format, types and the floors between the rooms
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports

format: setup ## let ruff put the code into shape
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lab: setup ## open JupyterLab on the notebooks
	@.venv/bin/workbench lab $(ARGS)

bench: ## measure: absolute figures with the machine, ratios asserted
	@python=$$(.ci/find-python) && "$$python" .ci/setup.py peers
	@.ci/long tests/benchmarks -s $(ARGS)

proofs: ## the long proofs that `make test` leaves out (up to 80 minutes)
	@python=$$(.ci/find-python) && "$$python" .ci/setup.py peers chromium
	@.ci/long tests -m proof --timeout=4800 $(ARGS)

lock: setup ## write both locks anew from pyproject.toml (UPGRADE=1 for the newest versions)
	@.ci/lock

clean: ## remove .venv and the caches; data and reports stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks build dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	@echo "clean: .venv and the caches are gone; datasets/ and reports/ are as they were"
